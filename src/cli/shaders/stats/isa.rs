//! `maskrcnn shaders stats --isa`

use maskrcnn::engine::driver::{Class as Kind, Driver, Executable, Figures, Loop, Outcome, Representation, busiest};
use maskrcnn::engine::kernels::{Entry, Variant};
use maskrcnn::{Error, Result};
use serde_json::json;

use super::super::refuse;
use crate::cli::class::Class;
use crate::cli::words::width;

/// Prints the machine code of one text, and what its busiest loop holds.
pub(super) fn run(driver: &Driver, class: &Class, entry: &Entry, variant: &Variant, json: bool) -> Result<()> {
    let (name, key) = (entry.name, driver.key());
    let programs = match driver.compile(entry, variant, true)?.1 {
        Outcome::Compiled(programs) => programs,
        Outcome::Needs(needs) => return refuse(name, format!("{variant} needs {needs}, which {key} does not offer")),
        Outcome::Refused(reason) => return refuse(name, format!("{variant}: {key}: {reason}")),
    };
    let coded: Vec<(&Executable, &Representation)> =
        programs.iter().filter_map(|program| Some((program, code(program)?))).collect();
    if coded.is_empty() {
        let reason = "its driver does not give its machine code: without --isa, figures may be there".into();
        return Err(Error::Unsupported { device: driver.found.name.clone(), reason });
    }
    if json {
        let programs: Vec<_> = coded.iter().map(|(program, code)| told(program, code)).collect();
        let constants: serde_json::Map<_, _> =
            variant.constants().into_iter().map(|(k, n)| (k.to_string(), json!(n))).collect();
        let all = json!({ "device": class.name, "driver": key, "kernel": name, "variant": variant.name,
            "constants": constants, "programs": programs });
        return crate::cli::print(format!("{all:#}\n").as_bytes());
    }
    for (program, code) in coded {
        say!("; {name}, variant {variant}; for {}", class.name);
        say!("; compiled by {key}: {}, {}", program.name, code.name);
        crate::cli::print(code.text.trim_end().as_bytes())?;
        say!();
        match busiest(&code.text) {
            Some(found) => show(&found),
            None => say!("\n; no loop that multiplies is found in it"),
        }
    }
    Ok(())
}

/// The machine code among the texts that a driver went through: the last that is called so.
fn code(program: &Executable) -> Option<&Representation> {
    let named = |r: &&Representation| {
        ["assembly", "isa", "machine", "disasm"].iter().any(|w| {
            let words = r.name.to_lowercase();
            words.split(|c: char| !c.is_alphanumeric()).any(|word| word.starts_with(w))
        })
    };
    program.code.iter().rfind(named)
}

fn told(program: &Executable, code: &Representation) -> serde_json::Value {
    let found = busiest(&code.text);
    let share = found.as_ref().map(|found| found.share());
    json!({ "name": program.name, "figures": Figures::of(program), "code": code.text, "busiest_loop": found,
        "multiply_adds": share })
}

fn show(found: &Loop) {
    let [first, last] = found.lines.map(|line| line + 1);
    let (all, percent) = (found.instructions(), 100.0 * found.share());
    let matrices = found.counts.get(&Kind::Matrix).map(|n| all as f64 / *n as f64);
    // One of these does the work of many, so their share says little.
    let told = match matrices {
        Some(each) => format!("{each:.1} for each multiply-add of matrices"),
        None => format!("{percent:.0} % of them multiply-adds"),
    };
    say!("\n; the busiest loop, lines {first} to {last} of the code: {all} instructions a turn, {told}");
    let wide = width(found.counts.keys().map(|class| class.name()));
    for (class, n) in &found.counts {
        say!(";   {:wide$}  {n:5}", class.name());
    }
}
