//! Calls at random, from two threads: `MASKRCNN_FUZZ_SECONDS` says for how long, `MASKRCNN_FUZZ_SEED` with what.

use super::common::{compile, folder, good, picture_png, program, weights, write};

#[test]
fn random_calls_are_answered() {
    let seconds = std::env::var("MASKRCNN_FUZZ_SECONDS").unwrap_or_else(|_| "5".into());
    let seed = std::env::var("MASKRCNN_FUZZ_SEED").unwrap_or_else(|_| "1".into());
    let fuzz = compile(&folder().join("tests/c/fuzz.c"), "fuzz", &["-pthread"]);
    let image = write("fuzz.png", &picture_png());
    let output = good(program(&fuzz).args([seconds, seed]).arg(weights()).arg(image));
    let said = String::from_utf8(output.stdout).unwrap();
    println!("{said}");
    let count = |what: &str| {
        let part = said.trim().split(", ").find_map(|part| part.strip_suffix(what));
        part.unwrap_or_else(|| panic!("none were{what}: {said}")).trim().parse::<u64>().unwrap()
    };
    let [calls, ok, handle, buffer] = [" calls", " ok", " handle", " buffer"].map(count);
    assert!(calls > 3000 && ok > calls / 10 && handle > calls / 50 && buffer > 0, "{said}");
}
