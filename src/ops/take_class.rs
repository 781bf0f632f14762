//! What a head says of a row's own class.

use super::{Cost, Info, Io, Op, Operand, Setting, live, settings, value};
use crate::tensor::Value;

/// Of all that a head says of a row, class by class, that of the row's label: deltas `[K,4]`, or a mask's logits `[pixels,K]`.
/// With one class, that is every label's. Its derivative puts each value back among zeros.
///
/// Inputs: x, whose rows are `[outer,K,inner]`, labels of R rows, live `[B]`. Output `[R,outer·inner]`, of the rows that count.
#[derive(Clone, Debug)]
pub struct TakeClass {
    /// K.
    pub classes: usize,
    /// Elements of a class that lie side by side.
    pub inner: usize,
}

impl Op for TakeClass {
    fn name(&self) -> &'static str {
        "take_class"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::f32("x", 0).of_any_rank(), Operand::u32("labels", 0).of_any_rank(), Operand::LIVE]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let (x, rows) = (inputs[0].shape.len(), inputs[1].shape.len());
        let step = rows * self.classes * self.inner;
        if step == 0 || !x.is_multiple_of(step) {
            let Self { classes, inner } = self;
            return Err(format!("x {} is not {rows} rows of {classes} classes by {inner}", inputs[0].shape));
        }
        live::check(&inputs[2], rows, "rows")?;
        Ok(vec![Info::f32([rows, x / step * self.inner])])
    }

    fn cost(&self, io: &Io) -> Cost {
        let elements = 2 * io.outputs[0].shape.len() + io.inputs[1].shape.len();
        Cost { flops: 0.0, bytes: (elements * crate::tensor::ELEMENT_BYTES) as f64 }
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let rows = inputs[1].shape.len();
        let a_row = inputs[0].shape.len() / rows;
        let mut out = Vec::new();
        for (i, row) in inputs[0].floats().chunks(a_row).enumerate() {
            let label = (inputs[1].ints()[i] as usize).min(self.classes - 1);
            let counts = live::counts(Some(inputs[2].ints()), rows, i);
            for of_classes in row.chunks(self.classes * self.inner) {
                let own = of_classes.chunks(self.inner).nth(label).into_iter().flatten();
                out.extend(own.map(|&v| if counts { v } else { f32::NAN }));
            }
        }
        vec![Value::f32([rows, out.len() / rows], out)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("classes", value(self.classes)), ("inner", value(self.inner))])
    }
}
