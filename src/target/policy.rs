//! What pays on which class of device: one table, which measurements on a new class will edit. What is measured says so in
//! benches/NOTES.md; no GPU was at hand, so all of [`GPU`] is reasoned.

mod cpus;

use super::Caps;

pub use cpus::{
    CALLING_CPU, CPU, SHORT_COMMON_CPU, SHORT_CPU, SHORT_LOOPING_CPU, WIDE_CPU, WIDEST_COMMON_CPU, WIDEST_CPU,
    mesa_version, wants_widest,
};

/// Tuning that depend on the class of device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// The class, for people.
    pub name: &'static str,
    /// Whether reading a texel beats reading a storage buffer by far: lavapipe loads a texture's texels for all lanes with
    /// vector moves, and goes through a storage buffer lane by lane.
    pub texels: bool,
    /// Whether workgroup memory is faster than other memory. On a CPU driver it is no faster, and such shaders take long to
    /// compile.
    pub workgroup_memory: bool,
    /// Whether loads pay that lie side by side for threads side by side; else those that a workgroup has in common, which a
    /// CPU driver makes once.
    pub coalesces: bool,
    /// Whether grids follow live counts by indirect dispatches: a workgroup costs more than the look at a count.
    pub live_grids: bool,
    /// Whether the mask head's last two layers are one: what lies between them would be stored and read lane by lane.
    pub fused_mask_head: bool,
    /// Whether the driver compiles at a pipeline's first dispatch.
    pub compiles_late: bool,
    /// Whether a text serves launches with and without live counts, and with one map or several: where a driver takes half
    /// a second for each, fewer texts are worth more than what they leave out.
    pub fewer_texts: bool,
    /// Whether both ways of a branch are gone through, lanes masked, where a loop's end is none: leaving early saves nothing, and
    /// what lies in a branch is loaded lane by lane.
    pub masks_branches: bool,
    /// Whether what runs the shaders are this machine's own cores, which other programs use too.
    pub own_cores: bool,
    /// Whether the system may end a submit that takes seconds, and the device with it.
    pub watchdog: bool,
    /// The least size of matrices of f16 with f32 sums from which on f16 is taken where nobody chose; none where it never is. It costs
    /// the last digits of what is found, and is for where it should save a tenth of the time: 8×8 ones are no faster than
    /// multiply-adds, and save traffic alone.
    pub f16_from: Option<u32>,
    /// Elements of a segment, on average, from which on a selection is made tile by tile: a GPU has many workgroups, and one
    /// of them waits for memory turn by turn. None where that never pays.
    pub a_workgroup_s_elements: Option<usize>,
    /// Boxes of a group up to which one workgroup suppresses them alone; above, all pairs are held against each other at once.
    /// None where that never pays.
    pub a_workgroup_s_boxes: Option<usize>,
    /// Tiles in registers.
    pub tiles: Tiles,
    /// Blocks in workgroup memory.
    pub blocks: Blocks,
    /// Winograd's products.
    pub winograd: Winograd,
    /// Parts of long rows; none where that never pays.
    pub split_k: Option<SplitK>,
    /// What measures the roofs.
    pub probes: Probes,
}

/// Tiles of a product whose sums a thread holds in registers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tiles {
    /// Whether a load at an address that all lanes have in common is made once for all of them: then nothing is handed round by
    /// shuffles.
    pub common_loads: bool,
    /// Rows of weights that shuffles hand round, a subgroup's own at least; or that are loaded for all lanes.
    pub shuffled_rows: u32,
    /// The same where there are no windows and no residual, so that the text is short, or where there is so much to multiply
    /// that a longer one pays, which takes a second more to compile.
    pub product_rows: u32,
    /// Multiply-adds from which on that is so.
    pub worth_a_text: usize,
    /// Pixels of a thread that gets its weights so: a CPU turns each shuffle into a move, so it pays to use one for
    /// many pixels, though the sums then spill to its first cache; a GPU would lose its occupancy.
    pub shuffled_pixels: u32,
    /// The same where rows are few, 16 at most, and go by four.
    pub few_rows_pixels: u32,
    /// The same where rows go one by one: twice the pixels are twice the stores, which take longest to compile.
    pub single_rows_pixels: u32,
    /// Fours of channels of a turn of the loop, where channels go by eight: each turn of a CPU driver's loop masks every sum
    /// once.
    pub step: u32,
    /// Pixels of a thread that loads its weights itself.
    pub pixels: u32,
    /// Its rows where there are four at most; else eight.
    pub few_rows: u32,
    /// Whether a row of taps of four channels is one turn of the loop, written out. lavapipe compiles such a text in a
    /// second; SwiftShader had not after sixteen minutes, in 12 GB.
    pub taps_in_a_turn: bool,
    /// Whether a text serves convolutions with and without a residual of any size.
    pub one_convolution: bool,
    /// Loads of an element from which on a texture pays that the element is copied to first.
    pub worth_a_copy: usize,
}

