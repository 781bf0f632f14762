mod arrays;
mod asm;
mod damage;
mod legacies;
mod mmengine;
mod opaque;
mod pickles;
mod script;
mod states;
mod torch;
mod zips;

use super::is_pth;
use crate::weights::entry::Entry;
use asm::{Asm, archive, checkpoint, legacy};

fn read(bytes: &[u8]) -> Result<Vec<(String, Entry)>, String> {
    super::read(bytes, None).map(|taken| taken.tensors)
}

/// The message that refuses `bytes`, fit for its place: one line that says something, with nothing unprintable.
#[track_caller]
fn refusal(bytes: &[u8]) -> String {
    let reason = read(bytes).expect_err("a refusal was due");
    assert!(reason.len() > 20 && reason.len() < 2000, "{reason}");
    assert!(!reason.chars().any(char::is_control), "{reason:?}");
    assert!(reason.contains(": "), "no cure: {reason}");
    reason
}

/// Refuses `bytes` with a message that has all of `parts`.
#[track_caller]
fn refused(bytes: &[u8], parts: &[&str]) {
    let reason = refusal(bytes);
    for part in parts {
        assert!(reason.contains(part), "no {part:?} in: {reason}");
    }
}

/// Asserts that every element of every tensor lies in the file.
fn assert_within(bytes: &[u8], entries: &[(String, Entry)]) {
    for (name, entry) in entries {
        assert_eq!(entry.shape.len(), entry.strides.len(), "{name}");
        let mut end = entry.start as u128;
        if !entry.shape.contains(&0) {
            let steps =
                entry.shape.iter().zip(&entry.strides).map(|(&axis, &stride)| (axis as u128 - 1) * stride as u128);
            end += (steps.sum::<u128>() + 1) * (entry.dtype.bitsize() / 8) as u128;
        }
        assert!(end <= bytes.len() as u128, "{name}: {entry:?} of {}", bytes.len());
        assert!(entry.shape.iter().map(|&axis| axis.max(1) as u128).product::<u128>() <= 1 << 28, "{name}");
    }
}
