//! Files that something happened to.

use super::*;
use super::{arrays, mmengine, script, torch};

/// All that Python wrote.
fn files() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    torch::FILES.into_iter().chain(arrays::FILES).chain(mmengine::FILES).chain([script::TRACED])
}

/// A small generator of pseudo-random numbers (xorshift), so that a failure can be had again.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

#[test]
fn refuses_every_truncation() {
    for (file, bytes) in files() {
        for length in 0..bytes.len() {
            let reason = refusal(&bytes[..length]);
            let known = ["truncated", "corrupt", "no `data.pkl`"].iter().any(|word| reason.contains(word));
            assert!(known, "{file} at {length}: {reason}");
        }
    }
}

#[test]
fn survives_any_flipped_bits() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for (_, bytes) in files() {
        for round in 0..2000 {
            let mut damaged = bytes.to_vec();
            for _ in 0..=round % 4 {
                damaged[random.below(bytes.len())] ^= 1 << random.below(8);
            }
            match read(&damaged) {
                Ok(entries) => assert_within(&damaged, &entries),
                Err(_) => drop(refusal(&damaged)),
            }
        }
    }
}

/// Bytes set to what instructions and sizes are made of, pieces cut out, doubled, and moved.
#[test]
fn survives_any_mixed_up_bytes() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let favourites = *b"()]}tuesabQRqhrjcXKJMN.\x80\x81\x85\x8a\x8c\x93\x94\x95\0\x01\x7f\xff";
    for (_, bytes) in files() {
        for round in 0..2000 {
            let mut damaged = bytes.to_vec();
            for _ in 0..=round % 3 {
                let (from, to) = (random.below(bytes.len()), random.below(damaged.len()));
                let piece = bytes[from..bytes.len().min(from + random.below(24))].to_vec();
                match round % 5 {
                    0 => drop(damaged.splice(to..to, piece)),
                    1 => drop(damaged.drain(to..damaged.len().min(to + piece.len() + 1)).collect::<Vec<_>>()),
                    2 => drop(damaged.splice(to..damaged.len().min(to + piece.len()), piece)),
                    _ => damaged[to] = favourites[random.below(favourites.len())],
                }
            }
            match read(&damaged) {
                Ok(entries) => assert_within(&damaged, &entries),
                Err(_) => drop(refusal(&damaged)),
            }
        }
    }
}
