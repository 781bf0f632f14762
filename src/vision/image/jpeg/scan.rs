//! A scan's entropy-coded data, block by block.

use super::Frame;
use super::coefficients::{Lost, ac_first, ac_more, check_dc, dc_code};
use super::huffman::{Bits, Table};
use crate::vision::image::fault::{Fault, no_memory};

/// Bytes that may lie between a scan's last block and the next marker and still be taken for a camera's untidiness
/// rather than for blocks that were lost: less than most blocks take.
const STRAY: usize = 16;

/// What follows a scan.
pub(super) struct Left {
    /// Bytes up to the marker that ends it.
    pub bytes: usize,
    /// Bytes before that marker that belong to no block.
    pub stray: usize,
}

/// A scan's part of a component.
struct Part {
    /// Place among the frame's components.
    component: usize,
    dc: usize,
    ac: usize,
    /// The last DC coefficient.
    last: i32,
}

/// A part with its tables.
struct Coder<'t> {
    component: usize,
    /// Blocks of an MCU.
    blocks: usize,
    dc: Option<&'t Table>,
    ac: Option<&'t Table>,
    /// The DC coefficient's step.
    step: u16,
}

pub(super) struct Scan {
    parts: Vec<Part>,
    /// The first and the last coefficient.
    band: (usize, usize),
    /// The bits that were there before and those still to come.
    bits: (u8, u8),
    /// MCUs in a row and rows of them. A scan of one component has blocks for MCUs, without padding.
    mcus: (usize, usize),
    /// Blocks of the current band of zeros of a progressive scan.
    zeros: u32,
}

#[derive(Clone, Copy)]
enum Pass {
    Sequential,
    DcFirst,
    DcMore,
    AcFirst,
    AcMore,
}

impl Scan {
    /// Reads the header; `None` where it makes no sense.
    pub(super) fn new(frame: &Frame, segment: &[u8]) -> Option<Self> {
        let count = usize::from(*segment.first()?);
        let list = segment.get(1..1 + 2 * count).filter(|_| (1..=4).contains(&count))?;
        let &[first, last, bits] = segment.get(1 + 2 * count..4 + 2 * count)? else { return None };
        let part = |c: &[u8]| {
            let component = frame.components.iter().position(|f| f.id == c[0])?;
            Some(Part { component, dc: usize::from(c[1] >> 4), ac: usize::from(c[1] & 15), last: 0 })
        };
        let parts = list.chunks(2).map(part).collect::<Option<Vec<Part>>>()?;
        let band = if frame.progressive { (usize::from(first), usize::from(last)) } else { (0, 63) };
        // Only DC coefficients are interleaved in a progressive file.
        if band.1 > 63 || band.0 > band.1 || (frame.progressive && band.1 > 0 && (band.0 == 0 || count > 1)) {
            return None;
        }
        let bits = if frame.progressive { (bits >> 4, bits & 15) } else { (0, 0) };
        let mcus = match parts.as_slice() {
            [one] => {
                let c = &frame.components[one.component];
                let blocks = |side: usize, f: usize, most: usize| (side * f).div_ceil(most).div_ceil(8);
                (blocks(frame.width, c.h, frame.h_max), blocks(frame.height, c.v, frame.v_max))
            }
            _ => (frame.width.div_ceil(8 * frame.h_max), frame.height.div_ceil(8 * frame.v_max)),
        };
        Some(Self { parts, band, bits, mcus, zeros: 0 })
    }

    fn pass(&self, progressive: bool) -> Pass {
        match (progressive, self.band.0, self.bits.0) {
            (false, ..) => Pass::Sequential,
            (true, 0, 0) => Pass::DcFirst,
            (true, 0, _) => Pass::DcMore,
            (true, _, 0) => Pass::AcFirst,
            (true, ..) => Pass::AcMore,
        }
    }

