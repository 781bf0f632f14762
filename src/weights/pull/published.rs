//! What torchvision publishes, and where it is kept here.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::Result;

/// Where torchvision's weights are published.
pub const ORIGIN: &str = "https://download.pytorch.org/models";

/// A weights file that torchvision publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// What it is asked for by: the name of torchvision's model builder.
    pub name: &'static str,
    /// Its file name. The hexadecimal digits at the end are the first of [`sha256`](Self::sha256).
    pub file: &'static str,
    /// Its length.
    pub bytes: u64,
    /// The SHA-256 of its bytes, in lower-case hexadecimal.
    pub sha256: &'static str,
}

/// The weights files that [`pull`](super::pull) knows, all trained on COCO.
pub const PUBLISHED: [Published; 4] = [
    Published {
        name: "maskrcnn_resnet50_fpn",
        file: "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth",
        bytes: 178_090_079,
        sha256: "bf2d0c1efbc936eeee2bc95a48e80ebc86b891f61b0106485937fc29f9315fc0",
    },
    Published {
        name: "maskrcnn_resnet50_fpn_v2",
        file: "maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth",
        bytes: 185_828_065,
        sha256: "73cbd0190fcbe3ba339921fbce2c3a0b6bb9126c9a133c85e43a2a8e060a109e",
    },
    Published {
        name: "fasterrcnn_resnet50_fpn",
        file: "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
        bytes: 167_502_836,
        sha256: "258fb6c638b15964ddcdd1ae0748c5eef1be9e732750120cc857feed3faac384",
    },
    Published {
        name: "fasterrcnn_resnet50_fpn_v2",
        file: "fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth",
        bytes: 175_221_657,
        sha256: "dd69338a24b8d7381807e247652bdc356325bcbaf1cd3e092e00e0a1a58706bf",
    },
];

impl Published {
    /// The one of [`PUBLISHED`] with this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        // A const has no address of its own to lend for good.
        static ALL: [Published; 4] = PUBLISHED;
        ALL.iter().find(|p| p.name == name)
    }
}

/// The SHA-256 of a file of this name and with these bytes, if it is one of [`PUBLISHED`].
pub(in super::super) fn published_as(name: &str, bytes: &[u8]) -> Option<&'static str> {
    one_of(&PUBLISHED, name, bytes).map(|p| p.sha256)
}

/// By length and hash, or a name that carries the hash's digits: to hash 170 MB would delay every start.
fn one_of<'a>(all: &'a [Published], name: &str, bytes: &[u8]) -> Option<&'a Published> {
    let same = |p: &Published| {
        let digits = p.sha256.get(..8).unwrap_or(p.sha256);
        name.contains(digits) || sha256_of(&mut &bytes[..]).is_ok_and(|hash| hash == p.sha256)
    };
    all.iter().find(|p| p.bytes == bytes.len() as u64 && same(p))
}

/// The user's folder for weights: `$MASKRCNN_CACHE` if that is set, else `maskrcnn/weights` in the platform's cache
/// folder. It need not exist yet.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) if neither the variable nor a home folder is there.
pub fn cache_dir() -> Result<PathBuf> {
    crate::cache::dir("weights")
}

/// The path of `p` in the folder `dir`, if it is there with its whole length. Its bytes are not read.
pub fn cached(p: &Published, dir: &Path) -> Option<PathBuf> {
    let path = dir.join(p.file);
    let about = path.metadata().ok()?;
    (about.is_file() && about.len() == p.bytes).then_some(path)
}

/// [`cached`], and with the right SHA-256.
pub(super) fn sound(p: &Published, dir: &Path) -> Option<PathBuf> {
    let path = cached(p, dir)?;
    // What cannot be read is as good as not there: to replace it shows why.
    let sha256 = sha256_of(&mut File::open(&path).ok()?).ok()?;
    (sha256 == p.sha256).then_some(path)
}

/// The SHA-256 of all that `from` still has, in lower-case hexadecimal.
pub(super) fn sha256_of(from: &mut impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => hash.update(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A number of bytes for people: "177 MiB".
pub fn shown_size(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    match bytes {
        0..MIB => format!("{bytes} bytes"),
        _ => format!("{:.0} MiB", bytes as f64 / MIB as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_agrees_with_itself_and_with_torchvision() {
        // `_file_size` in torchvision's metadata, in MiB.
        let sizes = [169.84, 177.219, 159.743, 167.104];
        for (p, size) in PUBLISHED.iter().zip(sizes) {
            let stem = p.file.strip_suffix(".pth").unwrap();
            let (model, digits) = stem.rsplit_once('-').unwrap();
            assert_eq!(model, format!("{}_coco", p.name));
            assert_eq!(digits, &p.sha256[..8]);
            assert!(p.sha256.len() == 64 && p.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
            assert_eq!((p.bytes as f64 / f64::from(1 << 20) * 1000.0).round() / 1000.0, size, "{}", p.name);
            assert_eq!(Published::find(p.name), Some(p));
        }
        assert_eq!(Published::find("maskrcnn"), None);
    }

    #[test]
    fn hashes_are_those_of_the_standard() {
        let abc = sha256_of(&mut &b"abc"[..]).unwrap();
        assert_eq!(abc, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn published_files_are_known_by_length_and_hash_or_name() {
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let all = [Published { name: "abc", file: "abc-ba7816bf.pth", bytes: 3, sha256 }];
        let known = |name: &str, bytes: &[u8]| one_of(&all, name, bytes) == Some(&all[0]);
        assert!(known("any.pth", b"abc") && known("abc-ba7816bf.pth", b"xyz"));
        assert!(!known("any.pth", b"xyz") && !known("abc-ba7816bf.pth", b"abcd"));
        let eps = PUBLISHED.map(|p| crate::weights::eps::of_published(p.sha256));
        assert_eq!(eps, [0.0, 1e-5, 0.0, 1e-5]);
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(shown_size(0), "0 bytes");
        assert_eq!(shown_size((1 << 20) - 1), "1048575 bytes");
        assert_eq!(shown_size(PUBLISHED[1].bytes), "177 MiB");
    }
}
