//! `maskrcnn IMAGE…` is `maskrcnn detect IMAGE…`.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::{STDIN, folder, is_pattern};

/// The arguments of the program, with `detect` where they begin with a picture. What may be a mistyped command stays as
/// it is.
pub(in crate::cli) fn with_command(args: Vec<OsString>, is_command: impl Fn(&str) -> bool) -> Vec<OsString> {
    let begins = args.get(1).is_some_and(|first| is_picture(first) && !first.to_str().is_some_and(is_command));
    let at = usize::from(!args.is_empty());
    let (program, rest) = args.split_at(at);
    let command = begins.then(|| OsString::from("detect"));
    program.iter().cloned().chain(command).chain(rest.iter().cloned()).collect()
}

fn is_picture(first: &OsStr) -> bool {
    let (path, text) = (Path::new(first), first.to_string_lossy());
    if text == STDIN {
        return true;
    }
    // Options are clap's.
    !text.starts_with('-')
        && (path.exists() || text.starts_with('@') || is_pattern(&text) || folder::has_image_ending(path))
}
