//! What the strips and tiles of a TIFF are compressed with.

use std::io::Read;

use crate::vision::image::fault::{Fault, room};
use crate::vision::image::{MAX_SIDE, jpeg};

/// How a chunk's bytes are to be understood.
pub(super) struct Codec<'a> {
    pub compression: u64,
    /// The tables that the chunks of a JPEG-in-TIFF share.
    pub jpeg_tables: Option<&'a [u8]>,
    /// Whether JPEG data are to be turned from YCbCr to RGB.
    pub ycbcr: bool,
    /// Samples of a pixel in a chunk.
    pub samples: usize,
    /// Whether bits are stored lowest first.
    pub reversed: bool,
}

/// Refuses what no decoder here reads.
pub(super) fn supported(compression: u64) -> Result<(), Fault> {
    let name = match compression {
        1 | 4 | 5 | 7 | 8 | 32_773 | 32_946 | 50_000 | 50_001 => return Ok(()),
        2 | 32_771 => "CCITT run lengths (fax)",
        3 => "CCITT Group 3 (fax)",
        6 => "the JPEG of TIFF's version 6.0, which is obsolete,",
        33_003..=33_005 | 34_712 => "JPEG 2000",
        34_661 | 9 | 10 => "JBIG",
        34_676 | 34_677 => "SGI LogLuv",
        34_887 => "LERC",
        34_892 => "lossy DNG JPEG",
        34_925 => "LZMA",
        34_934 | 22_610 => "JPEG XR",
        50_002 | 52_546 => "JPEG XL",
        32_809 => "ThunderScan",
        _ => return Err(unread(&format!("method {compression}"))),
    };
    Err(unread(name))
}

fn unread(what: &str) -> Fault {
    Fault::Image(format!(
        "is a TIFF compressed with {what}, which is not supported; save it uncompressed or with LZW or Deflate"
    ))
}

impl Codec<'_> {
    /// Decompresses a chunk of `width` x `height` pixels into `out`, as far as it goes; gives how many bytes that is.
    ///
    /// # Errors
    /// What is wrong with the data.
    pub(super) fn expand(&self, data: &[u8], (width, height): (usize, usize), out: &mut [u8]) -> Result<usize, Fault> {
        let turned: Vec<u8>;
        let data = if self.reversed && self.compression != 7 {
            turned = data.iter().map(|b| b.reverse_bits()).collect();
            &turned
        } else {
            data
        };
        match self.compression {
            1 => {
                let len = data.len().min(out.len());
                out[..len].copy_from_slice(&data[..len]);
                Ok(len)
            }
            4 => fax(data, width, height, out),
            5 => lzw(data, out),
            7 => self.jpeg(data, (width, height), out),
            8 | 32_946 => fill(flate2::read::ZlibDecoder::new(data), out),
            32_773 => Ok(packbits(data, out)),
            50_000 => fill(ruzstd::decoding::StreamingDecoder::new(data).map_err(Fault::corrupt)?, out),
            50_001 => webp(data, (width, height), self.samples, out),
            other => supported(other).map(|()| 0),
        }
    }

    fn jpeg(&self, data: &[u8], (width, height): (usize, usize), out: &mut [u8]) -> Result<usize, Fault> {
        use zune_jpeg::zune_core::bytestream::ZCursor;
        use zune_jpeg::zune_core::colorspace::ColorSpace;
        use zune_jpeg::zune_core::options::DecoderOptions;

        let joined: Vec<u8>;
        let data = match self.jpeg_tables {
            // Both begin with a start mark, and the tables end with an end mark.
            Some(tables) if tables.len() >= 4 && data.len() >= 2 => {
                joined = [&tables[..tables.len() - 2], &data[2..]].concat();
                &joined
            }
            _ => data,
        };
        jpeg::check(data)?;
        let options = DecoderOptions::default()
            .set_strict_mode(false)
            .set_max_width(MAX_SIDE as usize)
            .set_max_height(MAX_SIDE as usize);
        let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(data), options);
        decoder.decode_headers().map_err(Fault::corrupt)?;
        let (w, h) = decoder.dimensions().unwrap_or_default();
        let stored = decoder.input_colorspace().unwrap_or(ColorSpace::Unknown);
        let space = if self.ycbcr && stored == ColorSpace::YCbCr { ColorSpace::RGB } else { stored };
        if (w, space.num_components()) != (width, self.samples) || h > height.next_multiple_of(16) {
            let (found, wanted) = (space.num_components(), self.samples);
            return Err(Fault::corrupt(format!(
                "a JPEG inside has {w}x{h} pixels of {found} samples instead of {width}x{height} of {wanted}"
            )));
        }
        decoder.set_options(options.jpeg_set_out_colorspace(space));
        let pixels = decoder.decode().map_err(Fault::corrupt)?;
        let len = pixels.len().min(out.len());
        out[..len].copy_from_slice(&pixels[..len]);
        Ok(len)
    }
}

