//! Names of layers, read and written by one row each.

use crate::weights::layers::{Kind, Layer, Role};

use super::Family;

/// Which tensors go by a row's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::weights) enum Unit {
    /// The layer's weight and bias.
    Layer,
    /// The vectors of the BatchNorm after it.
    Norm,
    /// One tensor, of just this name, that is a setting.
    Setting,
}

/// What a layer or its BatchNorm is called: everything of its tensors' names but the ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::weights) struct Row {
    /// Numbers stand in braces, in the order of the layer's: `{1}` counts from 1, `{5/2}` from 5 in steps of 2.
    theirs: String,
    kind: Kind,
    unit: Unit,
}

/// The roles of a unit's tensors, and what ends their names.
fn ends(family: &Family, unit: Unit) -> Vec<(Role, &'static str)> {
    match unit {
        Unit::Layer => [Role::Weight, Role::Bias].into_iter().zip(family.layer_ends).collect(),
        Unit::Norm => Role::NORM.into_iter().zip(family.norm_ends).collect(),
        Unit::Setting => vec![(Role::Setting, "")],
    }
}

impl Unit {
    /// The unit that a tensor of this role is in.
    pub(in crate::weights) fn of(role: Role) -> Self {
        match role {
            Role::Weight | Role::Bias => Self::Layer,
            Role::NormWeight | Role::NormBias | Role::NormMean | Role::NormVar => Self::Norm,
            Role::Setting => Self::Setting,
        }
    }
}

impl Row {
    /// A row of a table; `theirs` as [`Row::theirs`].
    pub(in crate::weights) fn new(kind: Kind, unit: Unit, theirs: impl Into<String>) -> Self {
        Self { theirs: theirs.into(), kind, unit }
    }

    /// The layer and the role of a tensor of this name, if it is one of this row's.
    pub(in crate::weights) fn read(&self, family: &Family, name: &str) -> Option<(Layer, Role)> {
        ends(family, self.unit).into_iter().find_map(|(role, end)| {
            let numbers = read(&self.theirs, name.strip_suffix(end)?)?;
            Some((Layer { kind: self.kind, numbers }, role))
        })
    }

    /// Whether this row names such a layer's tensor of this role.
    pub(in crate::weights) fn names(&self, layer: Layer, role: Role) -> bool {
        self.kind == layer.kind && self.unit == Unit::of(role)
    }

    /// What this row calls a layer's tensor, if it is one of its.
    pub(in crate::weights) fn spell(&self, family: &Family, layer: Layer, role: Role) -> Option<String> {
        let (_, end) = ends(family, self.unit).into_iter().find(|(of, _)| *of == role)?;
        self.names(layer, role).then(|| format!("{}{end}", spell(&self.theirs, layer.numbers)))
    }
}

/// A hole's first number and step, what stands before it, and what after.
fn hole(theirs: &str) -> Option<(&str, [usize; 2], &str)> {
    let (before, rest) = theirs.split_once('{')?;
    let (hole, after) = rest.split_once('}')?;
    let (first, step) = hole.split_once('/').unwrap_or((hole, "1"));
    Some((before, [first.parse().ok()?, step.parse().ok()?], after))
}

/// The numbers in the holes.
fn read(theirs: &str, name: &str) -> Option<[usize; 3]> {
    let mut numbers = [0; 3];
    let (mut theirs, mut name) = (theirs, name);
    for number in &mut numbers {
        let Some((before, [first, step], after)) = hole(theirs) else { break };
        name = name.strip_prefix(before)?;
        let digits = name.len() - name.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (text, rest) = name.split_at(digits);
        // "01" and "+1" are no numbers of a name: two names would be one layer.
        let written = text.parse::<usize>().ok().filter(|n| n.to_string() == text)?.checked_sub(first)?;
        *number = written.is_multiple_of(step).then(|| written / step)?;
        (theirs, name) = (after, rest);
    }
    (theirs == name).then_some(numbers)
}

/// The name with these numbers in the holes.
fn spell(theirs: &str, numbers: [usize; 3]) -> String {
    let (mut out, mut theirs) = (String::new(), theirs);
    for number in numbers {
        let Some((before, [first, step], after)) = hole(theirs) else { break };
        out += &format!("{before}{}", first + step * number);
        theirs = after;
    }
    out + theirs
}

#[cfg(test)]
mod tests {
    use super::{read, spell};

    #[test]
    fn holes_count_from_what_they_say() {
        for (theirs, name, numbers) in [
            ("backbone.conv1", "backbone.conv1", [0, 0, 0]),
            ("layer{1}.{0}.conv{1}", "layer2.11.conv3", [1, 11, 2]),
            ("box.fc{6}", "box.fc7", [1, 0, 0]),
            ("box.{5/2}", "box.9", [2, 0, 0]),
        ] {
            assert_eq!(read(theirs, name), Some(numbers), "{name}");
            assert_eq!(spell(theirs, numbers), name);
        }
    }

    #[test]
    fn what_is_no_number_of_the_row_is_no_name_of_it() {
        for (theirs, name) in [
            ("layer{1}.x", "layer0.x"),
            ("layer{1}.x", "layer01.x"),
            ("layer{1}.x", "layer.x"),
            ("layer{1}.x", "layer+1.x"),
            ("layer{1}.x", "layer1.xy"),
            ("layer{1}.x", "my.layer1.x"),
            ("layer{1}.x", "layer99999999999999999999999.x"),
            ("box.{5/2}", "box.6"),
            ("box.{5/2}", "box.3"),
            ("box.fc{6}", "box.fc"),
        ] {
            assert_eq!(read(theirs, name), None, "{name}");
        }
    }
}
