//! HDF5 files of Keras's: what `tests/oracle/keras_files.py` had Keras and h5py write, and what happened to them.

use std::io::Read;

use flate2::read::GzDecoder;

use crate::weights::inspect::Inventory;
use crate::weights::synth::values;
use crate::weights::{Format, NetworkWeights, WeightsFile};

/// By name: as Keras 3 saves a whole model; weights alone, with Keras 2's names, in HDF5's oldest form, and in its newest, in
/// compressed chunks.
const FILES: [(&str, &[u8]); 3] = [
    ("model", include_bytes!("../../../tests/fixtures/keras_model.h5.gz")),
    ("weights", include_bytes!("../../../tests/fixtures/keras_weights.h5.gz")),
    ("chunked", include_bytes!("../../../tests/fixtures/keras_chunked.h5.gz")),
];

/// Datasets of the network in them: five blocks, with four shortcuts.
const TENSORS: usize = 186;

pub(super) fn files() -> Vec<(&'static str, Vec<u8>)> {
    FILES.iter().map(|(name, packed)| (*name, unpacked(packed))).collect()
}

fn unpacked(packed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
    bytes
}

fn read(bytes: &[u8]) -> crate::Result<WeightsFile> {
    WeightsFile::from_bytes(bytes.to_vec(), "mask_rcnn.h5")
}

fn refused(read: crate::Result<WeightsFile>) -> String {
    read.unwrap_err().to_string()
}

/// What the fixtures hold: values of the formula, in sixteenths.
fn expected(name: &str, shape: &[usize]) -> Vec<f32> {
    let end = match name.rsplit('/').next() {
        Some("kernel:0" | "gamma:0") => "weight",
        Some("moving_mean:0") => "running_mean",
        Some("moving_variance:0") => "running_var",
        _ => "bias",
    };
    let made = values(&format!("{name}.{end}"), shape, 7);
    made.iter().map(|v| (v * 16.0).round_ties_even() / 16.0).collect()
}

#[test]
fn what_keras_wrote_is_read() {
    let mut networks = Vec::new();
    for (name, bytes) in files() {
        let file = read(&bytes).unwrap();
        assert_eq!((file.format(), file.family_name()), (Format::Hdf5, "matterport"), "{name}");
        assert_eq!(file.names().count(), TENSORS, "{name}: {:?}", file.selection());
        assert_eq!(file.selection().note(), None);
        for tensor in file.names() {
            let shape = file.shape(tensor).unwrap();
            assert_eq!(file.tensor(tensor, shape).unwrap().data, expected(tensor, shape), "{name}: {tensor}");
        }
        let config = file.config().unwrap();
        assert_eq!((config.backbone.layers.as_slice(), config.num_classes), (&[1, 1, 2, 1][..], 3));
        assert!(Inventory::new(&file, &config).fits(), "{name}");
        networks.push(NetworkWeights::load(&file, &config).unwrap());
    }
    assert!(networks.iter().all(|network| *network == networks[0]));
}

/// Cut off at every hundredth, and by a byte: one sentence, with the cure.
#[test]
fn what_is_cut_off_is_refused() {
    for (name, bytes) in files() {
        let lengths = (1..100).map(|percent| bytes.len() * percent / 100).chain([8, 9, 48, 96, 97, bytes.len() - 1]);
        for length in lengths {
            let whole = bytes[..length].to_vec();
            let reason = refused(WeightsFile::from_bytes(whole, "mask_rcnn.h5"));
            assert!(reason.contains("truncated or corrupt"), "{name} at {length}: {reason}");
            assert!(!reason.contains('\n') && reason.len() < 600, "{reason}");
        }
    }
}

