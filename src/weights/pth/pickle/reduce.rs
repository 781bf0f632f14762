//! What a pickle may ask for beyond plain values: storages, tensors, and a few harmless classes. The calls are
//! imitated, and their arguments checked one by one. What an unknown name would make is opaque.

use super::super::SAVE_STATE;
use super::globals::{self, Global};
use super::machine::Machine;
use super::text;
use super::value::{Chain, Full, Id, Node, Opaque, Span, Storage, Tensor};

/// Longest name of a storage; torch's are numbers. Many tensors may share a storage, and each looks its name up.
const LONGEST_KEY: u32 = 255;

impl Machine<'_> {
    /// BINPERSID: the storage that a tuple describes.
    pub(super) fn persistent(&mut self) -> Result<(), String> {
        let Node::Tuple(fields) = self.pop()? else {
            return Err(self.corrupt("describes a storage by something that is no tuple"));
        };
        let is = |node: &Node, word: &[u8]| matches!(node, Node::Text(span) if text(self.program, *span) == word);
        let (fields, count) = self.arena.few::<6>(fields).unwrap_or(([Node::None; 6], 0));
        // The legacy container has the source text beside the class of a model's object.
        match fields[..2] {
            [kind, class @ Node::Opaque(_)] if is(&kind, b"module") => return self.push(class),
            [kind, _] if is(&kind, b"module") => {
                return Err(format!("holds a whole Python model, not its weights: {SAVE_STATE}"));
            }
            // Of a type that weights do not have.
            [kind, Node::Opaque(class)] if is(&kind, b"storage") && count >= 5 => {
                self.arena.foreign = true;
                return self.push(Node::Opaque(Opaque { data: true, ..class }));
            }
            _ => {}
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

    /// GLOBAL and STACK_GLOBAL: what a name stands for.
    pub(super) fn global(&mut self, module: Span, name: Span) -> Result<(), String> {
        let of = |span| text(self.program, span);
        let node = match globals::find(of(module), of(name))? {
            Some(known) => {
                if known == Global::GetAttr {
                    self.suspect = Some(globals::refusal(of(module), of(name)));
                }
                Node::Global(known)
            }
            None => self.arena.add_opaque(module, name).map_err(|Full| self.full())?,
        };
        self.push(node)
    }

    /// Refuses what named `getattr` and did not ask a class for one of its own functions by it.
    pub(super) fn unsuspected(&self) -> Result<(), String> {
        self.suspect.clone().map_or(Ok(()), Err)
    }

    /// A class's own function, as opaque as the class.
    fn attribute(&mut self, arguments: &[Node]) -> Result<Node, String> {
        match *arguments {
            [class @ Node::Opaque(_), Node::Text(_)] => {
                self.suspect = None;
                Ok(class)
            }
            _ => Err(self.suspect.clone().unwrap_or_else(|| self.wrong(Global::GetAttr))),
        }
    }

    /// REDUCE: a function called with a tuple of arguments.
    pub(super) fn reduce(&mut self) -> Result<(), String> {
        let (given, function) = (self.pop()?, self.pop()?);
        let (function, arguments) = match (function, given) {
            (Node::Opaque(function), Node::Tuple(_) | Node::Opaque(_)) => return self.opaque(function, given),
            (Node::Global(_), Node::Opaque(arguments)) => return self.opaque(arguments, given),
            (Node::Global(function), Node::Tuple(arguments)) => (function, arguments),
            _ => return Err(self.corrupt("calls something that is no function")),
        };
        let few = self.arena.few::<7>(arguments);
        let Some((arguments, count)) = few else { return Err(self.wrong(function)) };
        let node = match (function, &arguments[..count]) {
            (Global::OrderedDict, []) => Node::Dict(Chain::default()),
            // Python 2 hands over the pairs.
            (Global::OrderedDict, &[Node::List(pairs)]) => self.dict(pairs)?,
            // The argument makes what a missing key stands for.
            (Global::DefaultDict, [] | [_]) => Node::Dict(Chain::default()),
            (Global::Size, &[Node::Tuple(sizes)]) => Node::Tuple(sizes),
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
            (
                Global::Reconstruct
                | Global::FromBuffer
                | Global::NumpyDtype
                | Global::NumpyScalar
                | Global::Encode
                | Global::NdArray,
                arguments,
            ) => self.numpy(function, arguments)?,
            (Global::GetAttr, arguments) => self.attribute(arguments)?,
            (Global::RebuildParameter, &[Node::Tensor(index), Node::Bool(_), Node::Dict(_) | Node::None]) => {
                Node::Tensor(index)
            }
            (_, arguments) => {
                let unknown = arguments.iter().find_map(Node::opaque);
                // What is made of something opaque is so, too.
                return unknown.map_or(Err(self.wrong(function)), |unknown| self.opaque(unknown, given));
            }
        };
        self.push(node)
    }

    /// What an unknown name makes of `arguments`.
    fn opaque(&mut self, maker: Opaque, arguments: Node) -> Result<(), String> {
        let data = maker.data || self.arena.has_data(arguments);
        self.push(Node::Opaque(Opaque { data, ..maker }))
    }

    /// NEWOBJ and NEWOBJ_EX: an object of a class, made of a tuple of arguments and, with two, a dict of named ones.
    pub(super) fn new_object(&mut self, arguments: usize) -> Result<(), String> {
        if arguments > 1 {
            self.pop()?;
        }
        match (self.pop()?, self.pop()?) {
            (given, Node::Opaque(class)) => self.opaque(class, given),
            // Classes of NumPy's that are no arrays of weights.
            (_, Node::Global(Global::NdArray | Global::NumpyDtype)) => self.push(Node::Plain),
            (_, Node::Global(class)) => Err(self.wrong(class)),
            _ => Err(self.corrupt("makes an object of something that is no class")),
        }
    }

    /// BUILD: attributes for an object, such as `_metadata` for a state dict. Nothing reads them but those of TorchScript's
    /// objects, of which the tensors are.
    pub(super) fn build(&mut self) -> Result<(), String> {
        let attributes = self.pop()?;
        let (id, object) = self.container(0)?;
        if let (Node::Opaque(opaque), Node::Dict(attributes)) = (object, attributes)
            && globals::of_script(text(self.program, self.arena.name(opaque)[0]))
        {
            self.arena.set_attributes(id, attributes);
            return Ok(());
        }
        match (object, attributes) {
            (Node::Dict(_), Node::Dict(_) | Node::Tuple(_) | Node::Opaque(_)) | (Node::Opaque(_), _) => Ok(()),
            (Node::Array(array), Node::Tuple(state)) => self.fill_array(array, state),
            (Node::Dtype(dtype), Node::Tuple(state)) => self.fill_dtype(dtype, state),
            (Node::Array(_) | Node::Dtype(_) | Node::Plain, _) => Ok(()),
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
        if let Some(unknown) = arguments.iter().find_map(Node::opaque) {
            return Ok(Node::Opaque(Opaque { data: true, ..unknown }));
        }
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
