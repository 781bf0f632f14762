//! HDF5 files as Keras writes them (`.h5`): a group a layer, a dataset a weight.
//!
//! The container is read by the crate `hdf5-reader`, which takes superblocks and groups of every version, data that lie in
//! one piece or in chunks, shuffled and compressed or not, and bounds what it reads by the bytes that there are. Links to
//! other files are not followed. What is walked here is bounded besides: in depth, in objects, and in bytes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use hdf5_reader::error::Error;
use hdf5_reader::group::Group;
use hdf5_reader::{Dataset, Datatype, Hdf5File, OpenOptions};
use safetensors::Dtype;

use super::entry::Entry;
use super::names::shown;
use super::selection::{Taken, choose};

/// What such a file begins with.
pub(super) const MAGIC: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Groups within groups; Keras's nest three deep.
const MOST_DEPTH: usize = 8;

/// Groups and datasets; a network of ResNet-101 has about 1,400.
const MOST_OBJECTS: usize = 1 << 16;

/// Bytes of weights for each of the file: float noise hardly compresses, and so what claims more is no network.
const MOST_INFLATION: u64 = 32;

/// Of a file too small for that to mean anything.
const LEAST_BYTES: u64 = 1 << 20;

/// Bytes of a chunk, which is held beside what is read.
const MOST_CHUNK: usize = 256 << 20;

/// Most values of a dataset.
const MOST_VALUES: u64 = 1 << 28;

/// What to do about a file that arrived damaged.
const DAMAGED: &str = "the file is truncated or corrupt, download or save it again";

/// The network's weights in such a file, by their names in Keras (`conv1/kernel:0`); without a network, all.
///
/// # Errors
/// What is wrong and what to do, as a clause that reads on after the file's name.
pub(super) fn read<T>(bytes: Arc<T>, wanted: Option<&str>) -> Result<Taken, String>
where
    T: AsRef<[u8]> + Send + Sync + 'static,
{
    let length = (*bytes).as_ref().len() as u64;
    // Nothing is read twice: a cache would be memory for nothing.
    let most = length.saturating_mul(MOST_INFLATION).max(LEAST_BYTES);
    let chunk = usize::try_from(most).unwrap_or(usize::MAX).min(MOST_CHUNK);
    let options = OpenOptions::default().with_chunk_cache_bytes(0).with_max_chunk_bytes(chunk);
    let options = options.with_max_object_header_bytes(16 << 20);
    let file = Hdf5File::from_owner(Shared(bytes), options).map_err(damaged)?;
    let due = file.superblock().eof_address;
    if due > length {
        return Err(format!("has {length} of the {due} bytes that its beginning says: {DAMAGED}"));
    }
    let root = file.root_group().map_err(damaged)?;
    let (groups, datasets) = root.members().map_err(damaged)?;
    let named = |name: &str| groups.iter().find(|group| group.name() == name);
    if named("layers").is_some() && (named("vars").is_some() || named("_layer_checkpoint_dependencies").is_some()) {
        return Err(
            "is in Keras 3's format of weights (`.weights.h5`), whose tensors have numbers and no names: save the \
                    model whole, `model.save(\"FILE.h5\")`, and name that"
                .into(),
        );
    }
    let mut walk = Walk { found: Vec::new(), objects: 0 };
    match named("model_weights") {
        // A whole model: its optimizer's state stands beside.
        Some(weights) => walk.group(weights, &mut Vec::new())?,
        None => {
            for group in &groups {
                walk.layer(group, &mut vec![group.name().into()])?;
            }
            walk.datasets(datasets, &[])?;
        }
    }
    let found = named_by_layer(walk.found);
    let names = (Vec::new(), found.iter().map(|(name, _)| name.as_str()).collect());
    let choice = choose(&[names], wanted)?;
    let within = |choice: &mut Option<super::selection::Choice>, name: &str| match choice {
        Some(choice) => choice.within(name).map(String::from),
        None => Some(name.to_string()),
    };
    let mut choice = choice;
    let chosen: Vec<(String, Dataset)> =
        found.into_iter().filter_map(|(name, dataset)| Some((within(&mut choice, &name)?, dataset))).collect();
    let (tensors, decoded) = decoded(chosen, length, most)?;
    let taken = match choice {
        Some(choice) => choice.taken(tensors),
        None => Taken::all(tensors),
    };
    Ok(Taken { decoded: Some(decoded), ..taken })
}

/// What the reader says, with the cure.
fn damaged(error: Error) -> String {
    // Some of its messages name an object, which may be called anything.
    format!("cannot be read as HDF5 ({}): {DAMAGED}", shown(&error.to_string()))
}

/// A file's bytes, lent to the reader.
struct Shared<T>(Arc<T>);

impl<T: AsRef<[u8]>> AsRef<[u8]> for Shared<T> {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

/// Datasets by the groups that lead to them and their own name.
struct Walk {
    found: Vec<(Vec<String>, Dataset)>,
    objects: usize,
}

impl Walk {
    /// All groups in one.
    fn group(&mut self, group: &Group, path: &mut Vec<String>) -> Result<(), String> {
        let (groups, datasets) = group.members().map_err(damaged)?;
        self.datasets(datasets, path)?;
        for group in groups {
            path.push(group.name().into());
            self.layer(&group, path)?;
            path.pop();
        }
        Ok(())
    }

