//! A run that the device was given, and how its outputs are read.

use super::device::Device;
use super::slices::Stopwatch;
use super::transfer::Reading;
use crate::Result;
use crate::kernels::wide;
use crate::ops::Info;
use crate::tensor::{DType, Data, Shape, Value};

/// A tensor that was read back.
pub type Output = Value;

/// A run that the device was given.
pub struct Submitted {
    pub(super) device: Device,
    pub(super) reading: Reading,
    /// Where it matters how long runs take.
    pub(super) stopwatch: Option<Stopwatch>,
    /// What is read, and where it begins.
    pub(super) outputs: Vec<(Info, u64)>,
}

impl Submitted {
    /// Waits until it is done; gives what is read, in the order that it was asked for.
    ///
    /// # Errors
    /// As [`Runner::run`](super::Runner::run).
    pub fn wait(self) -> Result<Vec<Output>> {
        self.wait_for(|_| None)
    }

    /// As [`Submitted::wait`], with no more of a tensor `[rows,columns]` than is needed: `columns` is told what was read
    /// before it, and says how many of its columns are wanted, where those are not all.
    ///
    /// # Errors
    /// As [`Runner::run`](super::Runner::run).
    pub fn wait_for(self, columns: impl Fn(&[Output]) -> Option<usize>) -> Result<Vec<Output>> {
        let Self { device, reading, stopwatch, outputs } = self;
        device.read(reading, |bytes| {
            stopwatch.into_iter().for_each(Stopwatch::stop);
            let mut read = Vec::with_capacity(outputs.len());
            for (info, at) in outputs {
                let part = &bytes[at as usize..at as usize + info.bytes()];
                read.push(match columns(&read) {
                    Some(columns) => first_columns(info, part, columns),
                    None => value(info.dtype, info.shape, part),
                });
            }
            read
        })
    }
}

/// A tensor from its bytes on the device.
fn value(dtype: DType, shape: Shape, bytes: &[u8]) -> Value {
    let data = match dtype {
        DType::F32 => Data::F32(bytemuck::pod_collect_to_vec(bytes)),
        DType::F16 => Data::F32(wide(bytes)),
        DType::U32 => Data::U32(bytemuck::pod_collect_to_vec(bytes)),
    };
    Value { shape, data }
}

/// The first columns of a tensor of rows.
fn first_columns(info: Info, bytes: &[u8], columns: usize) -> Value {
    let &[rows, all] = info.shape.dims() else { return value(info.dtype, info.shape, bytes) };
    let columns = columns.min(all as usize);
    let row = bytes.len() / (rows as usize).max(1);
    let used = row / (all as usize).max(1) * columns;
    let shape = Shape::from([rows as usize, columns]);
    if rows == 1 {
        return value(info.dtype, shape, &bytes[..used]);
    }
    let parts: Vec<&[u8]> = (0..rows as usize).map(|i| &bytes[i * row..i * row + used]).collect();
    value(info.dtype, shape, &parts.concat())
}
