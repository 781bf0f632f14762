//! The one error type. Each variant names the culprit (file, tensor, layer, kernel or device) and says what to do.

use std::path::PathBuf;

/// `Result` with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whatever can go wrong between image bytes and mask bits.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An image that cannot be decoded or used; `name` is its path, or what stands for it.
    #[error("image {name}: {reason}")]
    Image {
        /// Its path, or what stands for it.
        name: String,
        /// What is wrong, and the cure.
        reason: String,
    },

    /// A weights file that is not what it should be, as a whole.
    #[error("weights {file}: {reason}")]
    Weights {
        /// Its path, or what stands for it.
        file: String,
        /// What is wrong, and the cure.
        reason: String,
    },

    /// A file of annotations or results that is not what it should be, or does not go with another.
    #[error("{file}: {reason}")]
    Dataset {
        /// Its path, or what stands for it.
        file: String,
        /// What is wrong, and the cure.
        reason: String,
    },

    /// One tensor of a weights file is missing or wrong.
    #[error("weights {file}: tensor `{tensor}`: {reason}")]
    Tensor {
        /// Its path, or what stands for it.
        file: String,
        /// The tensor's name in the file.
        tensor: String,
        /// What is wrong, and the cure.
        reason: String,
    },

    /// A download that failed.
    #[error("download {url}: {reason}")]
    Download {
        /// Where from.
        url: String,
        /// What is wrong, and the cure.
        reason: String,
    },

    /// A setting that cannot be.
    #[error("configuration: `{setting}`: {reason}")]
    Config {
        /// By its dotted name.
        setting: String,
        /// What is wrong, and the cure.
        reason: String,
    },

    /// A box that came with an image and cannot be used.
    #[error("box {index} of those given: {reason}")]
    GivenBox {
        /// Its number, from 0.
        index: usize,
        /// What is wrong, and the cure.
        reason: String,
    },

    /// An op was given shapes that do not fit it.
    #[error("{op}: {reason}")]
    Shape {
        /// The layer, and the op in brackets.
        op: String,
        /// What is wrong, and the cure.
        reason: String,
    },

    /// No GPU, or not the one asked for.
    #[error("no usable GPU: {0}")]
    NoAdapter(String),

    /// The device cannot hold or address what the network needs.
    #[error("{what} needs {need} bytes, and this device allows {limit}: {cure}")]
    Limit {
        /// What needs it.
        what: String,
        /// Bytes.
        need: u64,
        /// Bytes.
        limit: u64,
        /// What to do.
        cure: String,
    },

    /// A shader was refused by its compiler.
    #[error("kernel `{kernel}`: {reason}")]
    Shader {
        /// The shader's name.
        kernel: String,
        /// What is wrong, and the cure.
        reason: String,
    },

    /// The device has no memory left for something. Less at once may fit: a smaller batch, image or input size.
    #[error("GPU {device}: {reason}")]
    OutOfMemory {
        /// The device's name.
        device: String,
        /// What is wrong, and the cure.
        reason: String,
    },

    /// The device is gone: unplugged, reset by the system, or given back ([`Device::destroy`](crate::Device::destroy)).
    /// All that was made on it is lost with it.
    #[error("GPU {device}: {reason}")]
    DeviceLost {
        /// The device's name.
        device: String,
        /// What is wrong, and the cure.
        reason: String,
    },

    /// Something was asked of a device that it does not offer.
    #[error("GPU {device}: {reason}")]
    Unsupported {
        /// The device's name.
        device: String,
        /// What is wrong, and the cure.
        reason: String,
    },

    /// The device failed while working, in another way.
    #[error("GPU {device}: {reason}")]
    Device {
        /// The device's name.
        device: String,
        /// What is wrong, and the cure.
        reason: String,
    },

    /// What cannot be, is: a mistake of this library's.
    #[error("internal error: {0}; please report it")]
    Internal(String),

    /// Reading or writing a file failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}
