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
    /// Numbers stand in braces, in the order of the layer's: `{1}` counts from 1, `{5/2}` from 5 in steps of 2, `{a}` is a
    /// letter, `{=}` the number of the hole before once more, as it is written there, and `{*}` any number, which tells nothing.
    theirs: String,
    kind: Kind,
    unit: Unit,
    /// Of a norm: whether it is a BatchNorm whose statistics are in its scale and shift already.
    affine: bool,
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
        Self { theirs: theirs.into(), kind, unit, affine: false }
    }

    /// A row of BatchNorms that have scale and shift alone, into which somebody folded their statistics.
    pub(in crate::weights) fn affine(kind: Kind, theirs: impl Into<String>) -> Self {
        Self { affine: true, ..Self::new(kind, Unit::Norm, theirs) }
    }

    /// Whether it is such a row.
    pub(in crate::weights) fn is_affine(&self) -> bool {
        self.affine
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

/// How a hole's number is written.
#[derive(Clone, Copy)]
enum Hole {
    /// From a first number on, in steps.
    Digits([usize; 2]),
    /// As a letter of the alphabet.
    Letter,
    /// As in the hole before, whose number it is.
    Again,
    /// In digits, and it tells nothing.
    Any,
}

impl Hole {
    /// The number that a text begins with, and what follows it.
    fn read(self, name: &str) -> Option<(usize, &str)> {
        let [first, step] = match self {
            Self::Digits(numbers) => numbers,
            Self::Any => [0, 1],
            Self::Letter | Self::Again => {
                let letter = name.chars().next().filter(char::is_ascii_lowercase)?;
                return Some((usize::from(letter as u8 - b'a'), &name[1..]));
            }
        };
        let digits = name.len() - name.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (text, rest) = name.split_at(digits);
        // "01" and "+1" are no numbers of a name: two names would be one layer.
        let written = text.parse::<usize>().ok().filter(|n| n.to_string() == text)?.checked_sub(first)?;
        written.is_multiple_of(step).then_some((written / step, rest))
    }

    fn written(self, number: usize) -> String {
        match self {
            Self::Digits([first, step]) => (first + step * number).to_string(),
            Self::Any => "*".into(),
            // Past the alphabet Keras's goes on as ASCII does, and nobody's network is so deep.
            Self::Letter | Self::Again => char::from(b'a'.saturating_add(number.min(25) as u8)).to_string(),
        }
    }
}

/// A hole, what stands before it, and what after.
fn hole(theirs: &str) -> Option<(&str, Hole, &str)> {
    let (before, rest) = theirs.split_once('{')?;
    let (hole, after) = rest.split_once('}')?;
    let hole = match hole {
        "a" => Hole::Letter,
        "=" => Hole::Again,
        "*" => Hole::Any,
        _ => {
            let (first, step) = hole.split_once('/').unwrap_or((hole, "1"));
            Hole::Digits([first.parse().ok()?, step.parse().ok()?])
        }
    };
    Some((before, hole, after))
}

/// The numbers in the holes.
fn read(theirs: &str, name: &str) -> Option<[usize; 3]> {
    let (mut numbers, mut next) = ([0; 3], 0usize);
    let (mut theirs, mut name) = (theirs, name);
    let mut last = Hole::Letter;
    while let Some((before, hole, after)) = hole(theirs) {
        name = name.strip_prefix(before)?;
        match hole {
            Hole::Again => {
                name = name.strip_prefix(last.written(*numbers.get(next.checked_sub(1)?)?).as_str())?;
            }
            Hole::Any => name = hole.read(name)?.1,
            Hole::Digits(_) | Hole::Letter => {
                let (number, rest) = hole.read(name)?;
                *numbers.get_mut(next)? = number;
                (name, last, next) = (rest, hole, next + 1);
            }
        }
        theirs = after;
    }
    (theirs == name).then_some(numbers)
}

/// The name with these numbers in the holes.
fn spell(theirs: &str, numbers: [usize; 3]) -> String {
    let (mut out, mut theirs, mut numbers) = (String::new(), theirs, numbers.into_iter());
    let mut last = String::new();
    while let Some((before, hole, after)) = hole(theirs) {
        out += before;
        match hole {
            Hole::Again => out += &last,
            Hole::Any => out += &hole.written(0),
            Hole::Digits(_) | Hole::Letter => {
                last = hole.written(numbers.next().unwrap_or_default());
                out += &last;
            }
        }
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
            ("res{2}{a}_branch2{a}", "res4w_branch2c", [2, 22, 2]),
            ("fpn_c{2}p{=}", "fpn_c5p5", [3, 0, 0]),
            ("res{2}_{0}_branch2{a}", "res3_10_branch2c", [1, 10, 2]),
        ] {
            assert_eq!(read(theirs, name), Some(numbers), "{name}");
            assert_eq!(spell(theirs, numbers), name);
        }
    }

    #[test]
    fn some_numbers_tell_nothing() {
        assert_eq!(read("fpn_res{2}_{*}_sum", "fpn_res4_22_sum"), Some([2, 0, 0]));
        assert_eq!(read("fpn_res{2}_{*}_sum", "fpn_res4_x_sum"), None);
        assert_eq!(spell("fpn_res{2}_{*}_sum", [2, 0, 0]), "fpn_res4_*_sum");
        assert_eq!(read("a{a}", "a1"), None);
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
            ("res{2}{a}_branch2{a}", "res4A_branch2c"),
            ("res{2}{a}_branch2{a}", "res4_branch2c"),
            ("fpn_c{2}p{=}", "fpn_c5p4"),
            ("fpn_c{2}p{=}", "fpn_c5p"),
        ] {
            assert_eq!(read(theirs, name), None, "{name}");
        }
    }
}
