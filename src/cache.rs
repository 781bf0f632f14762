//! The user's folder for what can be had again: weights that were downloaded, speeds that were measured, choices that
//! were tuned.

mod entries;

pub(crate) use entries::Entries;

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::error::{Error, Result};

/// The variable that names another folder.
const VARIABLE: &str = "MASKRCNN_CACHE";

/// The folder for `kind` of things: `$MASKRCNN_CACHE` if that is set, whatever the kind, else `maskrcnn/<kind>` in the
/// platform's cache folder. It need not exist yet.
///
/// # Errors
/// [`Error::Config`] if neither the variable nor a home folder is there.
pub(crate) fn dir(kind: &str) -> Result<PathBuf> {
    choose(kind, |name| env::var_os(name), env::home_dir())
}

fn choose(kind: &str, variable: impl Fn(&str) -> Option<OsString>, home: Option<PathBuf>) -> Result<PathBuf> {
    let filled = |name: &str| variable(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(dir) = filled(VARIABLE) {
        return Ok(dir);
    }
    let home = home.filter(|h| h.is_absolute());
    let base = if cfg!(windows) {
        filled("LOCALAPPDATA").or_else(|| home.map(|h| h.join("AppData").join("Local")))
    } else if cfg!(target_os = "macos") {
        home.map(|h| h.join("Library").join("Caches"))
    } else {
        // A relative XDG folder is to be ignored, says its specification.
        filled("XDG_CACHE_HOME").filter(|d| d.is_absolute()).or_else(|| home.map(|h| h.join(".cache")))
    };
    let base = base.ok_or_else(|| Error::Config {
        setting: VARIABLE.into(),
        reason: format!("there is no home folder to keep {kind} in: set it to a folder for them"),
    })?;
    Ok(base.join("maskrcnn").join(kind))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_cache_is_where_the_variables_say() {
        let home = || Some(PathBuf::from(if cfg!(windows) { r"C:\Users\ada" } else { "/people/ada" }));
        let none = |_: &str| None;
        let own = |name: &str| (name == "MASKRCNN_CACHE").then(|| OsString::from("my weights"));
        assert_eq!(choose("weights", own, None).unwrap(), Path::new("my weights"));
        assert!(choose("weights", none, home()).unwrap().ends_with("maskrcnn/weights"));
        assert!(choose("roofs", none, home()).unwrap().ends_with("maskrcnn/roofs"));
        assert!(choose("weights", none, home()).unwrap().starts_with(home().unwrap()));
        let empty = |_: &str| Some(OsString::new());
        assert_eq!(choose("weights", empty, home()).unwrap(), choose("weights", none, home()).unwrap());
        if cfg!(all(unix, not(target_os = "macos"))) {
            let xdg = |v: &'static str| move |name: &str| (name == "XDG_CACHE_HOME").then(|| OsString::from(v));
            assert_eq!(choose("weights", xdg("/c"), home()).unwrap(), Path::new("/c/maskrcnn/weights"));
            assert_eq!(choose("weights", xdg("c"), home()).unwrap(), Path::new("/people/ada/.cache/maskrcnn/weights"));
        }
        let message = choose("weights", none, None).unwrap_err().to_string();
        assert!(message.contains("`MASKRCNN_CACHE`") && message.contains("keep weights in"), "{message}");
    }
}