/// Reads until the buffer is full: what follows the pixels is of no concern.
fn fill(mut from: impl Read, out: &mut [u8]) -> Result<usize, Fault> {
    let mut len = 0;
    while len < out.len() {
        match from.read(&mut out[len..]) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(e) => return Err(Fault::corrupt(e)),
        }
    }
    Ok(len)
}

/// Some writers leave out the end code, and some put nonsense behind the last pixel.
fn lzw(data: &[u8], out: &mut [u8]) -> Result<usize, Fault> {
    // Before 1994, libtiff wrote codes from the lowest bit on: these begin with the clear code, 0x100, so.
    if data.len() >= 2 && data[0] == 0 && data[1] & 1 == 1 {
        return Err(unread("the LZW of old libtiff, lowest bit first"));
    }
    let mut decoder = weezl::decode::Configuration::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
        .with_yield_on_full_buffer(true)
        .build();
    let (mut read, mut len) = (0, 0);
    while len < out.len() {
        let step = decoder.decode_bytes(&data[read..], &mut out[len..]);
        read += step.consumed_in;
        len += step.consumed_out;
        match step.status {
            Ok(weezl::LzwStatus::Ok) if step.consumed_in + step.consumed_out > 0 => {}
            Ok(_) => break,
            Err(e) => return Err(Fault::corrupt(e)),
        }
    }
    Ok(len)
}

fn packbits(data: &[u8], out: &mut [u8]) -> usize {
    let (mut at, mut len) = (0, 0);
    while let Some(&head) = data.get(at).filter(|_| len < out.len()) {
        at += 1;
        match head {
            0..=127 => {
                let run = (usize::from(head) + 1).min(out.len() - len).min(data.len() - at);
                out[len..len + run].copy_from_slice(&data[at..at + run]);
                at += usize::from(head) + 1;
                len += run;
            }
            128 => {}
            129.. => {
                let Some(&value) = data.get(at) else { break };
                let run = (257 - usize::from(head)).min(out.len() - len);
                out[len..len + run].fill(value);
                at += 1;
                len += run;
            }
        }
        if at > data.len() {
            break;
        }
    }
    len
}

/// CCITT Group 4: white runs are zeros.
fn fax(data: &[u8], width: usize, height: usize, out: &mut [u8]) -> Result<usize, Fault> {
    let side = u32::try_from(width).map_err(Fault::corrupt)?;
    let row_bytes = width.div_ceil(8);
    let mut rows = 0;
    let bytes = data.iter().map(|&b| Ok::<u8, std::convert::Infallible>(b));
    let mut decoder = fax::decoder::Group4Decoder::new(bytes, side).map_err(Fault::corrupt)?;
    while rows < height {
        let status = decoder.advance().map_err(|e| Fault::corrupt(format!("{e:?}")))?;
        if status == fax::decoder::DecodeStatus::End {
            break;
        }
        let row = &mut out[rows * row_bytes..(rows + 1) * row_bytes];
        row.fill(0);
        for (x, colour) in fax::decoder::pels(decoder.transition(), side).enumerate() {
            if colour == fax::Color::Black {
                row[x / 8] |= 0x80 >> (x % 8);
            }
        }
        rows += 1;
    }
    Ok(rows * row_bytes)
}

fn webp(data: &[u8], (width, height): (usize, usize), samples: usize, out: &mut [u8]) -> Result<usize, Fault> {
    use image::ImageDecoder as _;

    let decoder = image::codecs::webp::WebPDecoder::new(std::io::Cursor::new(data)).map_err(Fault::corrupt)?;
    let (w, h) = decoder.dimensions();
    let stored = usize::from(decoder.color_type().channel_count());
    if (w as usize, h as usize) != (width, height) {
        return Err(Fault::corrupt(format!("a WebP inside has {w}x{h} pixels instead of {width}x{height}")));
    }
    let mut pixels = room(width * height * stored)?;
    pixels.resize(width * height * stored, 0);
    decoder.read_image(&mut pixels).map_err(Fault::corrupt)?;
    for (to, from) in out.chunks_exact_mut(samples).zip(pixels.chunks_exact(stored)) {
        let shared = samples.min(stored);
        to[..shared].copy_from_slice(&from[..shared]);
        to[shared..].fill(255);
    }
    Ok(out.len())
}
