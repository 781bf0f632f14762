//! Finds the state dict among what a checkpoint holds: wherever the network's names are or, where they are nowhere,
//! under the keys that training scripts save it under, without the prefixes that wrappers of models put before every
//! name.

use std::collections::HashSet;
use std::ops::Range;

use super::array::{self, Decoded};
use super::pickle::{Chain, Id, MOST_TENSORS, Node, Pickle, Span, Storage, Tensor, lossy};
use super::{SAVE_STATE, script, told, view};
use crate::weights::names::shown;
use crate::weights::selection::{self, Choice, MOST_NETWORKS, Names, Taken, WRAPPERS};

/// Dicts within dicts that are looked into for a network's names.
const DEEPEST: usize = 5;

/// The same for a dict of any tensors under a wrapper's key.
const DEEPEST_WRAPPER: usize = 3;

/// What is put before all names by DataParallel, by torch.compile, and by a model that is a field of another.
const PREFIXES: [&str; 3] = ["module.", "_orig_mod.", "model."];

/// Every tensor of the state dict in `pickle`, or of the part of it that is the network's; `wanted` says which, where
/// there are several. `locate` returns where in the file a storage of some key is, or a clause that reads on after the
/// tensor's name.
pub(super) fn tensors(
    pickle: &Pickle<'_>,
    wanted: Option<&str>,
    locate: impl Fn(&[u8], &Storage) -> Result<Range<usize>, String>,
) -> Result<Taken, String> {
    let dicts = of_networks(pickle)?;
    let names: Vec<Names<'_>> =
        dicts.iter().map(|(dict, path)| (path.clone(), names(pickle, *dict).collect())).collect();
    let choice = selection::choose(&names, wanted)?;
    let state = match &choice {
        Some(choice) => dicts[choice.dict].0,
        None => find(pickle)?,
    };
    let named = pickle.arena.pairs(state).filter_map(|(key, value)| {
        let Node::Text(key) = pickle.arena.node(key) else { return None };
        let value = pickle.arena.node(value);
        // `_metadata`, step counters and the like stand beside tensors.
        if !is_tensor(value) && !matches!(value, Node::Opaque(opaque) if opaque.data) {
            return None;
        }
        let name = std::str::from_utf8(pickle.text(key)).map_err(|_| {
            let name = shown(&lossy(pickle.text(key)));
            format!("is corrupt: the name of tensor `{name}` is not UTF-8: {SAVE_STATE}")
        });
        Some(name.map(|name| (name, value)))
    });
    taken(pickle, choice, named, locate)
}

/// The same of the objects of a TorchScript program.
pub(super) fn of_objects(
    pickle: &Pickle<'_>,
    wanted: Option<&str>,
    locate: impl Fn(&[u8], &Storage) -> Result<Range<usize>, String>,
) -> Result<Taken, String> {
    let tensors = script::tensors(pickle)?;
    let names = tensors.iter().map(|(name, _)| name.as_str());
    let all: Vec<Names<'_>> = vec![(Vec::new(), names.collect())];
    let choice = selection::choose(&all, wanted)?;
    taken(pickle, choice, tensors.iter().map(|(name, node)| Ok((name.as_str(), *node))), locate)
}

/// The tensors of a dict that are the network's, of all that it has by name.
fn taken<'n>(
    pickle: &Pickle<'_>,
    mut choice: Option<Choice>,
    named: impl Iterator<Item = Result<(&'n str, Node), String>>,
    locate: impl Fn(&[u8], &Storage) -> Result<Range<usize>, String>,
) -> Result<Taken, String> {
    let mut found: Vec<(&str, Node)> = Vec::new();
    let mut seen = HashSet::new();
    for named in named {
        let (whole, value) = named?;
        if !seen.insert(whole) {
            return Err(format!("is corrupt: it has tensor `{}` twice: {SAVE_STATE}", shown(whole)));
        }
        if seen.len() > MOST_TENSORS {
            return Err(format!("has more than {MOST_TENSORS} tensors, far more than weights need: {SAVE_STATE}"));
        }
        let name = match &mut choice {
            Some(choice) => choice.within(whole),
            None => Some(whole),
        };
        match (name, value) {
            (Some(name), Node::Tensor(_) | Node::Array(_)) => found.push((name, value)),
            (Some(_), Node::Opaque(opaque)) => {
                let (name, (maker, _)) = (shown(whole), pickle.name(opaque));
                return Err(format!(
                    "has a tensor `{name}` that only Python's `{maker}` can make, and nothing was executed: {SAVE_STATE}, as \
                     plain tensors of f32, f16, bf16 or f64"
                ));
            }
            _ => {}
        }
    }
    if choice.is_none() {
        strip(&mut found);
    }
    let mut entries = Vec::with_capacity(found.len());
    let arrays: Vec<u32> = found
        .iter()
        .filter_map(|(_, node)| if let Node::Array(number) = node { Some(*number) } else { None })
        .collect();
    let mut decoded = Decoded::of(pickle, &arrays);
    for (name, node) in found {
        let missing = || "is not among the file's tensors".to_string();
        let tensor = |tensor: &Tensor| {
            let storage = pickle.arena.storage(tensor.storage).ok_or_else(missing)?;
            let data = locate(pickle.text(storage.key), storage)?;
            view::entry(&pickle.arena, tensor, storage, data)
        };
        let entry = match node {
            Node::Tensor(number) => pickle.arena.tensor(number).ok_or_else(missing).and_then(tensor),
            Node::Array(number) => array::entry(pickle, number, &mut decoded),
            _ => Err(missing()),
        };
        let entry = entry.map_err(|reason| format!("has a tensor `{}` that {reason}", shown(name)))?;
        entries.push((name.to_string(), entry));
    }
    let taken = match choice {
        Some(choice) => choice.taken(entries),
        None => Taken::all(entries),
    };
    Ok(Taken { decoded: decoded.bytes(), told: told::of(pickle), ..taken })
}

