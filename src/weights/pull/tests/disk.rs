use std::process::Command;
use std::sync::mpsc;
use std::{env, thread};

use super::server::{Server, head, send, whole};
use super::*;
use crate::weights::pull::cached;

#[test]
fn a_damaged_file_is_replaced() {
    let mut place = Place::new();
    let path = place.dir().join(place.p.file());
    for damaged in [content(1), b"short".to_vec()] {
        fs::write(&path, &damaged).unwrap();
        let there = cached(&place.p, place.dir()).is_some();
        assert_eq!(there, damaged.len() == place.content.len());
        let server = Server::new(vec![whole(&place.content, usize::MAX)]);
        place.pull(&server).unwrap();
        assert_eq!(server.asked().len(), 1);
        assert_eq!(cached(&place.p, place.dir()), Some(path.clone()));
    }
}

#[test]
fn the_folder_is_made() {
    let place = Place::new();
    let dir = place.dir().join("a").join("b");
    let server = Server::new(vec![whole(&place.content, usize::MAX)]);
    let path = pull_with(&place.p, &server.origin, &dir, HASTY, &mut |_| ()).unwrap();
    assert_eq!(path, dir.join(place.p.file()));

    // Below a file, there is none to make.
    let dir = path.join("c");
    let e = pull_with(&place.p, &server.origin, &dir, HASTY, &mut |_| ()).unwrap_err();
    assert!(matches!(&e, Error::Io { path, .. } if *path == dir), "{e}");
}

#[test]
fn one_process_at_a_time() {
    let place = Place::new();
    let (p, content, dir) = (place.p, place.content.clone(), place.dir());
    let (go, wait) = mpsc::channel();
    let (started, start) = mpsc::channel();
    let server = Server::new(vec![Box::new(move |_, stream| {
        head(stream, "200 OK", &[("Content-Length", content.len().to_string())]);
        send(stream, &content[..100]);
        started.send(()).unwrap();
        wait.recv().unwrap();
        send(stream, &content[100..]);
    })]);
    let pull = || pull_with(&p, &server.origin, dir, HASTY, &mut |_| ());
    thread::scope(|scope| {
        let first = scope.spawn(pull);
        start.recv().unwrap();
        let e = pull().unwrap_err();
        assert!(e.to_string().contains(".pth.lock: another process is pulling this file"), "{e}");
        go.send(()).unwrap();
        assert_eq!(first.join().unwrap().unwrap(), dir.join(p.file()));
    });
    assert!(fs::read(pull().unwrap()).unwrap() == place.content);
    assert_eq!((server.asked().len(), fs::read_dir(dir).unwrap().count()), (1, 1));
}

#[test]
fn many_at_once_leave_one_sound_file() {
    let place = Place::new();
    let server = Server::new((0..8).map(|_| whole(&place.content, usize::MAX)).collect());
    let pull = || pull_with(&place.p, &server.origin, place.dir(), HASTY, &mut |_| ());
    thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(pull)).collect();
        for result in all.into_iter().map(|t| t.join().unwrap()) {
            assert!(result.as_ref().err().is_none_or(|e| e.to_string().contains("another process")), "{result:?}");
        }
    });
    assert!(fs::read(pull().unwrap()).unwrap() == place.content);
    assert_eq!((server.asked().len(), fs::read_dir(place.dir()).unwrap().count()), (1, 1));
}

#[test]
fn a_disk_without_room_is_not_begun_on() {
    let mut place = Place::new();
    place.p.bytes = Some(1 << 60);
    let server = Server::new(vec![]);
    let e = place.pull(&server).unwrap_err();
    assert!(matches!(&e, Error::Io { path, .. } if path == place.dir()), "{e}");
    assert!(e.to_string().contains("1099511627776 MiB are needed here and "), "{e}");
    assert!(e.to_string().contains("make room, or set MASKRCNN_CACHE"), "{e}");
    assert_eq!((server.asked().len(), place.part()), (0, None));
}

/// `/dev/full` takes no byte.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_given_back_what_the_part_took() {
    let mut place = Place::new();
    let part = place.dir().join(format!("{}.part", place.p.file()));
    std::os::unix::fs::symlink("/dev/full", &part).unwrap();
    let server = Server::new(vec![whole(&place.content, usize::MAX)]);
    let e = place.pull(&server).unwrap_err();
    assert!(matches!(&e, Error::Io { path, .. } if *path == part), "{e}");
    assert!(e.to_string().contains("the file needs 200000 bytes here; what had come is removed"), "{e}");
    assert!(part.symlink_metadata().is_err());
}

/// The same halfway through, in a process of its own that may write no file of more than 64 KiB.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_is_given_back_what_the_part_took() {
    const MARK: &str = "MASKRCNN_TEST_SMALL_FILES";
    if env::var_os(MARK).is_some() {
        let mut place = Place::new();
        let server = Server::new(vec![whole(&place.content, usize::MAX)]);
        let e = place.pull(&server).unwrap_err().to_string();
        assert!(e.contains("the file needs 200000 bytes here; what had come is removed"), "{e}");
        assert!(place.heard.last().unwrap().done > 0);
        assert_eq!(place.part(), None);
        return;
    }
    let name = "a_disk_that_fills_up_is_given_back_what_the_part_took";
    let script = format!("ulimit -f 128; trap '' XFSZ; exec \"$0\" {name}");
    let ran =
        Command::new("sh").args(["-c", &script]).arg(env::current_exe().unwrap()).env(MARK, "1").output().unwrap();
    let out = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && out.contains("1 passed"), "{out}{}", String::from_utf8_lossy(&ran.stderr));
}
