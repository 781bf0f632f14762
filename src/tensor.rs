//! Shapes, element types, and tensors in host memory.

use std::fmt;

/// Up to five extents, outermost first. Activations are `[N, H, W, C]`: channels lie innermost, so that a shader
/// reads four of them as one `vec4` and a RoI's features are one row of a matrix.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    dims: [u32; 5],
    rank: u8,
}

impl Shape {
    /// A shape of at most five extents; further ones are an error of the program, not of its input.
    pub fn new(dims: &[usize]) -> Self {
        assert!(dims.len() <= 5, "a shape has at most five extents, not {dims:?}");
        let mut out = [1; 5];
        for (o, d) in out.iter_mut().zip(dims) {
            *o = u32::try_from(*d).expect("extents fit 32 bits");
        }
        Self { dims: out, rank: dims.len() as u8 }
    }

    /// The extents.
    pub fn dims(&self) -> &[u32] {
        &self.dims[..self.rank as usize]
    }

    /// The number of extents.
    pub fn rank(&self) -> usize {
        self.rank as usize
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.dims().iter().map(|&d| d as usize).product()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Extent `i`, outermost first.
    pub fn dim(&self, i: usize) -> usize {
        self.dims()[i] as usize
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: Vec<String> = self.dims().iter().map(u32::to_string).collect();
        write!(f, "[{}]", text.join("×"))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Self {
        Self::new(&dims)
    }
}

/// What one element is, on the device. The host has floats in single precision whatever the device has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// IEEE single precision.
    F32,
    /// IEEE half precision: what a plan keeps of activations where the precision is f16.
    F16,
    /// Unsigned integers: indices, counts, labels, packed bytes and bits.
    U32,
}

impl DType {
    /// Bytes of one element.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 | Self::U32 => 4,
            Self::F16 => 2,
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::U32 => "u32",
        }
    }
}

/// Bytes of one element in host memory, of any kind.
pub const ELEMENT_BYTES: usize = 4;

/// A dense row-major f32 tensor in host memory, as weights are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct HostTensor {
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// The elements, as many as the product of the extents.
    pub data: Vec<f32>,
}

impl HostTensor {
    /// Takes the elements as they are; their number is the product of `shape`.
    pub fn new(shape: &[usize], data: Vec<f32>) -> Self {
        debug_assert_eq!(shape.iter().product::<usize>(), data.len());
        Self { shape: shape.to_vec(), data }
    }
}

/// A dense row-major tensor of either element type, as kernels and their twins exchange it.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Extents, outermost first.
    pub shape: Shape,
    /// The elements.
    pub data: Data,
}

/// The elements of a [`Value`].
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Floats.
    F32(Vec<f32>),
    /// Unsigned integers.
    U32(Vec<u32>),
}

impl Value {
    /// A float tensor; the number of elements is the product of `shape`.
    pub fn f32(shape: impl Into<Shape>, data: Vec<f32>) -> Self {
        let shape = shape.into();
        assert_eq!(shape.len(), data.len(), "a {shape} tensor of {} elements", data.len());
        Self { shape, data: Data::F32(data) }
    }

    /// An integer tensor; the number of elements is the product of `shape`.
    pub fn u32(shape: impl Into<Shape>, data: Vec<u32>) -> Self {
        let shape = shape.into();
        assert_eq!(shape.len(), data.len(), "a {shape} tensor of {} elements", data.len());
        Self { shape, data: Data::U32(data) }
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        match self.data {
            Data::F32(_) => DType::F32,
            Data::U32(_) => DType::U32,
        }
    }

    /// The floats. Panics on an integer tensor: kinds are checked when a graph is built.
    pub fn floats(&self) -> &[f32] {
        match &self.data {
            Data::F32(v) => v,
            Data::U32(_) => panic!("an integer tensor where floats are due"),
        }
    }

    /// The integers. Panics on a float tensor: kinds are checked when a graph is built.
    pub fn ints(&self) -> &[u32] {
        match &self.data {
            Data::U32(v) => v,
            Data::F32(_) => panic!("a float tensor where integers are due"),
        }
    }

    /// The elements as bytes, as a GPU buffer takes them.
    pub fn bytes(&self) -> &[u8] {
        match &self.data {
            Data::F32(v) => bytemuck::cast_slice(v),
            Data::U32(v) => bytemuck::cast_slice(v),
        }
    }
}

impl From<HostTensor> for Value {
    fn from(t: HostTensor) -> Self {
        Value::f32(Shape::new(&t.shape), t.data)
    }
}