/// Whatever is changed, nothing panics, and what is read lies within what there is.
#[test]
fn any_damage_is_survived() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut below = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound as u64) as usize
    };
    for (_, bytes) in files() {
        // What tells where things lie, and how large they are, is dense in the older forms' first part.
        for round in 0..400 {
            let mut damaged = bytes.clone();
            for _ in 0..=round % 4 {
                let at = if round % 2 == 0 { below(bytes.len()) } else { below(bytes.len() / 16) };
                match round % 3 {
                    0 => damaged[at] ^= 1 << below(8),
                    1 => damaged[at] = [0, 1, 0x7f, 0xff][below(4)],
                    _ => {
                        let from = below(bytes.len() - 16);
                        let to = at.min(bytes.len() - 8);
                        damaged.copy_within(from..from + 8, to);
                    }
                }
            }
            let Ok(file) = read(&damaged) else { continue };
            for name in file.names() {
                let shape = file.shape(name).unwrap();
                let _ = file.tensor(name, shape);
            }
        }
    }
}

/// Files that claim more than they have, whose groups go round, go deep or are many, and that point elsewhere.
#[test]
fn what_hostile_files_claim_is_refused() {
    let hostile: [(&[u8], &str); 8] = [
        (include_bytes!("../../../tests/fixtures/hostile_bomb.h5.gz"), "cannot be read"),
        (include_bytes!("../../../tests/fixtures/hostile_chunk.h5.gz"), "cannot be read"),
        (include_bytes!("../../../tests/fixtures/hostile_absent.h5.gz"), "claims more than"),
        (include_bytes!("../../../tests/fixtures/hostile_zeros.h5.gz"), "claims more than"),
        (include_bytes!("../../../tests/fixtures/hostile_round.h5.gz"), "more than 8 deep"),
        (include_bytes!("../../../tests/fixtures/hostile_deep.h5.gz"), "more than 8 deep"),
        (include_bytes!("../../../tests/fixtures/hostile_many.h5.gz"), "more than 65536"),
        (include_bytes!("../../../tests/fixtures/hostile_elsewhere.h5.gz"), "cannot be read"),
    ];
    for (packed, words) in hostile {
        let told = refused(read(&unpacked(packed)));
        assert!(told.contains(words) && !told.contains("/etc"), "{told}");
    }
}

/// An index whose nodes lead to themselves, however they do: below, or beside.
#[test]
fn an_index_that_goes_round_is_refused() {
    let (_, bytes) = files().swap_remove(1);
    let nodes: Vec<usize> = (0..bytes.len() - 4).filter(|&i| bytes[i..].starts_with(b"TREE")).collect();
    assert!(nodes.len() > 40, "{}", nodes.len());
    // Of a node: its kind, its level, entries, the neighbours' addresses, a key, the first child's address.
    for (level, place) in [(1, 32), (200, 32), (0, 8), (0, 16)] {
        let mut damaged = bytes.clone();
        for &at in &nodes {
            damaged[at + 5] = level;
            damaged[at + place..at + place + 8].copy_from_slice(&(at as u64).to_le_bytes());
        }
        match read(&damaged) {
            // Neighbours are not asked for.
            Ok(file) => assert!(place < 24 && file.names().count() == TENSORS, "{level} {place}"),
            Err(told) => assert!(told.to_string().contains("truncated or corrupt"), "{told}"),
        }
    }
}

/// Keras loads by name and says nothing of what is not there: here it is named.
#[test]
fn a_layer_short_is_refused() {
    let (_, bytes) = files().swap_remove(1);
    // The same length of another name, in the group and in the attributes alike.
    let renamed: Vec<u8> = {
        let mut bytes = bytes.clone();
        let old = b"mrcnn_mask_bn3";
        let places: Vec<usize> = (0..bytes.len() - old.len()).filter(|&i| bytes[i..].starts_with(old)).collect();
        assert!(!places.is_empty());
        places.iter().for_each(|&at| bytes[at..at + old.len()].copy_from_slice(b"mrcnn_task_bn3"));
        bytes
    };
    let file = read(&renamed).unwrap();
    let config = file.config().unwrap();
    let told = NetworkWeights::load(&file, &config).unwrap_err().to_string();
    assert!(told.contains("`mrcnn_mask_bn3/") && told.contains("missing"), "{told}");
    let inventory = Inventory::new(&file, &config);
    assert_eq!((inventory.missing.len(), inventory.left_over.len()), (4, 4), "{inventory:?}");
}
