//! Machine code as drivers print it: its loops, and what is in them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What an instruction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// A multiply-add of cooperative matrices, or a part of one.
    Matrix,
    /// A multiply-add of floats.
    MultiplyAdd,
    /// Two of f16 at once, or a sum of products.
    PackedMultiplyAdd,
    /// Other arithmetic, a value a thread.
    Vector,
    /// Arithmetic of values that a subgroup shares.
    Scalar,
    /// A load from workgroup memory.
    WorkgroupLoad,
    /// A store or an atomic in workgroup memory.
    WorkgroupStore,
    /// A load from a buffer or a texture, a value a thread.
    BufferLoad,
    /// A store or an atomic in a buffer.
    BufferStore,
    /// A load of values that a subgroup shares.
    ScalarLoad,
    /// A load or a store of spilled registers.
    Scratch,
    /// A wait for memory.
    Wait,
    /// A barrier of the workgroup.
    Barrier,
    /// A jump.
    Branch,
    /// What costs nothing or next to nothing: hints.
    Hint,
    /// Anything else.
    Other,
}

impl Class {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Matrix => "matrix multiply-adds",
            Self::MultiplyAdd => "multiply-adds",
            Self::PackedMultiplyAdd => "packed multiply-adds",
            Self::Vector => "other vector arithmetic",
            Self::Scalar => "scalar arithmetic",
            Self::WorkgroupLoad => "workgroup loads",
            Self::WorkgroupStore => "workgroup stores",
            Self::BufferLoad => "buffer loads",
            Self::BufferStore => "buffer stores",
            Self::ScalarLoad => "scalar loads",
            Self::Scratch => "spills and fills",
            Self::Wait => "waits",
            Self::Barrier => "barriers",
            Self::Branch => "branches",
            Self::Hint => "hints",
            Self::Other => "others",
        }
    }

    /// Whether it is the arithmetic that kernels are written for.
    pub fn multiplies(self) -> bool {
        matches!(self, Self::Matrix | Self::MultiplyAdd | Self::PackedMultiplyAdd)
    }

    /// How much it counts in the search for the busiest loop: an instruction of matrices does the work of many.
    fn weight(self) -> usize {
        match self {
            Self::Matrix => 64,
            Self::PackedMultiplyAdd => 2,
            Self::MultiplyAdd => 1,
            _ => 0,
        }
    }
}

/// An instruction: where it stands in the text, what it is, and where it jumps to, if anywhere.
#[derive(Debug, PartialEq, Eq)]
struct Instruction {
    line: usize,
    class: Class,
    target: Option<usize>,
}

/// A loop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loop {
    /// Its lines in the text, from 0, the last one included.
    pub lines: [usize; 2],
    /// The instructions of a turn, without those of loops within it.
    pub counts: BTreeMap<Class, usize>,
}

impl Loop {
    /// Instructions of a turn.
    pub fn instructions(&self) -> usize {
        self.counts.values().sum()
    }

    /// The share of multiply-adds among them.
    pub fn share(&self) -> f64 {
        let multiply: usize = self.counts.iter().filter(|(class, _)| class.multiplies()).map(|(_, n)| n).sum();
        multiply as f64 / self.instructions().max(1) as f64
    }
}

/// The loop with the most multiply-adds of its own, in a text that this knows to read: AMD's as RADV prints it, and
/// NVIDIA's as NVK does. None where there is no loop that multiplies.
pub fn busiest(text: &str) -> Option<Loop> {
    let code = if text.lines().any(|l| nvidia_block(l).is_some()) { nvidia(text) } else { amd(text) };
    let loops = loops(&code);
    let own = |i: usize| {
        let [begin, end] = loops[i];
        let inner = loops.iter().filter(move |[b, e]| [*b, *e] != [begin, end] && begin <= *b && *e <= end);
        let inner: Vec<_> = inner.collect();
        (begin..=end).filter(move |at| !inner.iter().any(|[b, e]| (b..=e).contains(&at)))
    };
    let score = |i: &usize| own(*i).map(|at| code[at].class.weight()).sum::<usize>();
    // Of equals the first.
    let best = (0..loops.len()).rev().max_by_key(score).filter(|i| score(i) > 0)?;
    let mut counts = BTreeMap::new();
    own(best).for_each(|at| *counts.entry(code[at].class).or_insert(0) += 1);
    Some(Loop { lines: loops[best].map(|at| code[at].line), counts })
}

