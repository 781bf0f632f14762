//! COCO's run-length code of a mask, and its compressed string, as pycocotools writes them.

mod polygon;
mod regions;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::vision::mask::Mask;

/// Runs of 0 and 1 in turn, the first of 0, over the pixels column by column (top to bottom, then left to right).
///
/// In JSON: `{"size": [height, width], "counts": "compressed string"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rle {
    /// The image's height in pixels.
    pub height: u32,
    /// The image's width in pixels.
    pub width: u32,
    /// Lengths in pixels; they add up to `height * width`. The first may be 0.
    pub counts: Vec<u32>,
}

impl Rle {
    /// The number of pixels set.
    pub fn area(&self) -> u64 {
        self.counts.iter().skip(1).step_by(2).map(|&c| u64::from(c)).sum()
    }

    /// The `counts` string of pycocotools: each count as 5-bit groups, low ones first, in printable ASCII; from the
    /// fourth on as the difference to the count before the last.
    pub fn to_compressed_string(&self) -> String {
        let mut text = String::with_capacity(self.counts.len() * 2);
        for (i, &count) in self.counts.iter().enumerate() {
            let before = if i > 2 { self.counts[i - 2] } else { 0 };
            let mut left = i64::from(count) - i64::from(before);
            loop {
                let group = (left & 31) as u8;
                left >>= 5;
                // Done once what is left is the sign that the reader extends from the group's top bit.
                let done = left == if group & 16 == 0 { 0 } else { -1 };
                text.push(char::from(48 + group + if done { 0 } else { 32 }));
                if done {
                    break;
                }
            }
        }
        text
    }

    /// Reads the `counts` string of a mask of `height x width` pixels.
    ///
    /// # Errors
    /// [`Error::Shape`] for a character outside the code, a number cut short, negative or too large, runs that do not
    /// add up to the image, or an image of 2^32 pixels and more.
    pub fn from_compressed_string(height: u32, width: u32, text: &str) -> Result<Self> {
        let area = area_of(height, width)?;
        let mut counts: Vec<u32> = Vec::new();
        let (mut value, mut shift, mut sum) = (0_i64, 0_u32, 0_u64);
        for (at, byte) in text.bytes().enumerate() {
            // 7 groups hold any difference of 32-bit counts; the bound also keeps the shifts below 64.
            if !(48..112).contains(&byte) || shift > 30 {
                return Err(wrong(format!("byte {at} of the counts is not part of a run-length code")));
            }
            let group = i64::from(byte - 48);
            value |= (group & 31) << shift;
            shift += 5;
            if group & 32 != 0 {
                continue;
            }
            if group & 16 != 0 {
                value |= -1 << shift;
            }
            if counts.len() > 2 {
                value += i64::from(counts[counts.len() - 2]);
            }
            let count = u32::try_from(value).map_err(|_| wrong(format!("run {} is {value} long", counts.len())))?;
            sum += u64::from(count);
            if sum > area {
                return Err(wrong(format!("the runs go beyond the {height}x{width} image")));
            }
            counts.push(count);
            (value, shift) = (0, 0);
        }
        if shift != 0 {
            return Err(wrong("the counts end in the middle of a number".into()));
        }
        if sum != area {
            return Err(wrong(format!("the runs cover {sum} pixels of a {height}x{width} image")));
        }
        Ok(Self { height, width, counts })
    }

    /// The mask in the smallest rectangle that holds it; an empty one where no pixel is set.
    ///
    /// # Errors
    /// [`Error::Shape`] where the runs do not add up to the image, or it has 2^32 pixels or more.
    pub fn to_mask(&self) -> Result<Mask> {
        let area = area_of(self.height, self.width)?;
        let sum: u64 = self.counts.iter().map(|&c| u64::from(c)).sum();
        if sum != area {
            return Err(wrong(format!("the runs cover {sum} pixels of a {}x{} image", self.height, self.width)));
        }
        let (mut x0, mut x1, mut y0, mut y1) = (u32::MAX, 0, u32::MAX, 0);
        self.each_segment(|x, top, bottom| {
            (x0, x1) = (x0.min(x), x1.max(x + 1));
            (y0, y1) = (y0.min(top), y1.max(bottom));
        });
        if x1 == 0 {
            return Ok(Mask::default());
        }
        let words = (x1 - x0).div_ceil(32) as usize;
        let mut mask = Mask { x: x0, y: y0, w: x1 - x0, h: y1 - y0, bits: vec![0; words * (y1 - y0) as usize] };
        self.each_segment(|x, top, bottom| {
            let c = (x - x0) as usize;
            for y in top..bottom {
                mask.bits[(y - y0) as usize * words + c / 32] |= 1 << (c % 32);
            }
        });
        Ok(mask)
    }

