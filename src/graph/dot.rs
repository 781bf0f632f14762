//! A plan as a drawing, in the language of Graphviz.

use std::fmt::Write as _;

use super::{Plan, Source, TensorDef};

impl Plan {
    /// The plan as a digraph for Graphviz's `dot`: ops are boxes, grouped by stage; tensors are edges that tell their
    /// shapes; what is copied in and what is kept are ellipses. Constants are left out.
    pub fn dot(&self) -> String {
        let mut out = String::from(
            "digraph plan {\n  rankdir=TB;\n  node [shape=box, fontname=\"sans-serif\", fontsize=11];\n  \
             edge [fontname=\"sans-serif\", fontsize=9];\n",
        );
        for (i, (stage, steps)) in self.stages().into_iter().enumerate() {
            put(&mut out, format!("  subgraph cluster_{i} {{\n    label={};", quoted(stage)));
            for step in steps {
                put(&mut out, format!("    op{step} [label={}];", quoted(&self.step_label(step))));
            }
            put(&mut out, "  }".into());
        }
        for (id, tensor) in self.graph.tensors.iter().enumerate() {
            self.draw(&mut out, id, tensor);
        }
        out.push_str("}\n");
        out
    }

    /// Steps by stage, stages in the order of their first step.
    fn stages(&self) -> Vec<(&'static str, Vec<usize>)> {
        let mut out: Vec<(&str, Vec<usize>)> = Vec::new();
        for (i, step) in self.steps.iter().enumerate() {
            let stage = self.graph.nodes[step.op].stage;
            match out.iter_mut().find(|s| s.0 == stage) {
                Some((_, steps)) => steps.push(i),
                None => out.push((stage, vec![i])),
            }
        }
        out
    }

    fn step_label(&self, i: usize) -> String {
        let step = &self.steps[i];
        let op = &self.graph.nodes[step.op];
        let (kernel, variant, gflop) = (op.op.name(), step.variant.name, step.cost.flops / 1e9);
        format!("{i}: {}\n{kernel}, {variant}\n{gflop:.3} GFLOP", op.label)
    }

    /// A tensor's edges, and its own node where it enters or leaves.
    fn draw(&self, out: &mut String, id: usize, tensor: &TensorDef) {
        if matches!(tensor.source, Source::Constant(_)) || self.lifetimes[id].is_none() {
            return;
        }
        let ops = || self.steps.iter().enumerate().map(|(i, s)| (i, &self.graph.nodes[s.op]));
        let writers: Vec<usize> = ops().filter(|(_, o)| o.outputs.iter().any(|t| t.id == id)).map(|o| o.0).collect();
        let readers: Vec<usize> = ops().filter(|(_, o)| o.inputs.iter().any(|t| t.id == id)).map(|o| o.0).collect();
        let shape = quoted(&tensor.info.shape.to_string());
        let input = matches!(tensor.source, Source::Input);
        if input || tensor.keep {
            put(out, format!("  t{id} [shape=ellipse, label={}];", quoted(&tensor.label)));
        }
        if input {
            readers.iter().for_each(|r| put(out, format!("  t{id} -> op{r} [label={shape}];")));
        }
        for &w in &writers {
            // Several ops may each write a part; one that comes after a reader is not what that one reads.
            for r in readers.iter().filter(|&&r| r > w) {
                put(out, format!("  op{w} -> op{r} [label={shape}];"));
            }
            if tensor.keep {
                put(out, format!("  op{w} -> t{id} [label={shape}];"));
            }
        }
    }
}

fn put(out: &mut String, line: String) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{line}");
}

/// A string of the language. A label may hold anything.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;
    use crate::ops::Info;
    use crate::ops::max_pool::MaxPool;
    use crate::target::Target;
    use crate::tensor::{Shape, Value};
    use std::sync::Arc;

    const POOL: MaxPool = MaxPool { kernel: 1, stride: 1, pad: 0, after: 0 };

    fn drawn(g: Graph) -> String {
        Plan::new(g, &Target::MINIMUM, &[]).unwrap().dot()
    }

    #[test]
    fn ops_are_nodes_in_their_stage_and_tensors_edges() {
        let mut g = Graph::new();
        let [weight, bias] =
            [Shape::from([4, 1, 1, 4]), Shape::from([4])].map(|s| Arc::new(Value::f32(s, vec![0.0; s.len()])));
        g.stage("first");
        let x = g.input("picture", Info::f32([1, 8, 8, 4]));
        let a = g.op1("a", POOL, &[x]).unwrap();
        g.stage("second");
        let b = g.op1("b", POOL, &[a]).unwrap();
        g.stage("first");
        let c = g.conv2d("c", a, &weight, &bias).residual(b).done().unwrap();
        g.keep(c);
        let text = drawn(g);
        for line in [
            "    label=\"first\";\n    op0 [label=\"0: a\\nmax_pool, quads\\n0.000 GFLOP\"];\n    op2 ",
            "    label=\"second\";\n    op1 ",
            "  t0 [shape=ellipse, label=\"picture\"];\n  t0 -> op0 [label=\"[1×8×8×4]\"];\n",
            "  op0 -> op1 [label=\"[1×8×8×4]\"];\n  op0 -> op2 [label=\"[1×8×8×4]\"];\n",
            "  op1 -> op2 ",
            &format!("  op2 -> t{} [label=", c.id),
        ] {
            assert!(text.contains(line), "no `{line}` in\n{text}");
        }
        assert_eq!(text.matches("subgraph").count(), 2, "{text}");
        assert_eq!(text.matches("->").count(), 5, "{text}");
    }

    #[test]
    fn a_tensor_of_parts_comes_from_all_its_writers() {
        let mut g = Graph::new();
        let x = g.input("x", Info::f32([1, 8, 8, 4]));
        let whole = g.shared_output("whole", [1, 8, 8, 4]);
        g.op_into("left", POOL, &[x], &[whole]).unwrap();
        g.op_into("right", POOL, &[x], &[whole]).unwrap();
        g.op1("after", POOL, &[whole]).unwrap();
        let text = drawn(g);
        assert!(text.contains("op0 -> op2") && text.contains("op1 -> op2"), "{text}");
    }

    #[test]
    fn labels_cannot_leave_their_quotes() {
        assert_eq!(quoted("a\"]; x [b\\\n\u{7}é"), "\"a\\\"]; x [b\\\\\\n\u{fffd}é\"");
        let mut g = Graph::new();
        let x = g.input("in\"put", Info::f32([1, 8, 8, 4]));
        g.op1("}\";", POOL, &[x]).unwrap();
        let text = drawn(g);
        assert!(text.contains("label=\"in\\\"put\"") && text.contains("label=\"0: }\\\";\\n"), "{text}");
    }

    #[test]
    fn nothing_draws_as_an_empty_graph() {
        let text = drawn(Graph::new());
        assert!(text.starts_with("digraph plan {\n") && text.ends_with("}\n") && !text.contains("op0"), "{text}");
    }
}
