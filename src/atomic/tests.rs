use super::*;

fn names(dir: &Path) -> Vec<String> {
    let mut out: Vec<String> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    out.sort();
    out
}

#[test]
fn a_failure_leaves_the_old_content_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.txt");
    write(&path, |out| out.write_all(b"old")).unwrap();
    let failed = write(&path, |out| {
        out.write_all(b"half")?;
        Err(io::Error::other("disk full"))
    });
    assert!(failed.unwrap_err().to_string().contains("a.txt"));
    assert_eq!(fs::read(&path).unwrap(), b"old");
    write(&path, |out| out.write_all(b"new")).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(names(dir.path()), ["a.txt"]);
}

#[test]
fn places_that_cannot_be_written_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_path_buf(), dir.path().join("none/a.txt"), "/".into(), "".into()] {
        assert!(matches!(write(&path, |_| Ok(())), Err(Error::Io { .. })), "{path:?}");
    }
}

/// By a hidden name too, as on systems that have no files without one.
#[test]
fn nothing_shows_until_it_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("a.txt");
    for old in [false, true] {
        if old {
            fs::write(&target, b"old").unwrap();
        }
        for named in [false, true] {
            let stage = || if named { Staged::with_name(&target) } else { Staged::new(&target) };
            let before = names(dir.path());
            let dropped = stage().unwrap();
            dropped.file().write_all(b"half").unwrap();
            if cfg!(target_os = "linux") && !named {
                assert_eq!(names(dir.path()), before, "visible before it is whole");
            }
            drop(dropped);
            assert_eq!(names(dir.path()), before, "left behind");
            let staged = stage().unwrap();
            staged.file().write_all(b"new").unwrap();
            staged.publish(&target).unwrap();
            assert_eq!((fs::read(&target).unwrap(), names(dir.path())), (b"new".to_vec(), vec!["a.txt".to_string()]));
            if !old {
                fs::remove_file(&target).unwrap();
            }
        }
    }
}

#[cfg(feature = "cli")]
#[test]
fn a_file_moved_aside_comes_back_or_goes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.txt");
    fs::write(&path, b"old").unwrap();
    let aside = Aside::of(&path).unwrap();
    assert!(!path.exists());
    aside.restore();
    assert_eq!((fs::read(&path).unwrap(), names(dir.path())), (b"old".to_vec(), vec!["a.txt".to_string()]));
    drop(Aside::of(&path).unwrap());
    Aside::of(&path).unwrap().restore();
    assert!(names(dir.path()).is_empty());
}

/// The number of a process that has ended.
fn dead() -> u32 {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .arg("--list")
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    child.wait().unwrap();
    child.id()
}

#[test]
fn only_what_dead_processes_left_is_swept() {
    let dir = tempfile::tempdir().unwrap();
    let (dead, own) = (dead(), std::process::id());
    let held = Staged::with_name(&dir.path().join("held.png")).unwrap();
    let held_name = names(dir.path()).remove(0);
    let mut stay = vec![held_name, "a.png".into(), format!(".a.txt.{dead}.0.part"), format!("a.png.{dead}.0.part")];
    if cfg!(target_os = "linux") {
        // The first process of a system is always there.
        stay.push(".a.png.1.0.part".into());
    }
    for name in &stay[1..] {
        fs::write(dir.path().join(name), b"x").unwrap();
    }
    for name in [format!(".a.png.{dead}.0.part"), format!(".b.7.png.{dead}.12.part"), format!(".a.png.{own}.0.part")] {
        fs::write(dir.path().join(name), b"x").unwrap();
    }
    // No file, whatever its name.
    stay.push(format!(".a.png.{dead}.1.part"));
    fs::create_dir(dir.path().join(&stay[stay.len() - 1])).unwrap();
    sweep(dir.path(), |target| target.ends_with(".png"));
    stay.sort();
    assert_eq!(names(dir.path()), stay);
    drop(held);

    // One path's are swept where it is written again.
    write(&dir.path().join("a.txt"), |_| Ok(())).unwrap();
    assert!(!dir.path().join(format!(".a.txt.{dead}.0.part")).exists());
    sweep(&dir.path().join("none"), |_| true);
}

#[cfg(feature = "cli")]
#[test]
fn folders_are_judged_before_they_are_made() {
    let dir = tempfile::tempdir().unwrap();
    for good in ["", "a/b/c"] {
        check_folder(&dir.path().join(good)).unwrap();
    }
    check_folder(Path::new("")).unwrap();
    assert!(names(dir.path()).is_empty());
    fs::write(dir.path().join("taken"), b"mine").unwrap();
    for bad in ["taken", "taken/below", "taken/below/more"] {
        let message = check_folder(&dir.path().join(bad)).unwrap_err().to_string();
        assert!(message.contains("taken: is a file"), "{message}");
    }
    #[cfg(target_os = "linux")]
    assert!(check_folder(Path::new("/proc/none")).is_err());
}