    /// Walks the data that `rest` begins with.
    ///
    /// # Errors
    /// Where there are too few blocks or too much data, and where the data are no codes of these tables.
    pub(super) fn walk(
        mut self,
        frame: &mut Frame,
        tables: &[[Option<Table>; 4]; 2],
        steps: &[u16; 4],
        restart: usize,
        rest: &[u8],
        data: &mut Vec<u8>,
    ) -> Result<Left, Fault> {
        let pass = self.pass(frame.progressive);
        self.reserve(frame, pass)?;
        let coders = self.coders(frame, pass, tables, steps)?;
        let total = self.mcus.0 * self.mcus.1;
        let (mut done, mut at, mut stray) = (0, 0, 0);
        for turn in (0_u8..8).cycle() {
            let marker_at = unstuff(&rest[at..], data)?;
            let mut bits = Bits::new(data);
            let target = if restart == 0 { total } else { total.min(done + restart) };
            for mcu in done..target {
                let walked = match pass {
                    Pass::Sequential => self.sequential(&mut bits, &coders),
                    _ => self.progressive(frame, pass, mcu, &mut bits, &coders),
                };
                walked.map_err(|lost| self.damaged(frame, mcu, lost))?;
            }
            done = target;
            at += marker_at;
            let left = bits.rest();
            // Only before the end mark do files have bytes of no meaning: zeros as padding, or a camera's.
            let last = rest[at + 1] == 0xD9;
            let padding = last && left.iter().all(|&b| b == 0 || b == 0xFF);
            if !left.is_empty() && !padding {
                if !last || left.len() > STRAY {
                    return Err(self.surplus(frame, done, left.len()));
                }
                stray = stray.max(left.len());
            }
            match rest[at + 1] {
                marker @ 0xD0..=0xD7 => {
                    // Some files have one more behind the last block.
                    if done < total && marker & 7 != turn {
                        return Err(self.damaged(frame, done, Lost::Broken));
                    }
                    at += 2;
                    self.parts.iter_mut().for_each(|p| p.last = 0);
                    self.zeros = 0;
                }
                _ if done < total => return Err(self.damaged(frame, done, Lost::Short)),
                _ => break,
            }
        }
        for part in &self.parts {
            frame.components[part.component].pending[self.band.0..=self.band.1].fill(self.bits.1);
        }
        Ok(Left { bytes: at, stray })
    }

    /// Memory for what the AC passes must know of each other.
    fn reserve(&self, frame: &mut Frame, pass: Pass) -> Result<(), Fault> {
        if !matches!(pass, Pass::AcFirst | Pass::AcMore) {
            return Ok(());
        }
        for part in &self.parts {
            let c = &mut frame.components[part.component];
            let blocks = c.blocks.0 * c.blocks.1;
            if c.nonzero.len() < blocks {
                c.nonzero.try_reserve_exact(blocks).map_err(|_| no_memory(blocks as u64 * 8))?;
                c.nonzero.resize(blocks, 0);
            }
        }
        Ok(())
    }

