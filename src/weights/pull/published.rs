//! A file that a project publishes: how it is known, and where it is kept here.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use md5::Md5;
use sha2::{Digest, Sha256};

use super::catalogue::PUBLISHED;
use crate::error::Result;

/// Who publishes.
#[derive(Debug, PartialEq, Eq)]
pub struct Project {
    /// What it is called.
    pub name: &'static str,
    /// The folder of a server below which its files are.
    pub origin: &'static str,
    /// What may be done with its weights, in a line.
    pub licence: &'static str,
}

/// How the bytes that came are judged: what the project tells of its file's hash, in lower-case hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The whole SHA-256.
    Sha256(&'static str),
    /// The first digits of the SHA-256, with the same reserve.
    Sha256Digits(&'static str),
    /// The first digits of the MD5. They tell a damaged file, not one that somebody meant to pass for another.
    Md5Digits(&'static str),
    /// Nothing: what came has the length that its server told, and more cannot be known.
    Untold,
}

impl Check {
    /// The hash's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256(_) | Self::Sha256Digits(_) | Self::Untold => "SHA-256",
            Self::Md5Digits(_) => "MD5",
        }
    }

    /// What it must be, or begin with; empty where nothing is told.
    pub fn digits(self) -> &'static str {
        match self {
            Self::Sha256(digits) | Self::Sha256Digits(digits) | Self::Md5Digits(digits) => digits,
            Self::Untold => "",
        }
    }

    /// The hash of all that `from` still has, whole.
    pub(super) fn of(self, from: &mut impl Read) -> io::Result<String> {
        match self {
            Self::Sha256(_) | Self::Sha256Digits(_) | Self::Untold => hash_of::<Sha256>(from),
            Self::Md5Digits(_) => hash_of::<Md5>(from),
        }
    }

    /// Whether a hash is the one that is due.
    pub(super) fn passes(self, hash: &str) -> bool {
        match self {
            Self::Sha256(due) => hash == due,
            Self::Sha256Digits(due) | Self::Md5Digits(due) => hash.starts_with(due),
            Self::Untold => true,
        }
    }
}

/// A weights file that a project publishes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Published {
    /// What it is asked for by: the name of torchvision's model builder, or the project and its own name for it. Its last
    /// part alone will do where no other has it: [`Published::find`].
    pub name: &'static str,
    /// Who publishes it.
    pub project: &'static Project,
    /// Where it is below the project's [`origin`](Project::origin).
    pub path: &'static str,
    /// Its length, where the project tells.
    pub bytes: Option<u64>,
    /// What is known of its hash.
    pub check: Check,
    /// The images that it learned from.
    pub trained_on: &'static str,
    /// AP of boxes and of masks by the project's own account, in percent.
    pub ap: [Option<f32>; 2],
    /// Settings that the file does not tell and that are not its project's usual ones: the name of one of the
    /// [presets](crate::engine::config::presets).
    pub preset: Option<&'static str>,
}

impl Published {
    /// The one of [`PUBLISHED`] with this name, or the only one whose name ends with it, after a slash.
    pub fn find(name: &str) -> Option<&'static Self> {
        let short = |p: &&Self| p.name.rsplit('/').next() == Some(name);
        PUBLISHED.iter().find(|p| p.name == name).or_else(|| {
            let mut all = PUBLISHED.iter().filter(short);
            all.next().filter(|_| all.next().is_none())
        })
    }

    /// Its file's name. Digits of the hash are in it, where the project puts them there.
    pub fn file(&self) -> &'static str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }

    /// Its size for people: "177 MiB", or that nobody tells.
    pub fn size(&self) -> String {
        self.bytes.map_or_else(|| "of unknown size".into(), shown_size)
    }
}

/// The published file that has these bytes and, where hashing them would take long for nothing, this name.
pub(in super::super) fn published_as(name: &str, bytes: &[u8]) -> Option<&'static Published> {
    one_of(&PUBLISHED, name, bytes)
}