/// Blocks of a product that pass through workgroup memory or matrix units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blocks {
    /// Workgroups that keep the device busy: two on each of 64 cores.
    pub fills: usize,
    /// Below so many of the small blocks, threads that share nothing spread wider.
    pub few: usize,
    /// Sums that a thread's registers hold: 64 are a block of 128 × 128, which spills where a subgroup may have 8 or 16 lanes
    /// (Intel: 100 to 227 spills) and on Apple (10 to 26), and 32 one of 128 × 64, which spills on Intel (1 to 16), as Mesa's
    /// compilers say of them.
    pub sums: u32,
    /// The same of matrix units' sums, of which 128 are a block of 256 × 128.
    pub matrix_sums: u32,
    /// Rows of weights below which most of a matrix would be padding; none where there are no matrix units.
    pub matrix_rows: Option<usize>,
    /// How blocks of matrices take their turns, where subgroups have 32 lanes at most, and where they have more.
    pub rounds: [Rounds; 2],
}

impl Blocks {
    /// How blocks of matrices take their turns on such a device.
    pub fn rounds_of(&self, can: &Caps) -> &Rounds {
        &self.rounds[usize::from(can.lanes_of_matrices() > 32)]
    }
}

/// How blocks take their turns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rounds {
    /// Blocks that run at once: one on each core, since what a core holds besides shares its matrix units.
    pub at_once: usize,
    /// Products that could be made while a row or a column of a block's operands is loaded.
    pub side: usize,
}

/// When a convolution is done by Winograd's products.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Winograd {
    /// Whether its inputs must be readable as textures.
    pub by_texels: bool,
    /// Whether threads that turn tiles have two channels and not four: fewer registers, of which GPUs then hold more threads.
    pub twos: bool,
    /// Whether it pays to do it in one launch: nothing is written between its parts, but each block of rows turns its tiles
    /// anew, and reads more from the cache for each product. By the model of `crate::graph::Prediction`, at 256 channels an RTX
    /// 4090 and a 6900 XT would take 17 % less for P2 of 800×1216, an M3 Max 15 % and an Iris Xe 7 %; an H200 15 % more and an
    /// Adreno 740 16 %, for a third less traffic of the whole network, on which others wait, and on a battery for more.
    pub whole: bool,
    /// The least size of matrices of f16 whose products take less time than these of f32.
    pub until_matrices: u32,
    /// Workgroups from which on it pays on matrix units, where f16 is wanted: fewer leave most of a GPU idle, which parts of long
    /// rows do not. None where it never pays.
    pub on_matrices: Option<usize>,
    /// Channels of either side from which on it pays.
    pub least_channels: usize,
    /// Tiles from which on it pays: fewer leave most of a block of pixels empty.
    pub least_tiles: usize,
    /// Tiles of a piece from which on it pays.
    pub least_of_a_piece: usize,
    /// Bytes of the points of a piece. On a CPU larger ones are no faster, and take memory (benches/NOTES.md); a GPU has to
    /// start each of a piece's three launches and wait for the one before, and is not filled by a few hundred workgroups.
    pub piece_bytes: usize,
}

/// When a product is done in parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SplitK {
    /// Elements of a row of weights from which on it pays to split it, where small blocks do not fill the device.
    pub long: usize,
    /// The same where large blocks do not.
    pub very_long: usize,
    /// The least elements that a part should have.
    pub least: usize,
    /// Most parts: their sums are written and read again.
    pub most: usize,
}

/// Kernels that measure roofs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probes {
    /// Whether a workgroup costs as much as many copies.
    pub several_copies: bool,
    /// Whether few chains of multiply-adds fill the registers: a CPU driver takes a vector register for each part of a quad,
    /// and there are 16. Of matrices it has none left, and would compute A·B once for all tiles that share it.
    pub few_chains: bool,
}

