//! What a pickle asks of NumPy: arrays, their element types, and the detour by which bytes are written before protocol 3.
//! Every call is imitated, and none can do more than describe a place in the program.
//!
//! What is no array of numbers (objects, records, dates) stays an array without elements: training scripts save such
//! beside weights, and only who needs one as weights refuses it.

use super::globals::Global;
use super::machine::Machine;
use super::text;
use super::value::{Array, Chain, Coding, ElementType, Full, Node, Order, Span};

impl Machine<'_> {
    /// A call of NumPy's, or of `_codecs.encode`.
    pub(super) fn numpy(&mut self, function: Global, arguments: &[Node]) -> Result<Node, String> {
        let nothing = Array { dtype: u32::MAX, shape: Chain::default(), fortran: false, data: None };
        let node = match (function, arguments) {
            // The class, a shape and a type, none of which stays.
            (Global::Reconstruct, [Node::Global(Global::NdArray) | Node::Opaque(_), _, _]) => {
                self.arena.add_array(nothing)
            }
            (Global::FromBuffer, &[data, Node::Dtype(dtype), Node::Tuple(shape), order]) => {
                let fortran = matches!(order, Node::Text(span) if text(self.program, span) == b"F");
                self.arena.add_array(Array { dtype, shape, fortran, data: elements(data) })
            }
            (Global::NumpyDtype, [Node::Text(name), ..]) => {
                self.arena.add_dtype(ElementType { name: *name, order: Order::Little })
            }
            (Global::Reconstruct | Global::FromBuffer, _) => self.arena.add_array(nothing),
            (Global::Encode, &[Node::Text(span), Node::Text(codec)]) if self.is_latin(codec) => {
                Ok(Node::Data(Coding::Utf8, span))
            }
            (Global::Encode, &[data @ Node::Data(Coding::Unicode, _), Node::Text(codec)]) if self.is_latin(codec) => {
                Ok(data)
            }
            _ => Ok(Node::Plain),
        };
        node.map_err(|Full| self.full())
    }

    fn is_latin(&self, codec: Span) -> bool {
        matches!(text(self.program, codec), b"latin1" | b"latin-1")
    }

    /// The state of an array: (version, shape, type, whether the first axis runs fastest, elements), without the version in
    /// the oldest.
    pub(super) fn fill_array(&mut self, number: u32, state: Chain) -> Result<(), String> {
        let (fields, data) = match self.arena.few::<5>(state) {
            Some(([_, shape, dtype, order, data], 5)) => ([shape, dtype, order], data),
            Some(([shape, dtype, order, data, _], 4)) => ([shape, dtype, order], data),
            // Of a class of its own.
            _ => return Ok(()),
        };
        let fortran = match fields[2] {
            Node::Bool(fortran) => fortran,
            Node::Int(fortran) => fortran != 0,
            _ => return Ok(()),
        };
        if let ([Node::Tuple(shape), Node::Dtype(dtype), _], Some(array)) = (fields, self.arena.array_mut(number)) {
            *array = Array { dtype, shape, fortran, data: elements(data) };
        }
        Ok(())
    }

    /// The state of an element type: (version, order of bytes, the array within, names, fields, …).
    pub(super) fn fill_dtype(&mut self, number: u32, state: Chain) -> Result<(), String> {
        let first: Vec<Node> = self.arena.items(state).take(5).map(|id| self.arena.node(id)).collect();
        let order = match first[..] {
            [_, Node::Text(order), Node::None, Node::None, Node::None] => match text(self.program, order) {
                b"<" | b"|" | b"=" => Order::Little,
                b">" => Order::Big,
                _ => Order::Parts,
            },
            _ => Order::Parts,
        };
        if let Some(dtype) = self.arena.dtype_mut(number) {
            dtype.order = order;
        }
        Ok(())
    }
}

/// An array's elements, if this is such. Python 2's strings are bytes.
fn elements(node: Node) -> Option<(Coding, Span)> {
    match node {
        Node::Data(coding, span) => Some((coding, span)),
        Node::Text(span) => Some((Coding::Raw, span)),
        _ => None,
    }
}
