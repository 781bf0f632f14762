//! An ONNX model's graph: its nodes, and the tensors that are in the file.
//!
//! Field numbers are those of `onnx.proto` (onnx/onnx). Only the main graph is read: the weights of an R-CNN are in no branch
//! or loop.

use std::collections::HashMap;

use super::wire::{Fields, Value};

/// Most nodes of a graph: a Mask R-CNN has two to six thousand.
const MOST_NODES: usize = 100_000;
/// Most inputs and outputs of all nodes together.
const MOST_EDGES: usize = 1_000_000;
/// Most axes of a tensor.
const MOST_AXES: usize = 8;
/// Integers of an attribute: two for each axis.
const MOST_INTEGERS: usize = 2 * MOST_AXES;

/// A graph whose texts and tensors are in the file.
#[derive(Debug, Default)]
pub(super) struct Graph<'a> {
    /// In the order of the file, in which every node comes after those that it reads.
    pub nodes: Vec<Node<'a>>,
    /// Tensors in the file, by name: initialisers, and values of `Constant` nodes.
    pub tensors: HashMap<&'a str, Tensor<'a>>,
}

/// One operation.
#[derive(Debug, Default)]
pub(super) struct Node<'a> {
    /// What it does: `Conv`.
    pub op: &'a str,
    /// Names of what it reads; an empty one is left out.
    pub inputs: Vec<&'a str>,
    /// Names of what it makes.
    pub outputs: Vec<&'a str>,
    /// Its attributes, as messages.
    attributes: Vec<&'a [u8]>,
    /// Bytes of these: what it costs to look one up.
    pub attribute_bytes: usize,
}

impl<'a> Node<'a> {
    fn read(message: &'a [u8], edges: &mut usize) -> Result<Self, String> {
        let mut node = Self::default();
        for field in Fields::of(message) {
            match field? {
                (1, value) => node.inputs.push(value.text()),
                (2, value) => node.outputs.push(value.text()),
                (4, value) => node.op = value.text(),
                (5, value) => {
                    node.attributes.push(value.bytes());
                    node.attribute_bytes += value.bytes().len();
                }
                _ => continue,
            }
            *edges += 1;
            if *edges > MOST_EDGES {
                return Err(too_large("inputs and outputs", MOST_EDGES));
            }
        }
        Ok(node)
    }

    /// An attribute's message.
    fn message(&self, name: &str) -> Option<&'a [u8]> {
        let called = |message: &&&[u8]| {
            let mut fields = Fields::of(message).flatten();
            fields.any(|(field, value)| field == 1 && value.text() == name)
        };
        self.attributes.iter().find(called).copied()
    }

    /// The value of an attribute's field of this number.
    fn attribute(&self, name: &str, number: u64) -> Option<Value<'a>> {
        Fields::of(self.message(name)?).flatten().find_map(|(field, value)| (field == number).then_some(value))
    }

    /// An integer attribute.
    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        self.attribute(name, 3)?.integer()
    }

    /// An attribute of several integers, which may be packed or not; none where there are more than any operator has.
    pub(super) fn integers(&self, name: &str) -> Option<Vec<i64>> {
        let all = Fields::of(self.message(name)?).flatten().filter(|(field, _)| *field == 8);
        let all: Option<Vec<i64>> =
            all.flat_map(|(_, value)| value.integers()).take(MOST_INTEGERS + 1).map(Result::ok).collect();
        all.filter(|all| all.len() <= MOST_INTEGERS)
    }

    /// A floating-point attribute.
    pub(super) fn float(&self, name: &str) -> Option<f32> {
        self.attribute(name, 2)?.float()
    }
}

