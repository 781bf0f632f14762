//! A file's tensors by what they are in the network.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::family::{Conventions, Family, ON_MOBILENET, OURS, Row, Unit};
use super::file::WeightsFile;
use super::layers::{Kind, Layer, Role};
use crate::config::{BodyKind, Config};

/// The tensors of a file, each by its layer and its role there, as its family's table tells.
pub(super) struct Bound<'a> {
    pub file: &'a WeightsFile,
    pub family: &'static Family,
    /// The family's, or what the file says instead.
    pub conventions: Conventions,
    rows: Vec<Row>,
    /// The name in the file, and the number of the row that it goes by.
    tensors: HashMap<(Layer, Role), (&'a str, usize)>,
}

impl<'a> Bound<'a> {
    pub(super) fn of(file: &'a WeightsFile) -> Self {
        let family = file.family();
        let known = |rows: Vec<Row>| {
            let mut tensors = HashMap::new();
            for name in file.names() {
                let read = |(i, row): (usize, &Row)| Some((row.read(family, name)?, i));
                let Some((tensor, row)) = rows.iter().enumerate().find_map(read) else { continue };
                // Of a present and an older name for one tensor, the present one; the other is left over.
                let taken = tensors.entry(tensor).or_insert((name, row));
                if row < taken.1 {
                    *taken = (name, row);
                }
            }
            Self { file, family, conventions: family.conventions, rows, tensors }
        };
        // How the fully connected layers are numbered may depend on how many convolutions come before them.
        let convs = known((family.rows)(0)).count(|i| Kind::BoxConv.nth(i));
        let mut bound = known((family.rows)(convs));
        bound.conventions = family.conventions.told(bound.colours(Kind::PixelMean), bound.colours(Kind::PixelStd));
        bound.conventions = (family.told)(&bound, bound.conventions);
        bound
    }

    /// A setting of a value for each colour, if the file has it.
    fn colours(&self, kind: Kind) -> Option<[f32; 3]> {
        self.setting(kind.only())?.try_into().ok()
    }

    /// What a setting among the tensors holds.
    pub(super) fn setting(&self, layer: Layer) -> Option<Vec<f32>> {
        let (name, _) = self.tensors.get(&(layer, Role::Setting))?;
        // No setting is of many values.
        let shape = self.file.shape(name).filter(|shape| shape.iter().product::<usize>() <= 256)?;
        Some(self.file.tensor(name, shape).ok()?.data)
    }

    /// Whether a tensor is no layer's: a setting, or a counter.
    pub(super) fn is_no_layer(&self, name: &str) -> bool {
        let is_setting = |((_, role), (of, _)): (&(Layer, Role), &(&str, usize))| *role == Role::Setting && *of == name;
        self.family.is_counter(name) || self.tensors.iter().any(is_setting)
    }

    /// Whether the file has this tensor, or needs none for it.
    pub(super) fn has(&self, layer: Layer, role: Role) -> bool {
        self.tensors.contains_key(&(layer, role)) || self.is_folded(layer, role)
    }

    /// Whether this is a BatchNorm's statistic that is in its scale and shift already: a mean of 0, a variance of 1.
    pub(super) fn is_folded(&self, layer: Layer, role: Role) -> bool {
        let of_scale = || self.tensors.get(&(layer, Role::NormWeight));
        matches!(role, Role::NormMean | Role::NormVar) && of_scale().is_some_and(|(_, row)| self.rows[*row].is_affine())
    }

    /// How many layers of a kind there are, counted up from 0.
    pub(super) fn count(&self, layer: impl Fn(usize) -> Layer) -> usize {
        (0..).take_while(|&i| self.has(layer(i), Role::Weight)).count()
    }

    /// Whether the body is of MobileNet's kind.
    pub(super) fn is_on_mobilenet(&self) -> bool {
        self.family.signs == ON_MOBILENET.signs
    }

    /// The tensor's shape in the file.
    pub(super) fn shape(&self, layer: Layer, role: Role) -> Option<&'a [usize]> {
        self.file.shape(self.tensors.get(&(layer, role))?.0)
    }

    /// The tensor's name in the file; of one that is missing, the name that would go with its layer's others, or with those
    /// of layers nearby, or the present one.
    pub(super) fn name(&self, layer: Layer, role: Role) -> String {
        if let Some((name, _)) = self.tensors.get(&(layer, role)) {
            return name.to_string();
        }
        let unit = Unit::of(role);
        // How many of the numbers two layers of a kind share: all, the stage, or none.
        let near = |of: &Layer| of.numbers.iter().zip(layer.numbers).take_while(|(a, b)| **a == *b).count();
        let beside = self.tensors.iter().filter(|((of, other), _)| of.kind == layer.kind && Unit::of(*other) == unit);
        let nearest = beside.map(|((of, _), (_, row))| (Reverse(near(of)), *row)).min();
        let rows = nearest.map_or(&self.rows[..], |(_, row)| &self.rows[row..]);
        let spelled = rows.iter().find_map(|row| row.spell(self.family, layer, role));
        spelled.unwrap_or_else(|| format!("what {}'s networks do not have", self.family.name))
    }

    /// What each of the file's tensors is, as far as the table knows.
    pub(super) fn known(&self) -> impl Iterator<Item = (Layer, Role, &'a str)> {
        self.tensors.iter().map(|((layer, role), (name, _))| (*layer, *role, *name))
    }

    /// Whether a layer goes by another name than files of today have.
    pub(super) fn is_older(&self, layer: Layer) -> bool {
        let present = self.rows.iter().position(|row| row.names(layer, Role::Weight));
        self.tensors.get(&(layer, Role::Weight)).is_some_and(|(_, row)| present.is_some_and(|present| *row > present))
    }

    /// The shape that the network of `config` needs of a tensor, as it stands in a file of this family; `shape` is the
    /// canonical one.
    pub(super) fn stored(&self, layer: Layer, role: Role, shape: &[usize]) -> Vec<usize> {
        self.conventions.stored(layer, role, shape, self.shape(layer, role))
    }

    /// The tensor's extents, in the order of the canonical layout's.
    pub(super) fn axes(&self, layer: Layer, role: Role) -> Option<Vec<usize>> {
        Some(self.conventions.axes(layer, role, self.shape(layer, role)?))
    }
}

/// The tensors of a state dict of ours, in its order: names and canonical shapes.
pub(super) fn state_dict(config: &Config) -> Vec<(String, Layer, Role, Vec<usize>)> {
    let family = if config.backbone.kind == BodyKind::MobilenetV3Large { ON_MOBILENET } else { OURS };
    let rows = (family.rows)(config.box_head.convs.len());
    // Ours has a name for all: a test goes through them.
    let name = |layer, role| rows.iter().find_map(|row| row.spell(family, layer, role)).unwrap_or_default();
    let tensors = super::layers::layers(config).into_iter().flat_map(|form| {
        form.tensors().into_iter().map(move |(role, shape)| (form.layer, role, shape)).collect::<Vec<_>>()
    });
    tensors.map(|(layer, role, shape)| (name(layer, role), layer, role, shape)).collect()
}
