//! What a test leaves out for want of something, said where everyone sees it.

use std::io::Write;

/// Says on the program's own stderr what is not tested, and what would have it tested. The harness captures what passing
/// tests print with `print!` and `eprintln!`, and would say "ok" alone; what is written past these macros it does not.
pub(crate) fn skipped(what: &str, cure: &str) {
    // One write, so that lines of tests that run at once do not mix.
    let line = format!("\nskipped: {what}; {cure}\n");
    std::io::stderr().lock().write_all(line.as_bytes()).expect("stderr takes a line");
}