    /// A group, and what it says that it holds.
    fn layer(&mut self, group: &Group, path: &mut Vec<String>) -> Result<(), String> {
        if path.len() > MOST_DEPTH {
            return Err(format!("has groups more than {MOST_DEPTH} deep, which Keras does not write: {DAMAGED}"));
        }
        self.count(1)?;
        let before = self.found.len();
        self.group(group, path)?;
        // Keras reads what this attribute names, and nothing else.
        let Some(named) = group.attribute("weight_names").ok().and_then(|names| names.read_strings().ok()) else {
            return Ok(());
        };
        let there: HashSet<String> = self.found[before..].iter().map(|(at, _)| at[path.len()..].join("/")).collect();
        for name in named {
            if !there.contains(&name) {
                let (name, layer) = (shown(&name), shown(group.name()));
                return Err(format!(
                    "says that layer `{layer}` has the weight `{name}`, which is not there: {DAMAGED}"
                ));
            }
        }
        Ok(())
    }

    fn datasets(&mut self, datasets: Vec<Dataset>, path: &[String]) -> Result<(), String> {
        self.count(datasets.len())?;
        for dataset in datasets {
            let name = dataset.name().rsplit('/').next().unwrap_or_default().to_string();
            self.found.push(([path, &[name]].concat(), dataset));
        }
        Ok(())
    }

    fn count(&mut self, more: usize) -> Result<(), String> {
        self.objects += more;
        match self.objects > MOST_OBJECTS {
            true => Err(format!("has more than {MOST_OBJECTS} groups and datasets, and no network has: {DAMAGED}")),
            false => Ok(()),
        }
    }
}

/// The name of each dataset as Keras calls the weight: its layer's name and its own. Where a group has the weights of
/// several layers, as that of a model within the model has, these layers' names count, and otherwise the group's, since what
/// stands within it may be called otherwise, or have got a number behind its name. Keras 3 leaves the `:0` off.
fn named_by_layer(found: Vec<(Vec<String>, Dataset)>) -> Vec<(String, Dataset)> {
    let within = |path: &[String]| path.len().checked_sub(2).map(|at| path[at].clone()).unwrap_or_default();
    // By group: the layer within it, or none where there are several.
    let mut layers: HashMap<String, Option<String>> = HashMap::new();
    for (path, _) in found.iter().filter(|(path, _)| path.len() > 2) {
        let layer = within(path);
        let of_group = layers.entry(path[0].clone()).or_insert_with(|| Some(layer.clone()));
        if of_group.as_ref().is_some_and(|first| *first != layer) {
            *of_group = None;
        }
    }
    let mut seen = HashSet::new();
    let named = |(path, dataset): (Vec<String>, Dataset)| {
        let own = path.last().map_or("", String::as_str);
        let own = if own.contains(':') { own.to_string() } else { format!("{own}:0") };
        let layer = match path.first().map(|group| layers.get(group)) {
            Some(Some(None)) => within(&path),
            Some(_) if path.len() > 1 => path[0].clone(),
            _ => return (own, dataset),
        };
        let name = format!("{layer}/{own}");
        let name = if seen.insert(name.clone()) { name } else { path.join("/") };
        (name, dataset)
    };
    found.into_iter().map(named).collect()
}

/// Where the tensor of each name lies, and all values, one tensor after the other.
type Decoded = (Vec<(String, Entry)>, Vec<u8>);

/// All values, one dataset after the other, and where each lies.
fn decoded(datasets: Vec<(String, Dataset)>, length: u64, most: u64) -> Result<Decoded, String> {
    let mut entries = Vec::with_capacity(datasets.len());
    let mut total = 0u64;
    for (name, dataset) in &datasets {
        let unfit = |what: String| format!("has a weight `{}` {what}", shown(name));
        let (dtype, size) = match dataset.dtype() {
            Datatype::FloatingPoint { size: 8, .. } => (Dtype::F64, 8),
            Datatype::FloatingPoint { size: 4, .. } => (Dtype::F32, 4),
            Datatype::FloatingPoint { size: 2, .. } => (Dtype::F16, 2),
            Datatype::FixedPoint { size: 8, .. } => (Dtype::I64, 8),
            Datatype::FixedPoint { size: 4, .. } => (Dtype::I32, 4),
            Datatype::FixedPoint { size: 2, .. } => (Dtype::I16, 2),
            Datatype::FixedPoint { size: 1, .. } => (Dtype::I8, 1),
            _ => {
                return Err(unfit(
                    "that holds no numbers: save the weights alone, `model.save_weights(\"FILE.h5\")`".into(),
                ));
            }
        };
        let axes = dataset.shape();
        let values = axes.iter().try_fold(1u64, |values, &axis| values.checked_mul(axis)).filter(|&n| n <= MOST_VALUES);
        let Some(values) = values.filter(|_| axes.len() <= MOST_DEPTH) else {
            return Err(unfit(format!("of shape {axes:?}, which no network has: {DAMAGED}")));
        };
        let start = total;
        total += values * size;
        if total > most {
            return Err(format!("claims more than {most} bytes of weights, and has {length} bytes: {DAMAGED}"));
        }
        let shape: Vec<usize> = axes.iter().map(|&axis| axis as usize).collect();
        entries
            .push((name.clone(), Entry { dtype, strides: Entry::dense_strides(&shape), shape, start: start as usize }));
    }
    let mut out = vec![0u8; total as usize];
    let ends = entries.iter().skip(1).map(|(_, entry)| entry.start).chain([out.len()]).collect::<Vec<_>>();
    for (((name, dataset), (_, entry)), end) in datasets.iter().zip(&entries).zip(ends) {
        let place = out.get_mut(entry.start..end).unwrap_or_default();
        if place.is_empty() {
            continue;
        }
        let told = |e: Error| {
            format!("has a weight `{}` that cannot be read ({}): {DAMAGED}", shown(name), shown(&e.to_string()))
        };
        dataset.read_native_bytes_into(place).map_err(told)?;
    }
    Ok((entries, out))
}