    /// What each part of the scan is decoded with.
    fn coders<'t>(
        &self,
        frame: &Frame,
        pass: Pass,
        tables: &'t [[Option<Table>; 4]; 2],
        steps: &[u16; 4],
    ) -> Result<Vec<Coder<'t>>, Fault> {
        let coder = |part: &Part| {
            let c = &frame.components[part.component];
            let table = |class: usize, place: usize, needed: bool| match tables[class].get(place) {
                Some(Some(table)) => Ok(Some(table)),
                _ if needed => Err(Fault::corrupt("a Huffman table is missing")),
                _ => Ok(None),
            };
            Ok(Coder {
                component: part.component,
                blocks: if self.parts.len() == 1 { 1 } else { c.h * c.v },
                dc: table(0, part.dc, matches!(pass, Pass::Sequential | Pass::DcFirst))?,
                ac: table(1, part.ac, matches!(pass, Pass::Sequential | Pass::AcFirst | Pass::AcMore))?,
                step: steps[c.quantizer],
            })
        };
        self.parts.iter().map(coder).collect()
    }

    /// The blocks of one MCU of a sequential scan.
    #[inline(always)]
    fn sequential(&mut self, bits: &mut Bits<'_>, coders: &[Coder<'_>]) -> Result<(), Lost> {
        for (coder, part) in coders.iter().zip(&mut self.parts) {
            let (Some(dc), Some(ac)) = (coder.dc, coder.ac) else { return Err(Lost::Broken) };
            for _ in 0..coder.blocks {
                dc_code(bits, dc, &mut part.last)?;
                bits.block(ac).ok_or(Lost::Broken)?;
                check_dc(part.last, coder.step)?;
                if bits.overrun() {
                    return Err(Lost::Short);
                }
            }
        }
        Ok(())
    }

    /// The blocks of one MCU of a progressive scan.
    fn progressive(
        &mut self,
        frame: &mut Frame,
        pass: Pass,
        mcu: usize,
        bits: &mut Bits<'_>,
        coders: &[Coder<'_>],
    ) -> Result<(), Lost> {
        let (column, row) = (mcu % self.mcus.0, mcu / self.mcus.0);
        for (coder, part) in coders.iter().zip(&mut self.parts) {
            let c = &mut frame.components[coder.component];
            for _ in 0..coder.blocks {
                match (pass, coder.dc, coder.ac) {
                    (Pass::DcMore, ..) => bits.skip(1),
                    (Pass::DcFirst, Some(dc), _) => {
                        dc_code(bits, dc, &mut part.last)?;
                        check_dc(part.last.saturating_mul(1 << self.bits.1), coder.step)?;
                    }
                    (Pass::AcFirst, _, Some(ac)) => {
                        let nonzero = &mut c.nonzero[row * c.blocks.0 + column];
                        ac_first(bits, ac, self.band, &mut self.zeros, nonzero)?;
                    }
                    (Pass::AcMore, _, Some(ac)) => {
                        let nonzero = &mut c.nonzero[row * c.blocks.0 + column];
                        ac_more(bits, ac, self.band, &mut self.zeros, nonzero)?;
                    }
                    _ => return Err(Lost::Broken),
                }
                if bits.overrun() {
                    return Err(Lost::Short);
                }
            }
        }
        Ok(())
    }

    /// "row 97 of 160": where an MCU begins.
    fn row(&self, frame: &Frame, mcu: usize) -> String {
        let rows = match self.parts.as_slice() {
            [one] => 8 * frame.v_max / frame.components[one.component].v,
            _ => 8 * frame.v_max,
        };
        format!("row {} of {}", mcu / self.mcus.0 * rows + 1, frame.height)
    }

    fn damaged(&self, frame: &Frame, mcu: usize, lost: Lost) -> Fault {
        let row = self.row(frame, mcu);
        match lost {
            Lost::Short => Fault::State(format!("is damaged: its data end in {row}")),
            Lost::Broken => Fault::State(format!("is damaged: its data make no sense in {row}")),
        }
    }

    fn surplus(&self, frame: &Frame, done: usize, bytes: usize) -> Fault {
        let before = self.row(frame, done.saturating_sub(1));
        Fault::State(format!(
            "is damaged: {bytes} bytes of its data belong to no pixel, so that something before the end of {before} is \
             not what was saved"
        ))
    }
}

/// Copies the data up to the next marker, without the zeros that are stuffed behind each FF and with
/// [`Bits::PADDING`]; gives where the marker is.
fn unstuff(rest: &[u8], data: &mut Vec<u8>) -> Result<usize, Fault> {
    data.clear();
    let mut from = 0;
    let mut copy = |part: &[u8]| {
        // Grows by doubling, so that what one scan needs is seldom asked for twice.
        data.try_reserve(part.len() + Bits::PADDING).map_err(|_| no_memory(2 * rest.len() as u64))?;
        data.extend_from_slice(part);
        Ok(())
    };
    loop {
        let skip = rest[from..].iter().position(|&b| b == 0xFF).ok_or_else(Fault::early)?;
        let at = from + skip;
        match rest.get(at + 1).ok_or_else(Fault::early)? {
            0 => {
                copy(&rest[from..=at])?;
                from = at + 2;
            }
            // Fill: the next FF may start the marker.
            0xFF => {
                copy(&rest[from..at])?;
                from = at + 1;
            }
            _ => {
                copy(&rest[from..at])?;
                data.resize(data.len() + Bits::PADDING, 0);
                return Ok(at);
            }
        }
    }
}