/// By length and hash, or by length and its own name or one that carries the hash's digits: to hash 170 MB would delay every
/// start. Where no length is known, by name and hash; without a hash, by nothing.
fn one_of<'a>(all: &'a [Published], name: &str, bytes: &[u8]) -> Option<&'a Published> {
    let hashed = |p: &Published| p.check.of(&mut &bytes[..]).is_ok_and(|hash| p.check.passes(&hash));
    let named = |p: &Published| Path::new(name).file_name().is_some_and(|file| file == p.file());
    let same = |p: &&Published| match p.bytes {
        _ if p.check == Check::Untold => false,
        Some(length) if length != bytes.len() as u64 => false,
        Some(_) => name.contains(p.check.digits().get(..8).unwrap_or(p.check.digits())) || named(p) || hashed(p),
        None => named(p) && hashed(p),
    };
    all.iter().find(same)
}

/// The user's folder for weights: `$MASKRCNN_CACHE` if that is set, else `maskrcnn/weights` in the platform's cache
/// folder. It need not exist yet.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) if neither the variable nor a home folder is there.
pub fn cache_dir() -> Result<PathBuf> {
    crate::cache::dir("weights")
}

/// The path of `p` in the folder `dir`, if it is there with its whole length, where that is known: a file has its name only
/// once its hash was right. Its bytes are not read.
pub fn cached(p: &Published, dir: &Path) -> Option<PathBuf> {
    let path = dir.join(p.file());
    let about = path.metadata().ok()?;
    (about.is_file() && p.bytes.is_none_or(|bytes| bytes == about.len())).then_some(path)
}

/// [`cached`], and with the right hash.
pub(super) fn sound(p: &Published, dir: &Path) -> Option<PathBuf> {
    let path = cached(p, dir)?;
    // What cannot be read is as good as not there: to replace it shows why.
    let hash = p.check.of(&mut File::open(&path).ok()?).ok()?;
    p.check.passes(&hash).then_some(path)
}

