//! What a checkpoint of MMDetection's says of its network beside the tensors: under `meta`, the configuration of its training as
//! the text of a Python program, and the names of its classes.

use super::pickle::{Chain, Node, Pickle};
use crate::weights::python::Literal;
use crate::weights::selection::Told;

/// Most classes, and bytes of a name.
const MOST: usize = 4096;
const LONGEST: usize = 256;

/// What there is; nothing where it is in another form.
pub(super) fn of(pickle: &Pickle<'_>) -> Told {
    let Node::Dict(root) = pickle.root() else { return Told::default() };
    let Some(Node::Dict(meta)) = value(pickle, root, b"meta") else { return Told::default() };
    // Its second version has the one key, its third the other; of a runner's own settings, both may be there.
    let text = [b"cfg".as_slice(), b"config"].into_iter().find_map(|key| match value(pickle, meta, key) {
        Some(Node::Text(span)) => std::str::from_utf8(pickle.text(span)).ok().map(Literal::of_program),
        _ => None,
    });
    let of_data = [b"dataset_meta".as_slice(), b"dataset"].into_iter().find_map(|key| match value(pickle, meta, key) {
        Some(Node::Dict(of_data)) => Some(of_data),
        _ => None,
    });
    let places = [Some(meta), of_data].into_iter().flatten();
    let classes = places.flat_map(|dict| [b"CLASSES".as_slice(), b"classes"].map(|key| names(pickle, dict, key)));
    Told { config: text.unwrap_or_default(), classes: classes.flatten().next().unwrap_or_default(), ..Told::default() }
}

/// The value of a key, the last where there are several, as in Python.
fn value(pickle: &Pickle<'_>, dict: Chain, key: &[u8]) -> Option<Node> {
    let is_key = |node| matches!(node, Node::Text(span) if pickle.text(span) == key);
    let found = pickle.arena.pairs(dict).filter(|(key, _)| is_key(pickle.arena.node(*key))).last()?;
    Some(pickle.arena.node(found.1))
}

/// The list or tuple of strings under a key.
fn names(pickle: &Pickle<'_>, dict: Chain, key: &[u8]) -> Option<Vec<String>> {
    let (Node::Tuple(items) | Node::List(items)) = value(pickle, dict, key)? else { return None };
    let name = |id| match pickle.arena.node(id) {
        Node::Text(span) if span.length as usize <= LONGEST => {
            std::str::from_utf8(pickle.text(span)).ok().map(String::from)
        }
        _ => None,
    };
    // One more than is allowed, so that too many are none.
    let names: Vec<String> = pickle.arena.items(items).take(MOST + 1).map(name).collect::<Option<_>>()?;
    (names.len() <= MOST).then_some(names)
}
