//! The Python names that a pickle may refer to. A few are known here; what exists to do harm is refused where it is
//! named, before anything could be done with it; all others become opaque values, which are never looked up, built or
//! called, and of which no tensor can be made.

use safetensors::Dtype;

use super::super::SAVE_STATE;
use crate::weights::names::shown;

/// A Python function or class that this reader has its own, harmless idea of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Global {
    OrderedDict,
    DefaultDict,
    Size,
    RebuildTensor,
    RebuildTensorV2,
    RebuildParameter,
    /// The class of a storage. `torch.UntypedStorage` is none of them: only tensors of types that weights do not
    /// have (uint16, float8) refer to it.
    Storage(Dtype),
    /// NumPy's `_reconstruct`, which makes an empty array that a state fills.
    Reconstruct,
    /// NumPy's `_frombuffer`, of protocol 5.
    FromBuffer,
    NdArray,
    NumpyDtype,
    NumpyScalar,
    /// `_codecs.encode`, by which bytes are written before protocol 3.
    Encode,
    /// `getattr`, by which a class's own functions are written before protocol 4: mmengine keeps such beside the weights. Of
    /// anything else it is refused.
    GetAttr,
}

/// Modules, and single names of others, that nobody needs to describe a network, its training or its data: they start
/// programs, touch files, load code or other pickles. A file that names one is not to be used, whatever else it holds.
#[rustfmt::skip]
const HARMFUL: [&str; 65] = [
    // Programs, files, the network.
    "os", "posix", "nt", "posixpath", "ntpath", "subprocess", "_posixsubprocess", "commands", "popen2", "pty", "shutil",
    "tempfile", "socket", "_socket", "ssl", "http", "urllib", "urllib2", "httplib", "requests", "ftplib", "smtplib",
    "telnetlib", "webbrowser", "signal", "atexit", "_thread", "asyncio",
    // The interpreter, code, and what calls whatever it is given.
    "sys", "importlib", "imp", "pkgutil", "runpy", "zipimport", "code", "codeop", "ctypes", "_ctypes", "gc", "inspect",
    "pdb", "bdb", "trace", "timeit", "profile", "cProfile", "operator", "_operator", "functools.reduce", "marshal",
    "types.FunctionType", "types.CodeType", "types.MethodType", "pip", "setuptools", "distutils",
    // Other pickles.
    "pickle", "_pickle", "cPickle", "shelve", "joblib.load", "numpy.load", "torch.load", "torch.hub",
    "torch.serialization.load",
];

/// The types among Python's built-in names. All others there are functions, of which some run code.
#[rustfmt::skip]
const TYPES: [&str; 20] = [
    "bool", "bytearray", "bytes", "complex", "dict", "Ellipsis", "float", "frozenset", "int", "list", "long", "object",
    "range", "set", "slice", "str", "tuple", "type", "unicode", "xrange",
];

/// The meaning of a name, `None` if it is to be opaque, or the message that refuses it.
pub(super) fn find(module: &[u8], name: &[u8]) -> Result<Option<Global>, String> {
    Ok(Some(match (module, name) {
        (b"collections", b"OrderedDict") => Global::OrderedDict,
        (b"collections", b"defaultdict") => Global::DefaultDict,
        (b"torch", b"Size") => Global::Size,
        (b"torch._utils", b"_rebuild_tensor") => Global::RebuildTensor,
        (b"torch._utils", b"_rebuild_tensor_v2") => Global::RebuildTensorV2,
        (b"torch._utils", b"_rebuild_parameter") => Global::RebuildParameter,
        (b"torch", b"DoubleStorage") => Global::Storage(Dtype::F64),
        (b"torch", b"FloatStorage") => Global::Storage(Dtype::F32),
        (b"torch", b"HalfStorage") => Global::Storage(Dtype::F16),
        (b"torch", b"BFloat16Storage") => Global::Storage(Dtype::BF16),
        (b"torch", b"LongStorage") => Global::Storage(Dtype::I64),
        (b"torch", b"IntStorage") => Global::Storage(Dtype::I32),
        (b"torch", b"ShortStorage") => Global::Storage(Dtype::I16),
        (b"torch", b"CharStorage") => Global::Storage(Dtype::I8),
        (b"torch", b"ByteStorage") => Global::Storage(Dtype::U8),
        (b"torch", b"BoolStorage") => Global::Storage(Dtype::BOOL),
        (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"_reconstruct") => Global::Reconstruct,
        (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"scalar") => Global::NumpyScalar,
        (b"numpy.core.numeric" | b"numpy._core.numeric", b"_frombuffer") => Global::FromBuffer,
        (b"numpy", b"ndarray") => Global::NdArray,
        (b"numpy", b"dtype") => Global::NumpyDtype,
        (b"_codecs", b"encode") => Global::Encode,
        (b"builtins" | b"__builtin__", b"getattr") => Global::GetAttr,
        _ if harmful(module, name) => return Err(refusal(module, name)),
        _ => return Ok(None),
    }))
}

/// The message that refuses a file for naming this.
pub(super) fn refusal(module: &[u8], name: &[u8]) -> String {
    let full = full(module, name);
    format!(
        "asks Python for `{full}`, which weights do not need, and nothing was executed: do not use the file unless you know \
         why it does; if you do, {SAVE_STATE}"
    )
}

/// Whether a name is on the list, or within what is on it.
fn harmful(module: &[u8], name: &[u8]) -> bool {
    let path = [module, b".", name].concat();
    let under = |entry: &str| {
        path.strip_prefix(entry.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'.') || rest.is_empty())
    };
    match module {
        b"builtins" | b"__builtin__" | b"__builtins__" => !TYPES.iter().any(|known| known.as_bytes() == name),
        _ => HARMFUL.iter().any(|entry| under(entry)),
    }
}

/// A name for a message.
pub(in super::super) fn full(module: &[u8], name: &[u8]) -> String {
    format!("{}.{}", shown(&lossy(module)), shown(&lossy(name)))
}

/// Whether a name is of a module that models are made of, so that an object of it is a whole model.
pub(in super::super) fn of_model(module: &[u8]) -> bool {
    let known = |part: &[u8]| [&b"torchvision"[..], b"torch.nn", b"__main__"].contains(&part);
    (1..=module.len())
        .filter(|&end| end == module.len() || module.get(end) == Some(&b'.'))
        .any(|end| module.get(..end).is_some_and(known))
}

/// Whether a name is of a module that a TorchScript program has with it.
pub(super) fn of_script(module: &[u8]) -> bool {
    module.strip_prefix(b"__torch__").is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'.'))
}

/// Text from a file for a message. Cut well above what [`shown`] keeps, so that long ones cost nothing.
pub(in super::super) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..2048).unwrap_or(bytes)).into_owned()
}
