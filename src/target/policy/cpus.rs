//! CPU drivers: lavapipe, by the width of its vectors and Mesa's version, and SwiftShader.

use super::{Blocks, GPU, Policy, Probes, Tiles, Winograd};

/// CPU drivers whose lanes go by four (SwiftShader): they take minutes for a text that lavapipe compiles in a second, and
/// gain nothing by textures.
pub const CPU: Policy = Policy {
    name: "CPU driver",
    workgroup_memory: false,
    coalesces: false,
    live_grids: true,
    fused_mask_head: true,
    compiles_late: true,
    fewer_texts: true,
    own_cores: true,
    watchdog: false,
    f16_from: None,
    a_workgroup_s_elements: None,
    a_workgroup_s_boxes: None,
    blocks: Blocks { matrix_rows: None, ..GPU.blocks },
    winograd: Winograd {
        by_texels: true,
        twos: false,
        whole: false,
        until_matrices: 16,
        on_matrices: None,
        least_channels: 32,
        least_tiles: 32,
        least_of_a_piece: 0,
        piece_bytes: 8 << 20,
    },
    split_k: None,
    probes: Probes { several_copies: true, few_chains: true },
    ..GPU
};

/// CPU drivers whose lanes go by eight or more (lavapipe).
pub const WIDE_CPU: Policy = Policy {
    name: "CPU driver of wide lanes",
    texels: true,
    masks_branches: true,
    // One workgroup takes 15 ms for a thousand, and cannot be cut.
    a_workgroup_s_boxes: Some(256),
    tiles: Tiles {
        common_loads: false,
        shuffled_rows: 32,
        product_rows: 32,
        worth_a_text: usize::MAX,
        shuffled_pixels: 4,
        few_rows_pixels: 8,
        single_rows_pixels: 2,
        step: 2,
        pixels: 8,
        few_rows: 8,
        taps_in_a_turn: true,
        one_convolution: true,
        worth_a_copy: 3,
    },
    ..CPU
};

/// CPU drivers whose lanes go by sixteen (lavapipe told to use AVX-512), with twice the registers, each twice as wide. Two steps a
/// turn of so many sums would be 52 KiB of machine code, which a first cache does not hold; below 128 channels turning tiles takes
/// longer than the multiplications that are saved (benches/NOTES.md).
pub const WIDEST_CPU: Policy = Policy {
    name: "CPU driver of widest lanes",
    tiles: Tiles { product_rows: 64, worth_a_text: 1 << 29, step: 1, ..WIDE_CPU.tiles },
    winograd: Winograd { least_channels: 128, ..WIDE_CPU.winograd },
    ..WIDE_CPU
};

/// lavapipe from Mesa 23.1 on with vectors of 256 bits. A texel is loaded by a function that is called, before which all sums go to
/// memory: with half as many there is half the text, which compiles in three quarters of the time and runs no slower.
pub const CALLING_CPU: Policy = Policy {
    name: "CPU driver that calls for texels",
    tiles: Tiles { shuffled_pixels: 2, few_rows_pixels: 4, ..WIDE_CPU.tiles },
    ..WIDE_CPU
};

/// lavapipe with vectors of 128 bits: ARM processors have no others, and old ones of x86.
pub const SHORT_CPU: Policy = Policy {
    name: "CPU driver of short lanes",
    tiles: Tiles { shuffled_rows: 16, product_rows: 16, ..CALLING_CPU.tiles },
    ..WIDE_CPU
};

/// The same from Mesa 23.1 on, where a shuffle is a loop over the lanes, and so should serve many pixels.
pub const SHORT_LOOPING_CPU: Policy = Policy {
    name: "CPU driver of short lanes that loops over them",
    tiles: Tiles { step: 1, shuffled_pixels: 4, few_rows_pixels: 8, ..SHORT_CPU.tiles },
    ..SHORT_CPU
};

/// The same from Mesa 26 on, which loads once what all lanes have in common.
pub const SHORT_COMMON_CPU: Policy = Policy {
    name: "CPU driver of short lanes and common loads",
    tiles: Tiles { common_loads: true, step: 1, ..SHORT_CPU.tiles },
    ..SHORT_CPU
};

/// lavapipe with vectors of 512 bits from Mesa 26 on.
pub const WIDEST_COMMON_CPU: Policy = Policy {
    name: "CPU driver of widest lanes and common loads",
    tiles: Tiles { common_loads: true, ..WIDEST_CPU.tiles },
    ..WIDEST_CPU
};