/// First and last instruction of each loop: what lies between a jump back and where it leads. Of several jumps to one
/// place the last counts.
fn loops(code: &[Instruction]) -> Vec<[usize; 2]> {
    let mut ends: BTreeMap<usize, usize> = BTreeMap::new();
    for (at, target) in code.iter().enumerate().filter_map(|(at, i)| Some((at, i.target?))) {
        if target <= at {
            ends.insert(target, at);
        }
    }
    ends.into_iter().map(|(begin, end)| [begin, end]).collect()
}

/// ACO's text: labels as `BB3:`, an instruction a line after blanks, its code after a semicolon.
fn amd(text: &str) -> Vec<Instruction> {
    let mut labels: BTreeMap<&str, usize> = BTreeMap::new();
    let mut read: Vec<(usize, &str, &str)> = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let line = line.split(';').next().unwrap_or_default();
        if let Some(label) = line.trim_end().strip_suffix(':').filter(|_| !line.starts_with(char::is_whitespace)) {
            labels.insert(label, read.len());
            continue;
        }
        let words = line.trim();
        let (name, rest) = words.split_once(char::is_whitespace).unwrap_or((words, ""));
        let is_name = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.contains('_');
        if is_name && line.starts_with(char::is_whitespace) {
            read.push((n, name, rest.trim()));
        }
    }
    let told = read.iter().map(|&(line, name, rest)| {
        let jumps = name == "s_branch" || name.starts_with("s_cbranch");
        let target = jumps.then(|| labels.get(rest.split(|c: char| c.is_whitespace() || c == ',').next()?).copied());
        Instruction { line, class: amd_class(name, rest), target: target.flatten() }
    });
    told.collect()
}

fn amd_class(name: &str, rest: &str) -> Class {
    let is = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
    match () {
        () if is(&["v_wmma", "v_swmmac", "v_mfma"]) => Class::Matrix,
        () if is(&["v_pk_fma", "v_pk_mad", "v_pk_fmac", "v_dot"]) => Class::PackedMultiplyAdd,
        () if is(&["v_fma", "v_mad_f", "v_mac_f", "v_mad_mix"]) => Class::MultiplyAdd,
        // Two at once: one multiply-add is enough to call them so.
        () if is(&["v_dual_fma"]) || (is(&["v_dual_"]) && rest.contains("v_dual_fma")) => Class::MultiplyAdd,
        () if is(&["v_"]) => Class::Vector,
        () if is(&["ds_load", "ds_read"]) => Class::WorkgroupLoad,
        () if is(&["ds_"]) => Class::WorkgroupStore,
        () if is(&["scratch_"]) => Class::Scratch,
        () if is(&["s_load", "s_buffer_load"]) => Class::ScalarLoad,
        () if is(&["buffer_load", "global_load", "flat_load", "image_load", "image_sample", "tbuffer_load"]) => {
            Class::BufferLoad
        }
        () if is(&["buffer_", "global_", "flat_", "image_", "tbuffer_"]) => Class::BufferStore,
        () if is(&["s_wait_alu", "s_delay", "s_clause", "s_nop", "s_inst_prefetch", "s_sendmsg", "s_setprio"]) => {
            Class::Hint
        }
        () if is(&["s_wait"]) => Class::Wait,
        () if is(&["s_barrier"]) => Class::Barrier,
        () if is(&["s_branch", "s_cbranch", "s_setpc", "s_endpgm"]) => Class::Branch,
        () if is(&["s_"]) => Class::Scalar,
        () => Class::Other,
    }
}