    /// Calls `see(x, top, bottom)` for each piece of a run of ones that lies in one column. The counts must add up.
    fn each_segment(&self, mut see: impl FnMut(u32, u32, u32)) {
        let mut at = 0_u32;
        for (i, &count) in self.counts.iter().enumerate() {
            let end = at + count;
            while i % 2 == 1 && at < end {
                let (x, top) = (at / self.height, at % self.height);
                let bottom = (end - x * self.height).min(self.height);
                see(x, top, bottom);
                at += bottom - top;
            }
            at = end;
        }
    }

    pub(crate) fn builder(height: u32, width: u32) -> Builder {
        Builder { height, width, counts: Vec::new(), end: 0 }
    }
}

/// Gathers runs of ones that come in order.
pub(crate) struct Builder {
    height: u32,
    width: u32,
    counts: Vec<u32>,
    /// One past the last pixel counted, which is a one unless nothing is.
    end: u64,
}

impl Builder {
    /// Sets pixels `from..to`, counted down the columns; `from` is not before the last `to`.
    pub(crate) fn ones(&mut self, from: u64, to: u64) {
        match self.counts.last_mut() {
            // A run that reaches a column's foot goes on at the head of the next.
            Some(last) if from == self.end => *last += (to - from) as u32,
            _ => self.counts.extend([(from - self.end) as u32, (to - from) as u32]),
        }
        self.end = to;
    }

    pub(crate) fn finish(mut self) -> Rle {
        let rest = u64::from(self.height) * u64::from(self.width) - self.end;
        if rest > 0 || self.counts.is_empty() {
            self.counts.push(rest as u32);
        }
        Rle { height: self.height, width: self.width, counts: self.counts }
    }
}

fn wrong(reason: String) -> Error {
    Error::Shape { op: "run-length code".into(), reason }
}

fn area_of(height: u32, width: u32) -> Result<u64> {
    let area = u64::from(height) * u64::from(width);
    if area > u64::from(u32::MAX) {
        return Err(wrong(format!("a {height}x{width} image has more pixels than a count can hold")));
    }
    Ok(area)
}

#[derive(Serialize, Deserialize)]
struct Written<S> {
    size: [u32; 2],
    counts: S,
}

impl Serialize for Rle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written { size: [self.height, self.width], counts: self.to_compressed_string() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Rle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::<String>::deserialize(deserializer)?;
        let [height, width] = written.size;
        Rle::from_compressed_string(height, width, &written.counts).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Strings that pycocotools 2.0 gives for these masks.
    #[test]
    fn strings_equal_those_of_pycocotools() {
        let ring = |x: u32, y: u32| {
            let d = (i64::from(x) - 60).pow(2) + (i64::from(y) - 50).pow(2);
            (400..1600).contains(&d)
        };
        let cases: [(&str, u32, u32, Mask); 7] = [
            ("nothing", 7, 5, Mask::default()),
            ("all", 7, 5, Mask::from_fn(0, 0, 5, 7, |_, _| true)),
            ("corner", 7, 5, Mask::from_fn(4, 6, 1, 1, |_, _| true)),
            ("first", 7, 5, Mask::from_fn(0, 0, 1, 1, |_, _| true)),
            ("columns", 6, 8, Mask::from_fn(2, 0, 3, 6, |_, _| true)),
            ("ring", 100, 120, Mask::from_fn(15, 5, 100, 90, ring)),
            ("hash", 480, 640, Mask::from_fn(100, 200, 37, 23, |x, y| (x * 7 + y * 13 + x * y) % 11 < 5)),
        ];
        for ((what, h, w, mask), want) in cases.into_iter().zip(EXPECTED) {
            let rle = mask.to_rle(w, h);
            assert_eq!(rle.to_compressed_string(), want, "{what}");
            let back = Rle::from_compressed_string(h, w, want).unwrap();
            assert_eq!(back.to_mask().unwrap().to_image(w, h), mask.to_image(w, h), "{what}");
        }
    }