/// A tensor in the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor<'a> {
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// Number of `TensorProto.DataType`.
    kind: i64,
    data: Data<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Data<'a> {
    /// Elements without gaps, little-endian.
    Raw(&'a [u8]),
    /// Packed f32 or f64, by the type.
    Floats(&'a [u8]),
    /// Packed integers.
    Integers(&'a [u8]),
    /// In another file, of this name.
    Elsewhere(&'a str),
    None,
}

impl<'a> Tensor<'a> {
    fn read(message: &'a [u8]) -> Result<(&'a str, Self), String> {
        let (mut name, mut shape, mut kind, mut data) = ("", Vec::new(), 0, Data::None);
        for field in Fields::of(message) {
            match field? {
                (1, value) => {
                    for extent in value.integers() {
                        if shape.len() == MOST_AXES {
                            return Err(bad(name, "has more axes than any layer"));
                        }
                        shape.push(usize::try_from(extent?).map_err(|_| bad(name, "has an extent below 0"))?);
                    }
                }
                (2, value) => kind = value.integer().unwrap_or(0),
                (4 | 10, value) => data = Data::Floats(value.bytes()),
                (5 | 7, Value::Bytes(bytes)) => data = Data::Integers(bytes),
                (8, value) => name = value.text(),
                (9, value) => data = Data::Raw(value.bytes()),
                (13, value) if !matches!(data, Data::Elsewhere(file) if !file.is_empty()) => {
                    let mut pair = ["", ""];
                    for field in Fields::of(value.bytes()) {
                        if let (number @ (1 | 2), value) = field? {
                            pair[number as usize - 1] = value.text();
                        }
                    }
                    data = Data::Elsewhere(if pair[0] == "location" { pair[1] } else { "" });
                }
                (14, value) if value.integer() == Some(1) && !matches!(data, Data::Elsewhere(_)) => {
                    data = Data::Elsewhere("");
                }
                _ => {}
            }
        }
        Ok((name, Self { shape, kind, data }))
    }

    /// A number that tensors of the same bytes have alike; those of others, rarely.
    pub(super) fn checksum(&self) -> u32 {
        match self.data {
            Data::Raw(bytes) | Data::Floats(bytes) | Data::Integers(bytes) => crc32fast::hash(bytes),
            Data::Elsewhere(_) | Data::None => 0,
        }
    }

    /// Number of elements.
    pub(super) fn len(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent))
    }

    /// The elements as f32, integers too, where they are as many as the shape says.
    pub(super) fn floats(&self, name: &str) -> Result<Vec<f32>, String> {
        let count = self.len().ok_or_else(|| bad(name, "has a shape of no tensor"))?;
        let raw = |width: usize, bytes: &'a [u8]| match bytes.len() == count.saturating_mul(width) {
            true => Ok(bytes.chunks_exact(width)),
            false => Err(bad(
                name,
                &format!("has {} bytes, and its shape {:?} takes another number", bytes.len(), self.shape),
            )),
        };
        fn each<const N: usize>(chunks: std::slice::ChunksExact<u8>, value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
            // Chunks are of N bytes each.
            chunks.map(|chunk| value(chunk.try_into().unwrap_or([0; N]))).collect()
        }
        Ok(match (self.kind, self.data) {
            (_, Data::Elsewhere(file)) => {
                let file =
                    if file.is_empty() { String::new() } else { format!(" (`{}`)", super::super::names::shown(file)) };
                return Err(format!(
                    "keeps tensors in another file{file}, which is not read: save it as one, with \
                     onnx.save_model(onnx.load(FILE), OUT, save_as_external_data=False)"
                ));
            }
            (1, Data::Raw(b) | Data::Floats(b)) => each(raw(4, b)?, f32::from_le_bytes),
            (11, Data::Raw(b) | Data::Floats(b)) => each(raw(8, b)?, |raw| f64::from_le_bytes(raw) as f32),
            (10, Data::Raw(b)) => each(raw(2, b)?, |raw| half::f16::from_le_bytes(raw).to_f32()),
            (16, Data::Raw(b)) => each(raw(2, b)?, |raw| half::bf16::from_le_bytes(raw).to_f32()),
            (2, Data::Raw(b)) => each(raw(1, b)?, |[byte]| f32::from(byte)),
            (3, Data::Raw(b)) => each(raw(1, b)?, |[byte]: [u8; 1]| f32::from(byte as i8)),
            (6, Data::Raw(b)) => each(raw(4, b)?, |raw| i32::from_le_bytes(raw) as f32),
            (7, Data::Raw(b)) => each(raw(8, b)?, |raw| i64::from_le_bytes(raw) as f32),
            (kind, Data::Integers(b)) => {
                let value: fn(i64) -> f32 = match kind {
                    10 => |bits| half::f16::from_bits(bits as u16).to_f32(),
                    16 => |bits| half::bf16::from_bits(bits as u16).to_f32(),
                    2 | 3 | 6 | 7 => |v| v as f32,
                    _ => return Err(bad(name, "is of a type that no weights have")),
                };
                // One byte at least each.
                let mut values = Vec::with_capacity(count.min(b.len()));
                for v in Value::Bytes(b).integers().take(count.saturating_add(1)) {
                    values.push(value(v?));
                }
                if values.len() != count {
                    return Err(bad(name, &format!("has another number of values than its shape {:?}", self.shape)));
                }
                values
            }
            (_, Data::None) if count == 0 => Vec::new(),
            (_, Data::None) => return Err(bad(name, "has no elements")),
            _ => return Err(bad(name, "is of a type that no weights have")),
        })
    }
}

impl<'a> Graph<'a> {
    /// The main graph of a model.
    pub(super) fn read(model: &'a [u8]) -> Result<Self, String> {
        let mut found = None;
        for field in Fields::of(model) {
            if let (7, value) = field? {
                found = Some(value.bytes());
            }
        }
        let message = found.ok_or("is an ONNX model without a graph: download or export it again")?;
        let (mut graph, mut edges) = (Self::default(), 0);
        for field in Fields::of(message) {
            match field? {
                (1, value) => {
                    let node = Node::read(value.bytes(), &mut edges)?;
                    if let ("Constant", [output]) = (node.op, &node.outputs[..]) {
                        if let Some(value) = node.attribute("value", 5) {
                            graph.tensors.insert(output, Tensor::read(value.bytes())?.1);
                        }
                    } else {
                        graph.nodes.push(node);
                    }
                }
                (5, value) => {
                    let (name, tensor) = Tensor::read(value.bytes())?;
                    graph.tensors.insert(name, tensor);
                }
                _ => {}
            }
            if graph.nodes.len() + graph.tensors.len() > MOST_NODES {
                return Err(too_large("nodes and tensors", MOST_NODES));
            }
        }
        Ok(graph)
    }
}

fn bad(name: &str, reason: &str) -> String {
    format!("is no sound ONNX model: its tensor `{}` {reason}", super::super::names::shown(name))
}

fn too_large(what: &str, most: usize) -> String {
    format!("is an ONNX model of more than {most} {what}: no Mask R-CNN has so many")
}