/// The number of the block that begins on this line of NAK's text: `block 3 L5 [1, 2] -> {`.
fn nvidia_block(line: &str) -> Option<usize> {
    let rest = line.trim_start().strip_prefix("block")?;
    let number = rest.trim_start_matches(".u").trim_start().split(char::is_whitespace).next()?;
    number.parse().ok().filter(|_| line.trim_end().ends_with('{'))
}

/// NAK's text: blocks of instructions, each with the numbers of those that may follow.
fn nvidia(text: &str) -> Vec<Instruction> {
    let mut code: Vec<Instruction> = Vec::new();
    let mut begins: BTreeMap<usize, usize> = BTreeMap::new();
    // Where blocks end, and the blocks that may follow.
    let mut jumps: Vec<(usize, Vec<usize>)> = Vec::new();
    for (line, text) in text.lines().enumerate() {
        if let Some(block) = nvidia_block(text) {
            begins.insert(block, code.len());
            continue;
        }
        let words = text.split("//").next().unwrap_or_default().trim();
        if let Some(rest) = words.strip_prefix("} -> [") {
            let next = rest.trim_end_matches(']').split(',').filter_map(|n| n.trim().parse().ok()).collect();
            jumps.push((code.len(), next));
            continue;
        }
        // A predicate comes first; what is computed stands before the equals sign.
        let words = words.strip_prefix('@').map_or(words, |w| w.split_once(' ').map_or("", |w| w.1));
        let words = words.split_once(" = ").map_or(words, |w| w.1).trim();
        let name = words.split_whitespace().next().unwrap_or_default();
        if !begins.is_empty() && name.starts_with(|c: char| c.is_ascii_lowercase()) {
            code.push(Instruction { line, class: nvidia_class(name), target: None });
        }
    }
    for (end, next) in jumps {
        let back = next.iter().filter_map(|block| begins.get(block)).filter(|begin| **begin < end).min();
        if let (Some(last), Some(back)) = (end.checked_sub(1), back) {
            code[last].target = Some(*back);
        }
    }
    code
}