/// GPUs.
pub const GPU: Policy = Policy {
    name: "GPU",
    texels: false,
    workgroup_memory: true,
    coalesces: true,
    live_grids: false,
    fused_mask_head: false,
    compiles_late: false,
    fewer_texts: false,
    masks_branches: false,
    own_cores: false,
    watchdog: true,
    f16_from: Some(16),
    a_workgroup_s_elements: Some(16384),
    a_workgroup_s_boxes: Some(256),
    tiles: Tiles {
        common_loads: false,
        shuffled_rows: 16,
        product_rows: 16,
        worth_a_text: usize::MAX,
        shuffled_pixels: 2,
        few_rows_pixels: 2,
        single_rows_pixels: 2,
        step: 1,
        pixels: 4,
        few_rows: 4,
        taps_in_a_turn: false,
        one_convolution: false,
        worth_a_copy: 3,
    },
    blocks: Blocks {
        fills: 128,
        few: 16,
        sums: 64,
        matrix_sums: 128,
        matrix_rows: Some(12),
        // By the model of `crate::graph::Prediction` a row costs as much as 79 products on an H200, 8 on an RTX 4090 and 13 on
        // a 7900 XTX, which have 132, 128 and 96 cores. The 4090 takes no longer with 64.
        rounds: [Rounds { at_once: 128, side: 64 }, Rounds { at_once: 96, side: 12 }],
    },
    // A quarter of the multiplications for points that are written and read twice, in products that fill a block.
    winograd: Winograd {
        by_texels: false,
        twos: true,
        whole: true,
        until_matrices: 16,
        on_matrices: Some(96),
        least_channels: 64,
        least_tiles: 0,
        least_of_a_piece: 64,
        piece_bytes: 64 << 20,
    },
    split_k: Some(SplitK { long: 2048, very_long: 8192, least: 256, most: 16 }),
    probes: Probes { several_copies: false, few_chains: false },
};

/// GPUs with several times as many matrix units for each of their multiply-adds and for what their caches bring, as those made for
/// training: by the model of `crate::graph::Prediction` an H200 would take 18 % longer for P2 of 800×1216 by Winograd's products
/// on matrix units, whose weights' points are many, where an RTX 4090 takes 45 % less and a 7900 XTX 21 %.
pub const MATRIX_GPU: Policy =
    Policy { name: "GPU of many matrix units", winograd: Winograd { on_matrices: None, ..GPU.winograd }, ..GPU };

/// The names of such GPUs, as words of an adapter's.
const OF_MANY_MATRICES: [&str; 12] =
    ["V100", "A100", "A800", "A30", "H100", "H200", "H800", "H20", "GH200", "B100", "B200", "GB200"];

/// GPUs whose threads have few registers.
pub const NARROW_GPU: Policy = Policy {
    name: "GPU of few registers",
    // An M3 Max is predicted to take a ninth less in f16.
    f16_from: Some(8),
    // By the model of `crate::graph::Prediction` a row costs as much as 10 products of f32 on an M3 Max, which has 40 cores: two
    // workgroups on each.
    blocks: Blocks {
        sums: 32,
        matrix_sums: 64,
        fills: 80,
        rounds: [Rounds { at_once: 40, side: 10 }; 2],
        ..GPU.blocks
    },
    ..GPU
};

/// GPUs whose subgroups may have 8 or 16 lanes, of which each has a vector register of few more elements.
pub const SHORT_GPU: Policy =
    Policy { name: "GPU of small subgroups", blocks: Blocks { sums: 16, matrix_sums: 32, ..GPU.blocks }, ..GPU };

/// What Mesa's driver for NVIDIA's GPUs holds: blocks of 256 × 128 spill 8 to 29 registers there (26.1.6, benches/NOTES.md).
const NVK_BLOCKS: Blocks = Blocks { matrix_sums: 64, ..GPU.blocks };

/// GPUs under NVK, Mesa's driver for NVIDIA's.
pub const NVK_GPU: Policy = Policy { name: "GPU under NVK", blocks: NVK_BLOCKS, ..GPU };

/// [`MATRIX_GPU`]s under it.
pub const NVK_MATRIX_GPU: Policy =
    Policy { name: "GPU of many matrix units under NVK", blocks: NVK_BLOCKS, ..MATRIX_GPU };

impl Policy {
    /// That of a GPU of this name, under a driver of this name, with registers for large blocks: nothing else that an adapter
    /// tells sets those apart that were made for training.
    pub fn of_gpu(name: &str, driver: &str) -> &'static Self {
        let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
        let many = words.any(|word| OF_MANY_MATRICES.iter().any(|known| word.eq_ignore_ascii_case(known)));
        match (many, driver == "NVK") {
            (true, true) => &NVK_MATRIX_GPU,
            (true, false) => &MATRIX_GPU,
            (false, true) => &NVK_GPU,
            (false, false) => &GPU,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_for_training_are_known_by_their_names() {
        for name in ["NVIDIA H200", "NVIDIA A100-SXM4-80GB", "NVIDIA H100 80GB HBM3", "Tesla V100-SXM2-16GB"] {
            assert_eq!(Policy::of_gpu(name, "NVIDIA").name, MATRIX_GPU.name, "{name}");
            assert_eq!(Policy::of_gpu(name, "NVK").name, NVK_MATRIX_GPU.name, "{name}");
        }
        for name in ["NVIDIA GeForce RTX 4090", "AMD Radeon RX 7900 XTX", "NVIDIA RTX A1000", "Radeon HD 2000", ""] {
            assert_eq!(Policy::of_gpu(name, "radv").name, GPU.name, "{name}");
            assert_eq!(Policy::of_gpu(name, "NVK").name, NVK_GPU.name, "{name}");
        }
    }
}
