//! The Python names that a pickle may refer to. Everything else is refused where it is named, before anything could
//! be done with it.

use safetensors::Dtype;

use super::super::SAVE_STATE;
use crate::weights::names::shown;

/// A Python function or class that this reader has its own, harmless idea of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Global {
    OrderedDict,
    /// Learning-rate schedulers keep their milestones in one.
    Counter,
    /// torchvision's training script saves its arguments in one.
    Namespace,
    Size,
    Device,
    RebuildTensor,
    RebuildTensorV2,
    RebuildParameter,
    /// The class of a storage. `torch.UntypedStorage` is none of them: only tensors of types that weights do not
    /// have (uint16, float8) refer to it.
    Storage(Dtype),
}

/// The meaning of a name, or the message that refuses it.
pub(super) fn find(module: &[u8], name: &[u8]) -> Result<Global, String> {
    Ok(match (module, name) {
        (b"collections", b"OrderedDict") => Global::OrderedDict,
        (b"collections", b"Counter") => Global::Counter,
        (b"argparse", b"Namespace") => Global::Namespace,
        (b"torch", b"Size") => Global::Size,
        (b"torch", b"device") => Global::Device,
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
        _ => return Err(refusal(module, name)),
    })
}

fn refusal(module: &[u8], name: &[u8]) -> String {
    let of_model = |part: &[u8]| [&b"torchvision"[..], b"torch.nn", b"__main__"].contains(&part);
    let model = (1..=module.len())
        .filter(|&end| end == module.len() || module.get(end) == Some(&b'.'))
        .any(|end| module.get(..end).is_some_and(of_model));
    let full = format!("{}.{}", shown(&lossy(module)), shown(&lossy(name)));
    match model {
        true => format!("holds a whole Python model, not its weights (it refers to `{full}`): {SAVE_STATE}"),
        false => format!("asks Python for `{full}`, which weights do not need, and nothing was executed: {SAVE_STATE}"),
    }
}

/// Text from a file for a message. Cut well above what [`shown`] keeps, so that long ones cost nothing.
pub(in super::super) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..2048).unwrap_or(bytes)).into_owned()
}
