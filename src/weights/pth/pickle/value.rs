//! The values that a pickle makes: an arena of small nodes that refer to each other by number.
//!
//! A value may be contained in many others, and in itself. So nothing here follows references on its own, and
//! dropping the arena is flat.

use std::collections::HashMap;

use safetensors::Dtype;

use super::globals::Global;

/// Most nodes in an arena, and most references between them. The checkpoint of a large network in training, with
/// its optimizer, has 50,000.
pub(super) const MOST: usize = 1_000_000;

/// Most tensors, most storages, and most mentions of unknown names.
pub(in super::super) const MOST_TENSORS: usize = 65_536;

/// A node's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in super::super) struct Id(u32);

impl Id {
    /// No node: an unused place of the memo.
    pub(crate) const NONE: Self = Self(u32::MAX);

    fn new(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }

    fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where a string lies in the pickle's program.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Span {
    pub start: u32,
    pub length: u32,
}

/// The elements of a container: a chain of links, or nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Chain {
    /// First and last link, each plus one; 0 if there is none.
    first: u32,
    last: u32,
}

/// One element of a container and where the next is.
#[derive(Clone, Copy)]
struct Link {
    value: Id,
    /// Plus one; 0 at the end. A link only ever refers to one made after it, so that every chain ends.
    next: u32,
}

/// A Python object, as far as weights need it.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Node {
    None,
    Bool(bool),
    Int(i64),
    /// What weights do not need outside of tensors: a float, a set, a long integer.
    Plain,
    /// Bytes, which may be an array's elements.
    Data(Coding, Span),
    Text(Span),
    Tuple(Chain),
    List(Chain),
    /// Keys and values in turn: a dict or an OrderedDict.
    Dict(Chain),
    Global(Global),
    /// Number for [`Arena::storage`].
    Storage(u32),
    /// Number for [`Arena::tensor`].
    Tensor(u32),
    /// Number for [`Arena::array`]: an array of NumPy's.
    Array(u32),
    /// Number for [`Arena::dtype`]: an element type of NumPy's.
    Dtype(u32),
    /// What a name that this reader does not know stands for, or would make if it were called.
    Opaque(Opaque),
}

impl Node {
    /// What is opaque, if it is.
    pub(crate) fn opaque(&self) -> Option<Opaque> {
        if let Self::Opaque(opaque) = self { Some(*opaque) } else { None }
    }
}

/// A class, a function or an object that may be there and that nothing is read from, such as a training script's
/// arguments.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Opaque {
    /// Number of its name.
    pub(super) name: u32,
    /// Whether it was made of a tensor's data: a kind of tensor that is not known here.
    pub data: bool,
}

/// A storage: a flat array of numbers outside of the pickle.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Storage {
    pub dtype: Dtype,
    /// Its name in the container.
    pub key: Span,
    /// Number of elements.
    pub count: u64,
    /// First element and number of elements of the part that is meant, if not the whole.
    pub part: Option<(u64, u64)>,
}

/// A tensor: a view of a storage. Its numbers are as the pickle has them, not checked against the storage.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Tensor {
    /// Number for [`Arena::storage`].
    pub storage: u32,
    /// First element within the storage.
    pub offset: u64,
    /// Values of a tuple, due to be ints.
    pub shape: Chain,
    /// Values of a tuple, due to be ints.
    pub strides: Chain,
}

/// How bytes are written down in a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Coding {
    /// As they are.
    Raw,
    /// Each as a character of UTF-8: what Python 3 makes of them for protocol 2.
    Utf8,
    /// As Latin-1, some as `\uXXXX`: the same for protocols 0 and 1.
    Unicode,
    /// As in a program of Python 2, without the quotes: `\x00`, `\n`.
    Quoted,
}

/// An element type of NumPy's: `f4` and the like, and the order of its bytes.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct ElementType {
    pub name: Span,
    pub order: Order,
}

/// The order of an element's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Order {
    Little,
    Big,
    /// There are fields or arrays within the element: not a number.
    Parts,
}

