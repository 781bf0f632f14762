//! TorchScript archives: a tree of objects whose classes are in the archive's `code/`, and whose attributes are parameters,
//! buffers, settings and further objects. Of that the tensors are taken, each by the attributes that lead to it, which is what
//! a state dict calls it. The code is not read, and nothing of a class's is called.

use super::pickle::{Chain, Id, Node, Pickle, lossy};
use super::{DOWNLOAD, SAVE_STATE};
use crate::weights::names::shown;

/// Objects within objects. A detector's are about ten deep.
const DEEPEST: usize = 64;

/// Most attributes looked at, in all: one object may be an attribute of many. A large detector's are 20,000.
const MOST_LOOKED_AT: usize = 1 << 20;

/// Longest name, in bytes.
const LONGEST: usize = 1024;

/// Most bytes of all names.
const MOST_NAMES: usize = 16 << 20;

/// A tensor of the tree by its name.
pub(super) type Named = (String, Node);

/// The tensors of the program whose root object is the pickle's, in the order of its attributes.
///
/// # Errors
/// What is wrong and what to do, as a sentence that reads on after the file's name.
pub(super) fn tensors(pickle: &Pickle<'_>) -> Result<Vec<Named>, String> {
    let Some(root) = pickle.arena.attributes(pickle.root) else {
        return Err(format!("is a TorchScript program without an object of its own, so without weights: {SAVE_STATE}"));
    };
    let mut walk = Walk { pickle, within: vec![pickle.root], looked_at: 0, bytes: 0, found: Vec::new() };
    walk.object(root, "")?;
    if walk.found.is_empty() {
        return Err(format!(
            "is a TorchScript program without parameters or buffers, as `torch.jit.freeze` makes them of its code's constants: \
             {SAVE_STATE} before it is frozen"
        ));
    }
    Ok(walk.found)
}

/// A tree being walked.
struct Walk<'a, 'p> {
    pickle: &'a Pickle<'p>,
    /// The objects that lead to the one at hand.
    within: Vec<Id>,
    looked_at: usize,
    bytes: usize,
    found: Vec<Named>,
}

impl Walk<'_, '_> {
    fn object(&mut self, attributes: Chain, prefix: &str) -> Result<(), String> {
        let arena = &self.pickle.arena;
        for (key, value) in arena.pairs(attributes) {
            self.looked_at += 1;
            if self.looked_at > MOST_LOOKED_AT {
                return Err(format!(
                    "has more than {MOST_LOOKED_AT} attributes, far more than a network's objects have: {SAVE_STATE}"
                ));
            }
            let (Node::Text(key), node) = (arena.node(key), arena.node(value)) else { continue };
            let inner = arena.attributes(value);
            let is_tensor = matches!(node, Node::Tensor(_));
            if inner.is_none() && !is_tensor {
                continue;
            }
            let name = self.name(prefix, self.pickle.text(key))?;
            match inner {
                Some(inner) => {
                    if self.within.contains(&value) {
                        return Err(format!("is corrupt: its object `{}` contains itself: {DOWNLOAD}", shown(&name)));
                    }
                    if self.within.len() > DEEPEST {
                        return Err(format!("has objects more than {DEEPEST} deep within each other: {SAVE_STATE}"));
                    }
                    self.within.push(value);
                    self.object(inner, &format!("{name}."))?;
                    self.within.pop();
                }
                None => {
                    self.bytes += name.len();
                    if self.bytes > MOST_NAMES {
                        return Err(format!("has more than {MOST_NAMES} bytes of tensors' names: {SAVE_STATE}"));
                    }
                    self.found.push((name, node));
                }
            }
        }
        Ok(())
    }

    /// The name of an attribute.
    fn name(&self, prefix: &str, key: &[u8]) -> Result<String, String> {
        if prefix.len() + key.len() > LONGEST {
            let begins = shown(&lossy(&[prefix.as_bytes(), key].concat()));
            return Err(format!("has an attribute of more than {LONGEST} bytes, `{begins}`: {SAVE_STATE}"));
        }
        let key = std::str::from_utf8(key).map_err(|_| {
            format!("is corrupt: the name of attribute `{}` is not UTF-8: {SAVE_STATE}", shown(&lossy(key)))
        })?;
        Ok(format!("{prefix}{key}"))
    }
}