    const EXPECTED: [&str; 7] = [
        "S1",
        "0S1",
        "R11",
        "01R1",
        "<b0b0",
        "nR2a0_28I6K4L4L4M2N2M4M2N2N2N2N2N2O0O2N2N2O0OhN_O0`0ND0;OI06OL03O10NO40LO60I170HO:0FO<0D0<\
         0C0?0@0`00@Ob00^O0b00^O0b00^O0b00^O0b00^O0b00^O0b00^O0b00^O0b00^O0b00^O0b00^O0b00^O0b00^O1\
         `00@0`00A0=0D0<0D1:0F180IO70J140L120O1M041J071E0<2@0a0X1101N2N2N101N2N2N2N2N2N3L3N2N3L4L4L\
         5J7HZm1",
        "XR_1121000O01000OW>1hAO1000O10O1000O0Y>0gA0000010O000000010Y>0fA00010O000000010O0Z>0fA10O1\
         000O10O10Y>1gAO01000O010OW>0jA20O010O\\>3gA0Ym00gRO0U>LhA1010O01V>NiA1000O01000OW>1hAO1000O\
         10O1000O0Y>0gA0000010O000000010Y>0fA00010O000000010O0Z>0fA10O1000O10O10Y>1gAO01000O010OW>0\
         jA20O010O\\>3gA0Ym00gRO0U>LhA1010O01V>NiA1000O01000OW>1hAO1000O10O1000O0Y>0gA0000010O000000\
         010Y>0fA00010O000000010O0Z>0fA10O1000O10O10Y>1gAO01000O010OW>0jA20O010O\\>3gA0Ym00gRO0U>LhA\
         1010O01V>NiA1000O01000OW>1hAO1000O10O1000O0Y>0gA0000010O000000010Y>0fA00010O000000010O0QQ\\\
         7",
    ];

    #[test]
    fn json_is_coco() {
        let rle = Mask::from_fn(0, 0, 1, 1, |_, _| true).to_rle(5, 7);
        let json = serde_json::to_string(&rle).unwrap();
        assert_eq!(json, r#"{"size":[7,5],"counts":"01R1"}"#);
        assert_eq!(serde_json::from_str::<Rle>(&json).unwrap(), rle);
        assert!(serde_json::from_str::<Rle>(r#"{"size":[7,6],"counts":"01R1"}"#).is_err());
    }

    /// Differences of 33 bits take the most characters that a number may have.
    #[test]
    fn the_longest_numbers_are_read() {
        let rle = Rle { height: 65535, width: 65535, counts: vec![1, 4_294_000_000, 2, 3, 836_219] };
        let text = rle.to_compressed_string();
        assert_eq!(Rle::from_compressed_string(65535, 65535, &text).unwrap(), rle, "{text}");
    }

    #[test]
    fn wrong_strings_are_refused() {
        for text in
            ["", "S", "oooooooooooooo", "01R1 ", "01R1\u{e9}", "O", "0", "1111111111111111111111111111111111111"]
        {
            assert!(Rle::from_compressed_string(7, 5, text).is_err(), "{text}");
        }
        for side in [65536, u32::MAX] {
            let said = Rle::from_compressed_string(side, side, "0").unwrap_err().to_string();
            assert!(said.contains("more pixels than a count can hold"), "{said}");
        }
        assert!(Rle { height: 3, width: 3, counts: vec![4, u32::MAX] }.to_mask().is_err());
        assert_eq!(Rle::from_compressed_string(0, 0, "0").unwrap().to_mask().unwrap(), Mask::default());
    }

    proptest! {
        #[test]
        fn any_string_is_read_or_refused(h in any::<u32>(), w in any::<u32>(), text in "[ -~]{0,40}") {
            let _ = Rle::from_compressed_string(h, w, &text);
            let _ = Rle::from_compressed_string(h % 64, w % 64, &text).map(|rle| rle.to_mask());
        }

        #[test]
        fn any_counts_survive(counts in prop::collection::vec(0..100_000_000_u32, 1..40)) {
            let width = counts.iter().sum::<u32>();
            let rle = Rle { height: 1, width, counts };
            prop_assert_eq!(Rle::from_compressed_string(1, width, &rle.to_compressed_string()).unwrap(), rle);
        }
    }
}
