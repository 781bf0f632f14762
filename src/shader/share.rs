//! A shader that does a share of its grid: WebGPU numbers the workgroups of every dispatch from zero, so a dispatch that is
//! cut in several needs to be told where each begins.

use super::Processed;

/// What the first workgroup's number is called in the text.
const FIRST: &str = "first_workgroup";

/// The same text, in which each workgroup's number has that of the share's first one added: a `vec3<u32>` in a uniform of
/// its own, after as many `bindings` as the text has. Its lines stay where they are.
///
/// None where `main` does not go by workgroups.
pub fn share(shader: &Processed, bindings: usize) -> Option<Processed> {
    let text = &shader.text;
    let main = text.find("fn main(")?;
    let body = main + text[main..].find('{')? + 1;
    let builtin = "@builtin(workgroup_id)";
    let name_at = main + text[main..body].find(builtin)? + builtin.len();
    let name = text[name_at..body].split(':').next()?.trim();
    let (head, rest) = (&text[..name_at], &text[name_at + text[name_at..body].find(':')?..body]);
    let sum = format!(" let {name} = launched_{name} + {FIRST};");
    let uniform = format!(" @group(0) @binding({bindings}) var<uniform> {FIRST}: vec3<u32>;");
    // Directives come before all else, so what is declared comes last.
    let text = format!("{head} launched_{name}{rest}{sum}{}{uniform}\n", text[body..].trim_end());
    Some(Processed { text, lines: shader.lines.clone() })
}