/// An array of NumPy's. Its numbers are as the pickle has them.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Array {
    /// Number for [`Arena::dtype`].
    pub dtype: u32,
    /// Values of a tuple, due to be ints.
    pub shape: Chain,
    /// Whether the first axis runs fastest.
    pub fortran: bool,
    /// Its elements; none where they are objects, or were never given.
    pub data: Option<(Coding, Span)>,
}

/// All values of a pickle.
#[derive(Default)]
pub(in super::super) struct Arena {
    nodes: Vec<Node>,
    links: Vec<Link>,
    storages: Vec<Storage>,
    tensors: Vec<Tensor>,
    arrays: Vec<Array>,
    dtypes: Vec<ElementType>,
    /// Module and name of what is opaque.
    names: Vec<[Span; 2]>,
    /// Objects of TorchScript's classes, and their attributes.
    attributes: HashMap<Id, Chain>,
    /// A storage of a type that is not known was described.
    pub foreign: bool,
}

/// An arena would grow over [`MOST`].
pub(in super::super) struct Full;

impl Arena {
    /// Adds a value.
    pub(crate) fn add(&mut self, node: Node) -> Result<Id, Full> {
        if self.nodes.len() >= MOST {
            return Err(Full);
        }
        self.nodes.push(node);
        Ok(Id::new(self.nodes.len() - 1))
    }

    /// The value of this number; None for one that no `add` returned.
    pub(crate) fn node(&self, id: Id) -> Node {
        self.nodes.get(id.index()).copied().unwrap_or(Node::None)
    }

    /// Adds a storage.
    pub(crate) fn add_storage(&mut self, storage: Storage) -> Result<Node, Full> {
        add(&mut self.storages, storage).map(Node::Storage)
    }

    /// Adds a tensor.
    pub(crate) fn add_tensor(&mut self, tensor: Tensor) -> Result<Node, Full> {
        add(&mut self.tensors, tensor).map(Node::Tensor)
    }

    /// Adds an array.
    pub(crate) fn add_array(&mut self, array: Array) -> Result<Node, Full> {
        add(&mut self.arrays, array).map(Node::Array)
    }

    /// Adds an element type.
    pub(crate) fn add_dtype(&mut self, dtype: ElementType) -> Result<Node, Full> {
        add(&mut self.dtypes, dtype).map(Node::Dtype)
    }

    /// The array of a [`Node::Array`].
    pub(crate) fn array(&self, number: u32) -> Option<&Array> {
        self.arrays.get(number as usize)
    }

    /// The same, to be completed.
    pub(crate) fn array_mut(&mut self, number: u32) -> Option<&mut Array> {
        self.arrays.get_mut(number as usize)
    }

    /// The element type of a [`Node::Dtype`].
    pub(crate) fn dtype(&self, number: u32) -> Option<&ElementType> {
        self.dtypes.get(number as usize)
    }

    /// The same, to be completed.
    pub(crate) fn dtype_mut(&mut self, number: u32) -> Option<&mut ElementType> {
        self.dtypes.get_mut(number as usize)
    }

    /// Adds the name of something opaque.
    pub(crate) fn add_opaque(&mut self, module: Span, name: Span) -> Result<Node, Full> {
        add(&mut self.names, [module, name]).map(|name| Node::Opaque(Opaque { name, data: false }))
    }

    /// Keeps the attributes of an object; no more objects have some than there are values.
    pub(super) fn set_attributes(&mut self, object: Id, attributes: Chain) {
        self.attributes.insert(object, attributes);
    }

    /// The attributes of an object of one of TorchScript's classes: names and values in turn.
    pub(in super::super) fn attributes(&self, object: Id) -> Option<Chain> {
        self.attributes.get(&object).copied()
    }

    /// Module and name of something opaque.
    pub(crate) fn name(&self, opaque: Opaque) -> [Span; 2] {
        self.names.get(opaque.name as usize).copied().unwrap_or([Span { start: 0, length: 0 }; 2])
    }

