//! Where a tensor lies in a file, whatever the file's format.

use half::{bf16, f16};
use safetensors::Dtype;

/// One tensor of a file: its element type, and which bytes are its elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Element type.
    pub dtype: Dtype,
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// Elements from one index to the next, along each axis.
    pub strides: Vec<usize>,
    /// Byte offset, in the file, of the element at index 0. Whoever makes an entry has checked that every element lies
    /// within the file.
    pub start: usize,
}

impl Entry {
    /// Number of elements.
    pub(super) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Strides of a tensor without gaps.
    pub(super) fn dense_strides(shape: &[usize]) -> Vec<usize> {
        let mut strides = vec![1usize; shape.len()];
        for axis in (1..shape.len()).rev() {
            // A tensor without elements may have extents whose product means nothing.
            strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
        }
        strides
    }

    /// The elements as f32, row-major; `None` where they are not of a floating-point type. f16 and bf16 convert
    /// exactly, f64 rounds.
    pub(super) fn floats(&self, file: &[u8]) -> Option<Vec<f32>> {
        Some(match self.dtype {
            Dtype::F64 => self.each(file, |raw| f64::from_le_bytes(raw) as f32),
            Dtype::F32 => self.each(file, f32::from_le_bytes),
            Dtype::F16 => self.each(file, |raw| f16::from_le_bytes(raw).to_f32()),
            Dtype::BF16 => self.each(file, |raw| bf16::from_le_bytes(raw).to_f32()),
            _ => return None,
        })
    }

    fn each<const N: usize>(&self, file: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        let value = |bytes: &[u8]| {
            let mut raw = [0; N];
            raw.copy_from_slice(bytes);
            convert(raw)
        };
        let count = self.len();
        if self.strides == Self::dense_strides(&self.shape) {
            return file[self.start..self.start + N * count].chunks_exact(N).map(value).collect();
        }
        let mut out = Vec::with_capacity(count);
        let mut index = vec![0; self.shape.len()];
        for _ in 0..count {
            let element: usize = index.iter().zip(&self.strides).map(|(i, s)| i * s).sum();
            let at = self.start + N * element;
            out.push(value(&file[at..at + N]));
            // The last axis runs fastest.
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                if index[axis] < self.shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_with_strides() {
        let file: Vec<u8> = (0..24).flat_map(|i| (i as f32).to_le_bytes()).collect();
        let entry = |shape: &[usize], strides: &[usize], start: usize| Entry {
            dtype: Dtype::F32,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
            start: 4 * start,
        };
        let floats = |e: Entry| e.floats(&file).unwrap();
        assert_eq!(floats(entry(&[2, 3], &[3, 1], 1)), [1., 2., 3., 4., 5., 6.]);
        assert_eq!(floats(entry(&[3, 2], &[1, 3], 0)), [0., 3., 1., 4., 2., 5.], "transposed");
        assert_eq!(floats(entry(&[2, 2], &[12, 5], 2)), [2., 7., 14., 19.], "sliced");
        assert_eq!(floats(entry(&[3], &[0], 7)), [7., 7., 7.], "expanded");
        assert_eq!(floats(entry(&[], &[], 9)), [9.], "a scalar");
        assert_eq!(floats(entry(&[2, 0, 3], &[0, 3, 1], 0)), [0.0f32; 0]);
    }

    #[test]
    fn strides_without_gaps() {
        assert_eq!(Entry::dense_strides(&[2, 3, 4]), [12, 4, 1]);
        assert_eq!(Entry::dense_strides(&[]), [0usize; 0]);
        assert_eq!(Entry::dense_strides(&[usize::MAX, usize::MAX, 0]), [0, 0, 1]);
    }
}
