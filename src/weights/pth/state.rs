//! Finds the state dict among what a checkpoint holds: under the keys that training scripts save it under, and
//! without the prefixes that wrappers of models put before every name.

use std::collections::HashSet;
use std::ops::Range;

use super::pickle::{Chain, Id, MOST_TENSORS, Node, Pickle, Storage, lossy};
use super::{SAVE_STATE, view};
use crate::weights::entry::Entry;
use crate::weights::names::shown;

/// Keys that state dicts are saved under; the most likely first.
const WRAPPERS: [&str; 8] =
    ["model", "state_dict", "model_state_dict", "model_state", "net", "weights", "module", "model_ema"];

/// Dicts within dicts that are looked into.
const DEEPEST: usize = 3;

/// What is put before all names by DataParallel, by torch.compile, and by a model that is a field of another.
const PREFIXES: [&str; 3] = ["module.", "_orig_mod.", "model."];

/// Every tensor of the state dict in `pickle`. `locate` returns where in the file a storage of some key is, or a
/// clause that reads on after the tensor's name.
pub(super) fn tensors(
    pickle: &Pickle<'_>,
    locate: impl Fn(&[u8], &Storage) -> Result<Range<usize>, String>,
) -> Result<Vec<(String, Entry)>, String> {
    let state = find(pickle)?;
    let mut found: Vec<(&str, u32)> = Vec::new();
    let mut names = HashSet::new();
    for (key, value) in pickle.arena.pairs(state) {
        // `_metadata`, step counters and the like stand beside tensors.
        let (Node::Text(key), Node::Tensor(tensor)) = (pickle.arena.node(key), pickle.arena.node(value)) else {
            continue;
        };
        let name = std::str::from_utf8(pickle.text(key)).map_err(|_| {
            let name = shown(&lossy(pickle.text(key)));
            format!("is corrupt: the name of tensor `{name}` is not UTF-8: {SAVE_STATE}")
        })?;
        if !names.insert(name) {
            return Err(format!("is corrupt: it has tensor `{}` twice: {SAVE_STATE}", shown(name)));
        }
        if found.len() >= MOST_TENSORS {
            return Err(format!("has more than {MOST_TENSORS} tensors, far more than weights need: {SAVE_STATE}"));
        }
        found.push((name, tensor));
    }
    strip(&mut found);
    let mut entries = Vec::with_capacity(found.len());
    for (name, number) in found {
        let entry = || {
            let missing = || "is not among the file's tensors".to_string();
            let tensor = pickle.arena.tensor(number).ok_or_else(missing)?;
            let storage = pickle.arena.storage(tensor.storage).ok_or_else(missing)?;
            let data = locate(pickle.text(storage.key), storage)?;
            view::entry(&pickle.arena, tensor, storage, data)
        };
        let entry = entry().map_err(|reason| format!("has a tensor `{}` that {reason}", shown(name)))?;
        entries.push((name.to_string(), entry));
    }
    Ok(entries)
}

/// The dict that holds the tensors: the first found under a wrapper's key, nearest to the root, or else the root.
/// Wrapped ones win, as a step counter beside them may be a tensor, too.
fn find(pickle: &Pickle<'_>) -> Result<Chain, String> {
    let Node::Dict(root) = pickle.root() else {
        return Err(format!("holds {}, and a dict of tensors is needed: {SAVE_STATE}", kind(pickle.root())));
    };
    // No dict is looked into twice, so one that contains itself ends and the work stays linear.
    let mut seen = HashSet::from([pickle.root]);
    let mut level = vec![root];
    for _ in 0..DEEPEST {
        let mut below = Vec::new();
        for dict in level {
            below.extend(wrapped(pickle, dict).into_iter().filter(|(id, _)| seen.insert(*id)).map(|(_, dict)| dict));
        }
        if let Some(&dict) = below.iter().find(|&&dict| has_tensors(pickle, dict)) {
            return Ok(dict);
        }
        level = below;
    }
    if has_tensors(pickle, root) {
        return Ok(root);
    }
    let mut keys = pickle.arena.pairs(root).map(|(key, _)| match pickle.arena.node(key) {
        Node::Text(span) => format!("`{}`", shown(&lossy(pickle.text(span)))),
        Node::Int(value) => format!("{value}"),
        other => kind(other).into(),
    });
    let some: Vec<String> = keys.by_ref().take(6).collect();
    let more = if keys.next().is_some() { ", …" } else { "" };
    Err(match some.is_empty() {
        true => format!("holds an empty dict, and no tensors: {SAVE_STATE}"),
        false => {
            format!("holds no tensors where a state dict is expected, only {}{more}: {SAVE_STATE}", some.join(", "))
        }
    })
}

/// The dicts under the wrappers' keys of `dict`, in the order of [`WRAPPERS`].
fn wrapped(pickle: &Pickle<'_>, dict: Chain) -> Vec<(Id, Chain)> {
    let mut found = [None; WRAPPERS.len()];
    for (key, value) in pickle.arena.pairs(dict) {
        let (Node::Text(key), Node::Dict(inner)) = (pickle.arena.node(key), pickle.arena.node(value)) else { continue };
        let key = pickle.text(key);
        if let Some(rank) = WRAPPERS.iter().position(|wrapper| wrapper.as_bytes() == key) {
            found[rank] = Some((value, inner));
        }
    }
    found.into_iter().flatten().collect()
}

fn has_tensors(pickle: &Pickle<'_>, dict: Chain) -> bool {
    let is_tensor = |value| matches!(pickle.arena.node(value), Node::Tensor(_));
    let is_text = |key| matches!(pickle.arena.node(key), Node::Text(_));
    pickle.arena.pairs(dict).any(|(key, value)| is_text(key) && is_tensor(value))
}

/// Removes from all names what all of them begin with, if it is a wrapper's.
fn strip(found: &mut [(&str, u32)]) {
    loop {
        let rest = |prefix: &str| {
            let shared = |(name, _): &(&str, u32)| name.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty());
            (!found.is_empty() && found.iter().all(shared)).then_some(prefix.len())
        };
        let Some(length) = PREFIXES.iter().find_map(|prefix| rest(prefix)) else { return };
        found.iter_mut().for_each(|(name, _)| *name = name.get(length..).unwrap_or(name));
    }
}

/// What a value is, for messages.
fn kind(node: Node) -> &'static str {
    match node {
        Node::None => "None",
        Node::Bool(_) => "a bool",
        Node::Int(_) => "an int",
        Node::Float => "a float",
        Node::Text(_) => "a string",
        Node::Tuple(_) => "a tuple",
        Node::List(_) => "a list",
        Node::Dict(_) => "a dict",
        Node::Global(_) => "a class",
        Node::Storage(_) => "a storage",
        Node::Tensor(_) => "a single tensor",
        Node::Inert(_) => "an object",
    }
}
