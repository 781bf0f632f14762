//! The coefficients of a block, passed over one by one.

use super::huffman::{Bits, Table};

/// No picture has such a DC coefficient (of 8-bit samples it is at most 1024, before rounding by its step): whoever
/// arrives at one has lost the thread.
const DC_MAX: i32 = 4096;

/// How the walk lost the thread.
pub(super) enum Lost {
    /// The data end before the blocks do.
    Short,
    /// Bits that are no code, or a block that does not end.
    Broken,
}

pub(super) fn check_dc(value: i32, step: u16) -> Result<(), Lost> {
    let most = DC_MAX + i32::from(step);
    if value.saturating_mul(i32::from(step.max(1))).abs() > most { Err(Lost::Broken) } else { Ok(()) }
}

/// A DC coefficient, as the difference to the last one.
#[inline(always)]
pub(super) fn dc_code(bits: &mut Bits<'_>, table: &Table, last: &mut i32) -> Result<(), Lost> {
    let symbol = table.look(bits.window()).ok_or(Lost::Broken)?;
    bits.skip(usize::from(symbol.code));
    if symbol.run != 0 {
        return Err(Lost::Broken);
    }
    if symbol.size != 0 {
        let value = bits.take(u32::from(symbol.size)) as i32;
        let half = 1 << (symbol.size - 1);
        let difference = if value < half { value - 2 * half + 1 } else { value };
        *last = last.saturating_add(difference);
    }
    Ok(())
}

pub(super) fn ac_first(
    bits: &mut Bits<'_>,
    table: &Table,
    band: (usize, usize),
    zeros: &mut u32,
    nonzero: &mut u64,
) -> Result<(), Lost> {
    if *zeros > 0 {
        *zeros -= 1;
        return Ok(());
    }
    let mut k = band.0;
    while k <= band.1 {
        let symbol = table.look(bits.window()).ok_or(Lost::Broken)?;
        bits.skip(usize::from(symbol.code));
        match (symbol.run, symbol.size) {
            (15, 0) => k += 16,
            (run, 0) => {
                *zeros = (1 << run) + bits.take(u32::from(run)) - 1;
                return Ok(());
            }
            (run, size) => {
                bits.skip(usize::from(size));
                k += usize::from(run);
                if k > band.1 {
                    return Err(Lost::Broken);
                }
                *nonzero |= 1 << k;
                k += 1;
            }
        }
    }
    Ok(())
}

/// One more bit of each coefficient that is known, between the codes of those that become known.
pub(super) fn ac_more(
    bits: &mut Bits<'_>,
    table: &Table,
    band: (usize, usize),
    zeros: &mut u32,
    nonzero: &mut u64,
) -> Result<(), Lost> {
    let known = *nonzero;
    let mut k = band.0;
    while *zeros == 0 && k <= band.1 {
        let symbol = table.look(bits.window()).ok_or(Lost::Broken)?;
        bits.skip(usize::from(symbol.code));
        let mut run = symbol.run;
        match (symbol.run, symbol.size) {
            (15, 0) | (_, 1) => {}
            (run, 0) => {
                *zeros = (1 << run) + bits.take(u32::from(run));
                break;
            }
            _ => return Err(Lost::Broken),
        }
        bits.skip(usize::from(symbol.size));
        while k <= band.1 {
            if known >> k & 1 == 1 {
                bits.skip(1);
            } else if run == 0 {
                break;
            } else {
                run -= 1;
            }
            k += 1;
        }
        if symbol.size == 1 {
            if k > band.1 {
                return Err(Lost::Broken);
            }
            *nonzero |= 1 << k;
        }
        k += 1;
    }
    if *zeros > 0 {
        let rest = (known >> k) & (u64::MAX >> (63 - (band.1 - k)));
        bits.skip(rest.count_ones() as usize);
        *zeros -= 1;
    }
    Ok(())
}