/// The hash of all that `from` still has, in lower-case hexadecimal.
fn hash_of<D: Digest>(from: &mut impl Read) -> io::Result<String> {
    let mut hash = D::new();
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
    use super::super::catalogue::TORCHVISION;
    use super::*;

    #[test]
    fn the_table_agrees_with_itself_and_with_torchvision() {
        // `_file_size` in torchvision's metadata, in MiB.
        let sizes = [169.84, 177.219, 159.743, 167.104];
        let whole = |p: &&Published| *p.project == TORCHVISION && p.bytes.is_some();
        let of_torchvision: Vec<&Published> = PUBLISHED.iter().filter(whole).collect();
        assert_eq!(of_torchvision.len(), sizes.len());
        for (p, size) in of_torchvision.into_iter().zip(sizes) {
            let stem = p.file().strip_suffix(".pth").unwrap();
            let (model, digits) = stem.rsplit_once('-').unwrap();
            assert_eq!(model, format!("{}_coco", p.name));
            let Check::Sha256(sha256) = p.check else { panic!("{}", p.name) };
            assert_eq!((digits, sha256.len()), (&sha256[..8], 64));
            let bytes = p.bytes.unwrap();
            assert_eq!((bytes as f64 / f64::from(1 << 20) * 1000.0).round() / 1000.0, size, "{}", p.name);
        }
        // Of the others the file's name alone tells.
        for p in PUBLISHED.iter().filter(|p| *p.project == TORCHVISION && p.bytes.is_none()) {
            let Check::Sha256Digits(digits) = p.check else { panic!("{}", p.name) };
            assert_eq!(p.file(), format!("{}-{digits}.pth", p.name));
            assert_eq!(digits.len(), 8);
        }
    }

    #[test]
    fn names_files_and_digits_are_each_one_file_s() {
        let hexadecimal = |digits: &str| digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        for (i, p) in PUBLISHED.iter().enumerate() {
            let digits = p.check.digits();
            assert!(hexadecimal(digits), "{}", p.name);
            match p.check {
                Check::Sha256(whole) => assert_eq!(whole.len(), 64, "{}", p.name),
                _ => assert!(p.file().contains(digits), "{}", p.name),
            }
            assert!(PUBLISHED[..i].iter().all(|other| other.name != p.name && other.file() != p.file()), "{}", p.name);
            assert_eq!(Published::find(p.name), Some(p));
            if *p.project != TORCHVISION {
                let (project, name) = p.name.split_once('/').unwrap();
                assert!(project == p.project.name && p.path.contains(name), "{}", p.name);
            }
            assert!(p.project.origin.starts_with("https://") && !p.project.origin.ends_with('/'));
            assert!(p.preset.is_none_or(|name| crate::config::presets::find(name).is_some()), "{}", p.name);
        }
    }

    #[test]
    fn the_end_of_a_name_is_enough_where_it_is_one_file_s() {
        let name = |name: &str| Published::find(name).map(|p| p.name);
        assert_eq!(name("mask_rcnn_R_50_C4_3x"), Some("detectron2/COCO-InstanceSegmentation/mask_rcnn_R_50_C4_3x"));
        // COCO's and LVIS's.
        assert_eq!(name("mask_rcnn_R_50_FPN_1x"), None);
        assert_eq!(name("maskrcnn"), None);
        assert_eq!(name(""), None);
    }

    #[test]
    fn hashes_are_those_of_the_standards() {
        let sha256 = Check::Sha256("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(sha256.passes(&sha256.of(&mut &b"abc"[..]).unwrap()) && !sha256.passes(&sha256.digits()[..8]));
        let md5 = Check::Md5Digits("900150");
        assert_eq!(md5.of(&mut &b"abc"[..]).unwrap(), "900150983cd24fb0d6963f7d28e17f72");
        assert!(md5.passes(&md5.of(&mut &b"abc"[..]).unwrap()) && !md5.passes(&md5.of(&mut &b"abd"[..]).unwrap()));
        let digits = Check::Sha256Digits("ba7816bf");
        assert!(digits.passes(&digits.of(&mut &b"abc"[..]).unwrap()));
        assert!(!digits.passes(&digits.of(&mut &b"abd"[..]).unwrap()));
    }

    #[test]
    fn published_files_are_known_by_length_and_hash_or_name() {
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let whole =
            Published { path: "abc-ba7816bf.pth", bytes: Some(3), check: Check::Sha256(sha256), ..PUBLISHED[0] };
        let digits = Published { path: "a/1/abc_900150.pkl", bytes: None, check: Check::Md5Digits("900150"), ..whole };
        let all = [whole, digits];
        let known = |name: &str, bytes: &[u8]| one_of(&all, name, bytes).map(|p| p.path);
        assert_eq!([known("any.pth", b"abc"), known("abc-ba7816bf.pth", b"xyz")], [Some(whole.path); 2]);
        assert_eq!([known("any.pth", b"xyz"), known("abc-ba7816bf.pth", b"abcd")], [None; 2]);
        let all = [digits];
        let known = |name: &str, bytes: &[u8]| one_of(&all, name, bytes).is_some();
        assert!(known("weights/abc_900150.pkl", b"abc"));
        assert!(!known("abc_900150.pkl", b"abd") && !known("other.pkl", b"abc"));
        // Of its own name, where that has no digits; and never where nothing is told.
        let named = [Published { path: "model/Abc-10.onnx", ..whole }];
        assert!(one_of(&named, "here/Abc-10.onnx", b"xyz").is_some() && one_of(&named, "b.onnx", b"xyz").is_none());
        let untold = [Published { path: "v2.0/abc.h5", bytes: None, check: Check::Untold, ..whole }];
        assert!(one_of(&untold, "abc.h5", b"abc").is_none());
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(shown_size(0), "0 bytes");
        assert_eq!(shown_size((1 << 20) - 1), "1048575 bytes");
        assert_eq!(PUBLISHED[1].size(), "177 MiB");
        assert_eq!(Published { bytes: None, ..PUBLISHED[1] }.size(), "of unknown size");
    }
}