/// What sets versions of lavapipe apart, as Mesa's major and minor number.
mod mesa {
    /// From here on a shuffle from a constant lane is a loop over the lanes, but with vectors of 256 bits
    /// (c20df7e22e6, "gallivm/nir: fix shuffleup tests", for 23.2 and 23.1's later versions); from 23.2 on texels are loaded by
    /// functions (f675e4ee823, "llvmpipe: Pre compile sample functions").
    pub(super) const SHUFFLES_LOOP: [u32; 2] = [23, 1];
    /// From here on what all lanes have in common is loaded once: measured on 26.1, and not yet so on 25.0.
    pub(super) const COMMON_LOADS: [u32; 2] = [26, 0];
}

impl Policy {
    /// That of a CPU driver whose subgroups have so many lanes; lavapipe's with its version.
    pub fn of_cpu(lanes: u32, lavapipe: Option<[u32; 2]>) -> &'static Self {
        let common = lavapipe.is_some_and(|version| version >= mesa::COMMON_LOADS);
        let loops = lavapipe.is_some_and(|version| version >= mesa::SHUFFLES_LOOP);
        match lanes {
            ..8 if lavapipe.is_none() => &CPU,
            ..8 if common => &SHORT_COMMON_CPU,
            ..8 if loops => &SHORT_LOOPING_CPU,
            ..8 => &SHORT_CPU,
            8..16 if loops => &CALLING_CPU,
            8..16 => &WIDE_CPU,
            16.. if common => &WIDEST_COMMON_CPU,
            16.. => &WIDEST_CPU,
        }
    }
}

/// Whether vectors of 512 bits pay on such a lavapipe: where a shuffle is a loop over sixteen lanes, they take twice as long as those
/// of 256.
pub fn wants_widest(lavapipe: [u32; 2]) -> bool {
    !(mesa::SHUFFLES_LOOP..mesa::COMMON_LOADS).contains(&lavapipe)
}

/// Mesa's major and minor number out of a driver's description of itself: `Mesa 25.0.7-2 (LLVM 19.1.7)`.
pub fn mesa_version(driver: &str) -> Option<[u32; 2]> {
    let mut numbers = driver.split_once("Mesa ")?.1.split(|c: char| !c.is_ascii_digit());
    Some([numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is measured on Mesa 22.3, 25.0 and 26.1 holds between them.
    #[test]
    fn lavapipe_is_known_by_its_version() {
        let on = |lanes, driver| Policy::of_cpu(lanes, mesa_version(driver)).name;
        for (driver, [short, wide, widest], doubled) in [
            ("Mesa 22.3.6 (LLVM 15.0.6)", [&SHORT_CPU, &WIDE_CPU, &WIDEST_CPU], true),
            ("Mesa 23.0.4 (LLVM 15.0.7)", [&SHORT_CPU, &WIDE_CPU, &WIDEST_CPU], true),
            ("Mesa 23.1.9 (LLVM 15.0.7)", [&SHORT_LOOPING_CPU, &CALLING_CPU, &WIDEST_CPU], false),
            ("Mesa 25.0.7-2+deb13u1 (LLVM 19.1.7)", [&SHORT_LOOPING_CPU, &CALLING_CPU, &WIDEST_CPU], false),
            ("Mesa 26.0.0-devel (git-0123456789)", [&SHORT_COMMON_CPU, &CALLING_CPU, &WIDEST_COMMON_CPU], true),
            ("Mesa 26.1.6-1~bpo13+1 (LLVM 19.1.7)", [&SHORT_COMMON_CPU, &CALLING_CPU, &WIDEST_COMMON_CPU], true),
        ] {
            assert_eq!([4, 8, 16].map(|lanes| on(lanes, driver)), [short.name, wide.name, widest.name], "{driver}");
            assert_eq!(wants_widest(mesa_version(driver).unwrap()), doubled, "{driver}");
        }
        // SwiftShader, and what tells nothing.
        for driver in ["", "SwiftShader driver", "Mesa", "Mesa git"] {
            assert_eq!(
                [4, 8, 16].map(|lanes| on(lanes, driver)),
                [CPU.name, WIDE_CPU.name, WIDEST_CPU.name],
                "{driver}"
            );
        }
    }
}
