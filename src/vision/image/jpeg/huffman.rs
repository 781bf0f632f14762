//! Huffman tables, and bits to look up in them.

/// Codes up to this long are found by one look-up. Longer ones are rare by construction.
const SHORT: u32 = 10;

/// What a code stands for.
#[derive(Clone, Copy, Default)]
pub(super) struct Symbol {
    /// Bits of the code.
    pub code: u8,
    /// The upper four bits: a run of zeros.
    pub run: u8,
    /// The lower four bits: how many bits of value follow.
    pub size: u8,
    /// Bits of the code and of the value.
    pub bits: u8,
    /// Of a sequential block's coefficients, how many this one ends; 0 for the end of the block.
    pub step: u8,
}

pub(super) struct Table {
    short: Vec<Symbol>,
    /// For each length, the first code beyond those of it, aligned to 16 bits.
    beyond: [u32; 17],
    /// For each length, what to add to a code to get its place among `values`.
    offset: [i32; 17],
    values: Vec<u8>,
}

impl Table {
    /// Reads one of the tables of a DHT segment; `None` where it is cut or its lengths make no prefix code.
    pub(super) fn read(segment: &[u8]) -> Option<Self> {
        let counts = segment.get(1..17)?;
        let total: usize = counts.iter().map(|&n| usize::from(n)).sum();
        let values = segment.get(17..17 + total).filter(|_| total <= 256)?.to_vec();
        let (mut beyond, mut offset) = ([0; 17], [0; 17]);
        let mut short = vec![Symbol::default(); 1 << SHORT];
        let (mut code, mut place) = (0_u32, 0_usize);
        for len in 1..=16_u32 {
            offset[len as usize] = place as i32 - code as i32;
            for _ in 0..counts[len as usize - 1] {
                if code >= 1 << len {
                    return None;
                }
                if len <= SHORT {
                    let first = (code << (SHORT - len)) as usize;
                    short[first..first + (1 << (SHORT - len))].fill(symbol(values[place], len));
                }
                code += 1;
                place += 1;
            }
            beyond[len as usize] = code << (16 - len);
            code <<= 1;
        }
        Some(Self { short, beyond, offset, values })
    }

    /// Bytes of the table in its segment.
    pub(super) fn bytes(&self) -> usize {
        17 + self.values.len()
    }

    /// The symbol whose code the upper bits of `window` begin with.
    #[inline(always)]
    pub(super) fn look(&self, window: u64) -> Option<Symbol> {
        let found = self.short[(window >> (64 - SHORT)) as usize];
        if found.code != 0 { Some(found) } else { self.look_long(window) }
    }

    #[cold]
    fn look_long(&self, window: u64) -> Option<Symbol> {
        let code = (window >> 48) as u32;
        let len = (SHORT + 1..=16).find(|&len| code < self.beyond[len as usize])?;
        let place = (code >> (16 - len)) as i32 + self.offset[len as usize];
        Some(symbol(*self.values.get(usize::try_from(place).ok()?)?, len))
    }
}

fn symbol(value: u8, len: u32) -> Symbol {
    let (code, run, size) = (len as u8, value >> 4, value & 15);
    let step = if size == 0 && run != 15 { 0 } else { run + 1 };
    Symbol { code, run, size, bits: code + size, step }
}

/// The data of one restart interval, and how far it is read, in bits.
pub(super) struct Bits<'a> {
    /// Followed by [`Bits::PADDING`] zeros, so that no look needs a check.
    data: &'a [u8],
    at: usize,
    end: usize,
}

/// Bits that [`Bits::window`] has at least.
const WINDOW: u32 = 57;

/// Bits that a code and its value take at most.
const LONGEST: u32 = 31;

impl<'a> Bits<'a> {
    /// More than a block can take, of codes of 16 bits with 15 bits of value each.
    pub(super) const PADDING: usize = 64 * 31 / 8 + 8 + 8;

    pub(super) fn new(padded: &'a [u8]) -> Self {
        Self { data: padded, at: 0, end: (padded.len() - Self::PADDING) * 8 }
    }

    /// The next bits, from the top; at least [`WINDOW`] of them.
    #[inline(always)]
    pub(super) fn window(&self) -> u64 {
        let from = self.at / 8;
        let bytes: [u8; 8] = self.data[from..from + 8].try_into().unwrap_or_default();
        u64::from_be_bytes(bytes) << (self.at % 8)
    }

    /// Passes over the coefficients of a sequential block but the first; `None` where they are no codes, or too many.
    #[inline(always)]
    pub(super) fn block(&mut self, table: &Table) -> Option<()> {
        let (mut window, mut used, mut k) = (self.window(), 0, 1);
        loop {
            let symbol = table.look(window)?;
            window <<= symbol.bits;
            used += u32::from(symbol.bits);
            k += u32::from(symbol.step);
            if symbol.step == 0 || k >= 64 {
                self.skip(used as usize);
                // Zeros beyond the end are untidy, and no more.
                return (k <= 64 || symbol.size == 0).then_some(());
            }
            if used > WINDOW - LONGEST {
                self.skip(used as usize);
                (window, used) = (self.window(), 0);
            }
        }
    }

    #[inline(always)]
    pub(super) fn skip(&mut self, bits: usize) {
        self.at += bits;
    }

    /// The next bits as a number; up to 16.
    #[inline(always)]
    pub(super) fn take(&mut self, bits: u32) -> u32 {
        let value = (self.window() >> 32) as u32;
        self.at += bits as usize;
        value.checked_shr(32 - bits).unwrap_or(0)
    }

    /// Whether more was read than there is.
    #[inline(always)]
    pub(super) fn overrun(&self) -> bool {
        self.at > self.end
    }

    /// Whole bytes that were not read.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.data[self.at.div_ceil(8).min(self.end / 8)..self.end / 8]
    }
}