fn nvidia_class(name: &str) -> Class {
    let mut parts = name.split('.');
    match parts.next().unwrap_or_default() {
        "hmma" | "imma" => Class::Matrix,
        "ffma" | "dfma" => Class::MultiplyAdd,
        "hfma2" => Class::PackedMultiplyAdd,
        "lds" | "ldsm" => Class::WorkgroupLoad,
        "sts" | "atoms" => Class::WorkgroupStore,
        "ldl" | "stl" => Class::Scratch,
        "ldc" | "uldc" | "ldcu" => Class::ScalarLoad,
        "ld" if name.contains(".shared") => Class::WorkgroupLoad,
        "st" | "atom" if name.contains(".shared") => Class::WorkgroupStore,
        "ld" | "st" if name.contains(".local") => Class::Scratch,
        "ld" | "ldg" | "suld" | "tex" | "tld" => Class::BufferLoad,
        "st" | "stg" | "atom" | "atomg" | "red" | "sust" => Class::BufferStore,
        "bar" => Class::Barrier,
        "bra" | "bssy" | "bsync" | "bclear" | "bmov" | "break" | "warpsync" | "exit" => Class::Branch,
        "nop" | "depbar" | "membar" | "cctl" => Class::Hint,
        name if name.starts_with('u') => Class::Scalar,
        _ => Class::Vector,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(found: &Loop) -> Vec<(Class, usize)> {
        found.counts.iter().map(|(c, n)| (*c, *n)).collect()
    }

    /// An outer loop that loads, an inner one that multiplies, and one after them that only stores.
    const AMD: &str = "\
BB0:
\ts_mov_b32 s0, 0                    ; be800380
BB1:
\tbuffer_load_b128 v[0:3], v8, s[4:7], 0 offen ; e05c0000
\ts_waitcnt vmcnt(0)                 ; bf8903f7
\tds_store_b128 v9, v[0:3]           ; db7c0000
BB2:
\tds_load_b128 v[4:7], v9            ; dbfc0000
\ts_waitcnt lgkmcnt(0)               ; bf89fc07
\tv_fmac_f32_e32 v10, v4, v5         ; 56140b04
\tv_dual_fmac_f32 v11, v4, v6 :: v_dual_mov_b32 v1, v2 ; c8000d04
\tv_pk_fma_f16 v12, v4, v5, v12      ; cc0e400c
\tv_add_nc_u32_e32 v9, 16, v9        ; 4a121290
\ts_add_i32 s0, s0, 1                ; 81008100
\ts_cmp_lt_i32 s0, s1                ; bf040100
\ts_cbranch_scc1 BB2                 ; bfa2fff4
BB3:
\ts_barrier                          ; bfbd0000
\ts_cbranch_scc1 BB1                 ; bfa2ffe0
BB4:
\tbuffer_store_b32 v10, v8, s[4:7], 0 offen ; e0680000
\ts_cbranch_vccnz BB4                ; bfa4fffd
BB5:
\ts_endpgm                           ; bfb00000
";

    #[test]
    fn the_busiest_loop_of_amd_is_the_one_that_multiplies() {
        use Class::*;
        let found = busiest(AMD).unwrap();
        let want = [
            (MultiplyAdd, 2),
            (PackedMultiplyAdd, 1),
            (Vector, 1),
            (Scalar, 2),
            (WorkgroupLoad, 1),
            (Wait, 1),
            (Branch, 1),
        ];
        assert_eq!(counts(&found), want);
        assert_eq!((found.lines, found.instructions()), ([7, 15], 9));
        assert!((found.share() - 3.0 / 9.0).abs() < 1e-12);
        // Multiply-adds of the outer loop alone are its own; the inner one's are not counted with them.
        let outer = AMD.replace("ds_store_b128", "v_fma_f32").replace("v_fmac_f32_e32", "v_mov_b32");
        let outer = outer.replace("v_dual_fmac_f32", "v_dual_mul_f32").replace("v_pk_fma_f16", "v_pk_mul_f16");
        let found = busiest(&outer).unwrap();
        assert_eq!(counts(&found), [(MultiplyAdd, 1), (BufferLoad, 1), (Wait, 1), (Barrier, 1), (Branch, 1)]);
        assert_eq!(found.lines, [3, 18]);
    }

    #[test]
    fn a_matrix_counts_for_many() {
        let text = AMD.replace("buffer_store_b32 v10, v8", "v_wmma_f32_16x16x16_f16 v[0:7], v8");
        assert_eq!(counts(&busiest(&text).unwrap()), [(Class::Matrix, 1), (Class::Branch, 1)]);
    }

    #[test]
    fn where_nothing_loops_or_multiplies_there_is_no_busiest_loop() {
        assert_eq!(busiest(&AMD.replace("s_cbranch", "s_cselect")), None);
        assert_eq!(busiest("BB0:\n\ts_add_i32 s0, s0, 1\n\ts_branch BB0\n"), None);
        assert_eq!(busiest("machine code of another kind"), None);
    }

    #[test]
    fn the_busiest_loop_of_nvidia_is_found_by_its_blocks() {
        let text = "\
block 0 L0 [] -> {
    r0 = mov 0x0 // delay=1
} -> [1]
block 1 L1 [0, 1] -> {
    r4..8 = lds.a64.b128 [r1] // delay=2 wr:0
    r8 = ffma r4 r5 r8 // delay=4
    r9 = ffma r4 r6 r9 // delay=4
    r1 = iadd3 r1 0x10 rZ
    p0 = isetp.lt r1 r2
    @p0 bra L1
} -> [2, 1]
block 2 L2 [1] -> {
    stg.a64.b32 [r10..12] r8
    exit
} -> []
";
        let found = busiest(text).unwrap();
        use Class::*;
        assert_eq!(counts(&found), [(MultiplyAdd, 2), (Vector, 2), (WorkgroupLoad, 1), (Branch, 1)]);
        assert_eq!(found.lines, [4, 9]);
    }
}