    /// Whether a value is or holds a tensor's data, as far as a look at its first parts tells.
    pub(crate) fn has_data(&self, node: Node) -> bool {
        /// Values looked at: what calls make tensors of has a handful.
        const LOOKED_AT: usize = 64;
        let mut left = vec![node];
        let mut looked = 0;
        while let Some(node) = left.pop() {
            match node {
                Node::Storage(_) | Node::Tensor(_) | Node::Array(_) => return true,
                Node::Opaque(opaque) if opaque.data => return true,
                Node::Tuple(chain) => {
                    let room = LOOKED_AT.saturating_sub(looked);
                    let before = left.len();
                    left.extend(self.items(chain).take(room).map(|id| self.node(id)));
                    looked += left.len() - before;
                }
                _ => {}
            }
        }
        false
    }

    /// All storages.
    pub(crate) fn storages(&self) -> &[Storage] {
        &self.storages
    }

    /// The storage of a [`Node::Storage`] or [`Tensor`].
    pub(crate) fn storage(&self, number: u32) -> Option<&Storage> {
        self.storages.get(number as usize)
    }

    /// The tensor of a [`Node::Tensor`].
    pub(crate) fn tensor(&self, number: u32) -> Option<&Tensor> {
        self.tensors.get(number as usize)
    }

    /// A container of `values`.
    pub(crate) fn chain(&mut self, values: &[Id]) -> Result<Chain, Full> {
        let mut chain = Chain::default();
        values.iter().try_for_each(|&value| self.append(&mut chain, value))?;
        Ok(chain)
    }

    /// Adds an element to the end of a container.
    fn append(&mut self, chain: &mut Chain, value: Id) -> Result<(), Full> {
        if self.links.len() >= MOST {
            return Err(Full);
        }
        self.links.push(Link { value, next: 0 });
        let added = Id::new(self.links.len()).0;
        match chain.last.checked_sub(1).and_then(|last| self.links.get_mut(last as usize)) {
            Some(last) => last.next = added,
            None => chain.first = added,
        }
        chain.last = added;
        Ok(())
    }

    /// Adds `values` to the list or dict `id`; other values are left as they are.
    pub(crate) fn extend(&mut self, id: Id, values: &[Id]) -> Result<(), Full> {
        let node = self.node(id);
        let (Node::List(mut chain) | Node::Dict(mut chain)) = node else { return Ok(()) };
        values.iter().try_for_each(|&value| self.append(&mut chain, value))?;
        if let Some(place) = self.nodes.get_mut(id.index()) {
            *place = if matches!(node, Node::List(_)) { Node::List(chain) } else { Node::Dict(chain) };
        }
        Ok(())
    }

    /// The elements of a container.
    pub(crate) fn items(&self, chain: Chain) -> impl Iterator<Item = Id> {
        let mut next = chain.first;
        std::iter::from_fn(move || {
            let link = self.links.get(next.checked_sub(1)? as usize)?;
            next = link.next;
            Some(link.value)
        })
    }

    /// Keys and values of a dict.
    pub(crate) fn pairs(&self, dict: Chain) -> impl Iterator<Item = (Id, Id)> {
        let mut items = self.items(dict);
        std::iter::from_fn(move || Some((items.next()?, items.next()?)))
    }

    /// The elements of a container if there are no more than `N` of them, and how many.
    pub(crate) fn few<const N: usize>(&self, chain: Chain) -> Option<([Node; N], usize)> {
        let mut found = [Node::None; N];
        let mut count = 0;
        for id in self.items(chain) {
            *found.get_mut(count)? = self.node(id);
            count += 1;
        }
        Some((found, count))
    }
}

/// Adds to the storages, tensors or names; returns the number.
fn add<T>(list: &mut Vec<T>, item: T) -> Result<u32, Full> {
    if list.len() >= MOST_TENSORS {
        return Err(Full);
    }
    list.push(item);
    Ok(list.len() as u32 - 1)
}