/// A dict, and where it was found: the number of the dict that holds it, and its key there.
type Found = (Chain, Option<(usize, Span)>);

/// The dicts with names of a network, in the root and within dicts, with the keys that lead to them. Nearest first.
fn of_networks(pickle: &Pickle<'_>) -> Result<Vec<(Chain, Vec<String>)>, String> {
    let Node::Dict(root) = pickle.root() else { return Err(no_dict(pickle)) };
    // No dict is looked into twice, so one that contains itself ends and the work stays linear.
    let mut seen = HashSet::from([pickle.root]);
    let mut all: Vec<Found> = vec![(root, None)];
    let mut level = 0..1;
    for _ in 0..DEEPEST {
        for at in level.clone() {
            for (key, value) in pickle.arena.pairs(all[at].0) {
                let (Node::Text(key), Node::Dict(inner)) = (pickle.arena.node(key), pickle.arena.node(value)) else {
                    continue;
                };
                if seen.insert(value) {
                    all.push((inner, Some((at, key))));
                }
            }
        }
        level = level.end..all.len();
    }
    let mut found = Vec::new();
    for (dict, place) in &all {
        if !names(pickle, *dict).any(selection::is_sign) {
            continue;
        }
        if found.len() >= MOST_NETWORKS {
            return Err(format!("holds more than {MOST_NETWORKS} networks: {SAVE_STATE}"));
        }
        let keys = std::iter::successors(*place, |(at, _)| all[*at].1);
        let mut path: Vec<String> = keys.map(|(_, key)| shown(&lossy(pickle.text(key)))).collect();
        path.reverse();
        found.push((*dict, path));
    }
    Ok(found)
}

/// The names of a dict's tensors, as far as they are UTF-8.
fn names<'a>(pickle: &'a Pickle<'_>, dict: Chain) -> impl Iterator<Item = &'a str> {
    pickle.arena.pairs(dict).filter_map(|(key, value)| match (pickle.arena.node(key), pickle.arena.node(value)) {
        (Node::Text(key), value) if is_tensor(value) => std::str::from_utf8(pickle.text(key)).ok(),
        _ => None,
    })
}

/// The message for a root that is no dict.
fn no_dict(pickle: &Pickle<'_>) -> String {
    let Node::Opaque(opaque) = pickle.root() else {
        return format!("holds {}, and a dict of tensors is needed: {SAVE_STATE}", kind(pickle.root()));
    };
    match pickle.name(opaque) {
        (name, true) => format!("holds a whole Python model, not its weights (it refers to `{name}`): {SAVE_STATE}"),
        (name, false) => {
            format!(
                "holds an object of Python's `{name}`, and nothing was executed; a dict of tensors is needed: {SAVE_STATE}"
            )
        }
    }
}

/// The dict that holds the tensors: the first found under a wrapper's key, nearest to the root, or else the root.
/// Wrapped ones win, as a step counter beside them may be a tensor, too.
fn find(pickle: &Pickle<'_>) -> Result<Chain, String> {
    let Node::Dict(root) = pickle.root() else { return Err(no_dict(pickle)) };
    // No dict is looked into twice, so one that contains itself ends and the work stays linear.
    let mut seen = HashSet::from([pickle.root]);
    let mut level = vec![root];
    for _ in 0..DEEPEST_WRAPPER {
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
    let mut keys = pickle.arena.pairs(root).map(|(key, value)| {
        let key = match pickle.arena.node(key) {
            Node::Text(span) => format!("`{}`", shown(&lossy(pickle.text(span)))),
            Node::Int(value) => format!("{value}"),
            other => kind(other).into(),
        };
        match pickle.arena.node(value) {
            Node::Opaque(opaque) => match pickle.name(opaque) {
                (name, true) => format!("{key} (a whole Python model: `{name}`)"),
                (name, false) => format!("{key} (`{name}`)"),
            },
            _ => key,
        }
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

/// Whether a value is a tensor, torch's or NumPy's.
fn is_tensor(value: Node) -> bool {
    matches!(value, Node::Tensor(_) | Node::Array(_))
}

fn has_tensors(pickle: &Pickle<'_>, dict: Chain) -> bool {
    let is_text = |key| matches!(pickle.arena.node(key), Node::Text(_));
    pickle.arena.pairs(dict).any(|(key, value)| is_text(key) && is_tensor(pickle.arena.node(value)))
}

/// Removes from all names what all of them begin with, if it is a wrapper's.
fn strip(found: &mut [(&str, Node)]) {
    loop {
        let rest = |prefix: &str| {
            let shared = |(name, _): &(&str, Node)| name.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty());
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
        Node::Plain | Node::Data(..) | Node::Dtype(_) => "a plain value",
        Node::Text(_) => "a string",
        Node::Tuple(_) => "a tuple",
        Node::List(_) => "a list",
        Node::Dict(_) => "a dict",
        Node::Global(_) => "a class",
        Node::Storage(_) => "a storage",
        Node::Tensor(_) | Node::Array(_) => "a single tensor",
        Node::Opaque(_) => "an object",
    }
}
