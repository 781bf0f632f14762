//! What a pickle may ask for beyond plain values: storages, tensors, and a few harmless classes. The calls are
//! imitated, and their arguments checked one by one.

use super::super::SAVE_STATE;
use super::globals::Global;
use super::machine::Machine;
use super::text;
use super::value::{Chain, Full, Id, Node, Storage, Tensor};

/// Longest name of a storage; torch's are numbers. Many tensors may share a storage, and each looks its name up.
const LONGEST_KEY: u32 = 255;

impl Machine<'_> {
    /// BINPERSID: the storage that a tuple describes.
    pub fn persistent(&mut self) -> Result<(), String> {
        let Node::Tuple(fields) = self.pop()? else {
            return Err(self.corrupt("describes a storage by something that is no tuple"));
        };
        let is = |node: &Node, word: &[u8]| matches!(node, Node::Text(span) if text(self.program, *span) == word);
        let (fields, count) = self.arena.few::<6>(fields).unwrap_or(([Node::None; 6], 0));
        if is(&fields[0], b"module") {
            return Err(format!("holds a whole Python model, not its weights: {SAVE_STATE}"));
        }
        let [kind, Node::Global(Global::Storage(dtype)), Node::Text(key), Node::Text(_), Node::Int(size), part] =
            fields
        else {
            return Err(self.corrupt("describes a storage by other fields than its class, key, device and size"));
        };
        if count < 5 || !is(&kind, b"storage") {
            return Err(self.corrupt("refers to something outside that is no storage"));
        }
        if key.length > LONGEST_KEY {
            return Err(self.corrupt(&format!("names a storage by {} bytes", key.length)));
        }
        let size = self.natural(size, "a storage's size")?;
        let part = match part {
            Node::None => None,
            Node::Tuple(part) => match self.arena.few::<3>(part) {
                Some(([Node::Text(_), Node::Int(offset), Node::Int(length)], 3)) => {
                    let offset = self.natural(offset, "a storage's offset")?;
                    let length = self.natural(length, "a storage's size")?;
                    Some((offset, length))
                }
                _ => return Err(self.corrupt("describes a part of a storage by other fields than offset and size")),
            },
            _ => return Err(self.corrupt("describes a part of a storage by something that is no tuple")),
        };
        let node = self.arena.add_storage(Storage { dtype, key, count: size, part });
        self.push(node.map_err(|Full| self.full())?)
    }

    /// REDUCE: a function called with a tuple of arguments.
    pub fn reduce(&mut self) -> Result<(), String> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (Node::Global(function), Node::Tuple(arguments)) = (function, arguments) else {
            return Err(self.corrupt("calls something that is no function"));
        };
        let few = self.arena.few::<7>(arguments);
        let Some((arguments, count)) = few else { return Err(self.wrong(function)) };
        let node = match (function, &arguments[..count]) {
            (Global::OrderedDict, []) => Node::Dict(Chain::default()),
            // Python 2 hands over the pairs.
            (Global::OrderedDict, &[Node::List(pairs)]) => self.dict(pairs)?,
            (Global::Counter, [] | [Node::Dict(_)]) => Node::Inert(function),
            (Global::Size, &[Node::Tuple(sizes)]) => Node::Tuple(sizes),
            (Global::Device, [Node::Text(_)] | [Node::Text(_), Node::Int(_)]) => Node::Inert(function),
            (Global::RebuildTensor, &[storage, offset, shape, strides]) => {
                self.tensor(function, [storage, offset, shape, strides])?
            }
            (
                Global::RebuildTensorV2,
                &[storage, offset, shape, strides, Node::Bool(_), Node::Dict(_) | Node::None, ref rest @ ..],
            ) => {
                // The metadata can say that the values count negated or conjugated; no real weights do.
                match *rest {
                    [] | [Node::None] => {}
                    [Node::Dict(metadata)] if self.arena.items(metadata).next().is_none() => {}
                    _ => return Err(self.wrong(function)),
                }
                self.tensor(function, [storage, offset, shape, strides])?
            }
            (Global::RebuildParameter, &[Node::Tensor(index), Node::Bool(_), Node::Dict(_) | Node::None]) => {
                Node::Tensor(index)
            }
            _ => return Err(self.wrong(function)),
        };
        self.push(node)
    }

    /// NEWOBJ: an object of a class without arguments. BUILD fills it.
    pub fn new_object(&mut self) -> Result<(), String> {
        match (self.pop()?, self.pop()?) {
            (Node::Tuple(arguments), Node::Global(Global::Namespace))
                if self.arena.items(arguments).next().is_none() =>
            {
                self.push(Node::Inert(Global::Namespace))
            }
            (_, Node::Global(class)) => Err(self.wrong(class)),
            _ => Err(self.corrupt("makes an object of something that is no class")),
        }
    }

    /// BUILD: attributes for an object, such as `_metadata` for a state dict. Nothing reads them.
    pub fn build(&mut self) -> Result<(), String> {
        let attributes = self.pop()?;
        match (self.container(0)?.1, attributes) {
            (Node::Dict(_) | Node::Inert(Global::Namespace | Global::Counter), Node::Dict(_)) => Ok(()),
            _ => Err(self.corrupt("gives attributes to something that has none")),
        }
    }

    /// A dict of a list of pairs.
    fn dict(&mut self, pairs: Chain) -> Result<Node, String> {
        let mut flat: Vec<Id> = Vec::new();
        for pair in self.arena.items(pairs) {
            let (Node::Tuple(pair) | Node::List(pair)) = self.arena.node(pair) else {
                return Err(self.corrupt("makes a dict of something else than pairs"));
            };
            let before = flat.len();
            flat.extend(self.arena.items(pair).take(3));
            if flat.len() != before + 2 {
                return Err(self.corrupt("makes a dict of something else than pairs"));
            }
        }
        Ok(Node::Dict(self.arena.chain(&flat).map_err(|Full| self.full())?))
    }

    /// A view of a storage, as far as can be said without the storage.
    fn tensor(&mut self, function: Global, arguments: [Node; 4]) -> Result<Node, String> {
        let [Node::Storage(storage), Node::Int(offset), Node::Tuple(shape), Node::Tuple(strides)] = arguments else {
            return Err(self.wrong(function));
        };
        let offset = self.natural(offset, "a tensor's offset")?;
        let node = self.arena.add_tensor(Tensor { storage, offset, shape, strides });
        node.map_err(|Full| self.full())
    }

    /// A number that must not be negative.
    fn natural(&self, value: i64, what: &str) -> Result<u64, String> {
        u64::try_from(value).map_err(|_| self.corrupt(&format!("gives {what} as {value}")))
    }

    fn wrong(&self, function: Global) -> String {
        self.corrupt(&format!("calls {function:?} with wrong arguments"))
    }
}
