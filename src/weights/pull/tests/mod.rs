mod disk;
mod network;
mod server;

use std::fs;
use std::path::Path;
use std::time::Duration;

use server::{Server, Step};

use super::http::Patience;
use super::{Check, PUBLISHED, Progress, Published, pull_with};
use crate::error::{Error, Result};

/// No patience that a test would have to wait for.
const HASTY: Patience = Patience {
    connect: Duration::from_secs(5),
    stall: Duration::from_secs(20),
    pauses: &[Duration::from_millis(1), Duration::from_millis(1)],
    proxy: false,
};

/// Bytes that repeat nowhere, more than one piece of them.
fn content(seed: u32) -> Vec<u8> {
    (0..50_000u32).flat_map(|i| (i.wrapping_mul(2_654_435_761) ^ seed).to_le_bytes()).collect()
}

/// The SHA-256 of `content`.
fn sha256_of(content: &[u8]) -> String {
    Check::Sha256("").of(&mut &content[..]).unwrap()
}

/// An entry for `content`.
fn entry(content: &[u8]) -> Published {
    let sha256 = sha256_of(content);
    let path = format!("test-{}.pth", &sha256[..8]);
    let (bytes, check) = (Some(content.len() as u64), Check::Sha256(sha256.leak()));
    Published { name: "test", path: path.leak(), bytes, check, preset: None, ..PUBLISHED[0] }
}

/// The same of a project that tells the first digits of the MD5, and no length.
fn entry_of_digits(content: &[u8]) -> Published {
    let md5 = Check::Md5Digits("").of(&mut &content[..]).unwrap();
    let path = format!("a/7/test_{}.pkl", &md5[..6]);
    Published { path: path.leak(), bytes: None, check: Check::Md5Digits(md5[..6].to_string().leak()), ..entry(content) }
}

/// The same of one that tells digits of the SHA-256, or nothing at all.
fn entry_of(content: &[u8], path: &str, check: impl Fn(&'static str) -> Check) -> Published {
    let sha256: &'static str = sha256_of(content).leak();
    let path = path.replace("{}", &sha256[..8]).leak();
    Published { path, bytes: None, check: check(&sha256[..8]), ..entry(content) }
}

/// A place to pull to, the file to pull, and what was heard of it.
struct Place {
    dir: tempfile::TempDir,
    content: Vec<u8>,
    p: Published,
    heard: Vec<Progress>,
}

impl Place {
    fn new() -> Self {
        let content = content(0);
        let p = entry(&content);
        Self { dir: tempfile::tempdir().unwrap(), content, p, heard: Vec::new() }
    }

    fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Leaves a part of an earlier run.
    fn leave(&self, part: &[u8]) {
        fs::write(self.dir().join(format!("{}.part", self.p.file())), part).unwrap();
    }

    /// What an earlier run left.
    fn part(&self) -> Option<Vec<u8>> {
        fs::read(self.dir().join(format!("{}.part", self.p.file()))).ok()
    }

    fn pull(&mut self, server: &Server) -> Result<()> {
        self.pull_with(&server.origin, HASTY)
    }

    /// Pulls, and checks that there is the whole file and nothing else, or no file.
    fn pull_with(&mut self, origin: &str, patience: Patience) -> Result<()> {
        self.heard.clear();
        let heard = &mut self.heard;
        let result = pull_with(&self.p, origin, self.dir.path(), patience, &mut |at| heard.push(at));
        let target = self.dir().join(self.p.file());
        match result {
            Ok(path) => {
                assert_eq!(path, target);
                assert!(fs::read(path).unwrap() == self.content);
                assert_eq!(fs::read_dir(self.dir()).unwrap().count(), 1);
                Ok(())
            }
            Err(e) => {
                assert!(!target.exists());
                Err(e)
            }
        }
    }

    /// The message of a pull that must fail on the network.
    fn failure(&mut self, server: &Server) -> String {
        let e = self.pull(server).unwrap_err();
        let Error::Download { url, reason } = &e else { panic!("{e}") };
        assert_eq!(*url, format!("{}/{}", server.origin, self.p.path));
        assert_eq!(e.to_string(), format!("download {url}: {reason}"));
        reason.clone()
    }

    /// The same, of a server that does `step` once and is asked no more.
    fn failure_of(&mut self, step: Step) -> String {
        let server = Server::new(vec![step]);
        let reason = self.failure(&server);
        assert_eq!(server.asked().len(), 1);
        reason
    }
}

fn from(byte: usize) -> Option<String> {
    Some(format!("bytes={byte}-"))
}
