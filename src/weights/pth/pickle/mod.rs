//! A pickle machine that executes nothing.
//!
//! [`machine`] has the instructions that torch.save writes (protocols 2 to 5) and those by which older protocols write plain
//! values, [`cursor`] what lies among them, [`reduce`] the few calls that it imitates, [`numpy`] those of NumPy's arrays,
//! [`globals`] the names it knows, and [`value`] the arena that the values live in. The memory for a
//! pickle has a fixed bound, about 60 MB, whatever the pickle says, and time is linear in the pickle's length.
//!
//! Training scripts save more than tensors: paths, dates, NumPy's numbers, their own classes. What a name that is not
//! known here stands for, and what calling it would give, is one opaque value that takes everything and holds nothing.

mod cursor;
mod globals;
mod machine;
mod numpy;
mod opcode;
mod reduce;
mod value;

pub(super) use globals::lossy;
pub(super) use machine::{run, run_whole};
pub(super) use value::{Arena, Chain, Coding, Id, MOST_TENSORS, Node, Opaque, Order, Span, Storage, Tensor};

/// What a pickle has built.
pub(super) struct Pickle<'a> {
    /// The bytes that it was read from; [`Span`]s refer to them.
    program: &'a [u8],
    pub arena: Arena,
    /// The object that was pickled.
    pub root: Id,
    /// Length of the program.
    pub length: usize,
}

impl Pickle<'_> {
    /// The bytes of a string.
    pub(super) fn text(&self, span: Span) -> &[u8] {
        text(self.program, span)
    }

    /// The object that was pickled.
    pub(super) fn root(&self) -> Node {
        self.arena.node(self.root)
    }

    /// The name behind something opaque, for messages, and whether models are made of its kind.
    pub(super) fn name(&self, opaque: Opaque) -> (String, bool) {
        let [module, name] = self.arena.name(opaque).map(|span| self.text(span));
        (globals::full(module, name), globals::of_model(module))
    }
}

/// The bytes of a string; spans are only made of what was read from `program`.
fn text(program: &[u8], span: Span) -> &[u8] {
    let start = span.start as usize;
    program.get(start..start.saturating_add(span.length as usize)).unwrap_or_default()
}
