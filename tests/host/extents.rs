//! What an op's inputs may be: of every op and kernel, which extents of which inputs may be more or less than a case has them, all
//! others left as they are. What an op lets pass that does not fit, its shader reads past the end of.

use std::collections::BTreeMap;

use maskrcnn::engine::kernels::REGISTRY;
use maskrcnn::engine::ops::{Info, check};
use maskrcnn::engine::tensor::{DType, Shape};

/// `=` neither one more nor one less is taken, `+` one more is, `-` one less is; with `?` in some cases, by their settings and sizes.
/// Inputs of one name are told together.
const TAKEN: &str = "
anchors: levels +-,=
append_boxes: boxes =,+-,=; live =,=; more =,+-,=; live of more =
best_overlaps: truths =,+-,=; truth counts =; boxes =,+-,=
binary_loss: logits =,=,=; targets =,=,=; live +?-,+?
box_loss: deltas =,=; targets =,=; labels =,=; live +-,+
box_targets: boxes =,=,=; matches =,=; truths =,+-,=; live +?-,+?
class_decode: probabilities =,+?-?; deltas =,=; rois =,=,+-; live =; frames =,=
class_loss: logits =,+-; labels =,=; live +?,+?
collect: indices =,+,+-; boxes =,+-,+-,=
conv2d: x +?-?,+?-?,+?-?,=; weight =,+?-?,+?-?,=; bias =; residual =,+?-,+?-,=; live -
deconv2d: x +?-?,+-,+-,=; weight =,+-,+-,=; bias =; live -
deconv_predict: x =,+-,+-,=; weight =,=,=,=; bias =; last weight =,=; last bias =; labels =; live +?-
depthwise_conv2d: x +-,+-,+-,=; weight =,+-,+?-,=; bias =
elementwise: x +?-?,+?-?,+?-?,+?-?; bias =; other =,=,=; factors =,=
gather_groups: indices =,=,+-; boxes =,=,+-,=
gather_pixels: source +-; places =
gather_rows: x =,+-,+-; indices =,+-; live =,=
group_norm: x +?-?,+?-?,+?-?,=; scale =; shift =; residual =,=,=,=; live +?-
grouped_conv2d: x +?-?,+?-?,+?-?,=; weight =,+?-?,+?-?,=; bias =; residual =,=,=,=; live +?-
instance_ids: places =,=,=; bits =,+-; scores =,=,=; header =,=
label_targets: matches =,+-; labels =,+-; live +?-,+?
linear: x +?-?,=; weight =,=; bias =; live +?-
live_grids: live +-; table +-,=
mask_predict: x =,+-,+-,=; weight =,=; bias =; labels =; live +?-
mask_targets: places =,+-,=; bits +-; rois =,=,=; matches =,=; live +?-; frames =,=
match_boxes: truths =,+?-?,=; truth counts =; boxes =,+-,=; best =,=; live =,=
max_pool: x +-,+-,+-,+-
mean_pool: x +?-?,+-,+-,+-; live +?-
move_ends: boxes =,+-,+?-?,=; frames =,=
nms: boxes =,=,=; scores =,=; counts =
nms_pairs: boxes +-,+-,=; counts +?-?
nms_sweep: pairs =,=,=; scores =,=; counts =
paste: masks =,=,=; places =,=,=; live =; boxes =,=,=
paste_layout: rois =,+-,=; live =; frames =,=
predict: x -?,+?-?,+?-?,=; weight =,=; bias =; live +-
preprocess: bytes +-; frames =,=; neighbours =,=,+-?; table =,=
put_rows: x +?-?,+-,+-
roi_align: rois =,+-,=; live =; levels =,+?-,+?-?,=
roi_crop: rois =,+-,=; live =; levels =,+?-,+?-?,=
roi_pool: rois =,+-,=; live =; levels =,+?-,+?-?,=
roof_copy: x =
roof_fma: x =
roof_matrix: x +-,+?-?,+?-?; factors =,=,=
rpn_decode: values =,=,=; indices =,=,=; deltas =,+-,=; levels +?-?,=; frames =,=
samples: indices =,=,+-; counts =,=
sampling_keys: matches =,+-; seeds =,=
soft_nms: boxes =,=,=; scores =,=; counts =
softmax: x +?-?,+-; live +?-
split_product: x +?-?,+?-?,+?-?,=; weight +-,+?-?,+?-?,=; live +-
split_sum: x +-,=,=; bias =; live +?-; residual =,=,=,=
take_class: x =,+?-?,+-,=; labels +?; live +-,+
take_rows: x =,+-?,+-; live =,=
tint: ids +?-,=; source +; labels +,+-; colours +-
topk: x +-,+-; segments +-,=
topk_join: values =,=,=,=; indices =,=,=,=
topk_merge: pairs =,=,=,=; counts =,=
topk_select: x +-,+-; segments +-,=
topk_sort: pairs =,=,=,=; counts =,=
topk_tiles: x +-,+-; segments +-,=
warp: bytes +-; places +-,=,=; table =,=
winograd_conv2d: x +?-?,+?-?,+?-?,=; weight =,=,=,=; bias =; residual =,=,=,=; live +?-
winograd_gemm: v =,+-?,=; weight =,=,=,=; live +?-
winograd_in: x =,+?-,+?-?,=; live +-
winograd_matrix: x +?-?,+?-?,+?-?,=; weight =,=,=,=; bias =; residual =,=,=,=; live +?-
winograd_out: m =,+-?,=; bias =; residual =,=,=,=; live +-
";

/// Whether one more, and one less, was refused and taken of an extent.
#[derive(Default)]
struct Seen {
    more: [bool; 2],
    less: [bool; 2],
}

impl Seen {
    fn told(&self) -> String {
        let one = |seen: &[bool; 2], sign: &str| match seen {
            [_, false] => String::new(),
            [false, true] => sign.to_string(),
            [true, true] => format!("{sign}?"),
        };
        let told = one(&self.more, "+") + &one(&self.less, "-");
        if told.is_empty() { "=".to_string() } else { told }
    }
}

fn with_extent(info: &Info, axis: usize, extent: usize) -> Info {
    let mut dims: Vec<usize> = info.shape.dims().iter().map(|&d| d as usize).collect();
    dims[axis] = extent;
    Info { shape: Shape::new(&dims), ..*info }
}

#[test]
fn ops_take_what_fits_together() {
    // By op: its inputs by name, and what was seen of each extent of theirs.
    let mut table: BTreeMap<&str, Vec<(&str, Vec<Seen>)>> = BTreeMap::new();
    for case in REGISTRY.iter().flat_map(|entry| (entry.cases)()) {
        let inputs: Vec<Info> = case.inputs.iter().map(|v| Info { shape: v.shape, dtype: v.dtype() }).collect();
        let label = format!("{}, {}", case.kernel.name(), case.name);
        check(case.kernel.as_ref(), &inputs).unwrap_or_else(|e| panic!("{label}: {e}"));
        let taken = |t: usize, other: Info| {
            let mut inputs = inputs.clone();
            inputs[t] = other;
            check(case.kernel.as_ref(), &inputs).is_ok()
        };
        assert!(check(case.kernel.as_ref(), &inputs[1..]).is_err(), "{label}: an input less");
        let rows = table.entry(case.kernel.name()).or_default();
        for (t, operand) in case.kernel.operands().iter().enumerate() {
            let info = &inputs[t];
            let other = if info.dtype == DType::F32 { DType::U32 } else { DType::F32 };
            assert!(!taken(t, Info { dtype: other, ..*info }), "{label}: {} of another type", operand.name);
            let at = rows.iter().position(|row| row.0 == operand.name).unwrap_or_else(|| {
                rows.push((operand.name, Vec::new()));
                rows.len() - 1
            });
            let axes = &mut rows[at].1;
            axes.resize_with(axes.len().max(info.shape.rank()), Seen::default);
            for (axis, seen) in axes.iter_mut().enumerate().take(info.shape.rank()) {
                let extent = info.shape.dim(axis);
                seen.more[usize::from(taken(t, with_extent(info, axis, extent + 1)))] = true;
                if extent > 1 {
                    seen.less[usize::from(taken(t, with_extent(info, axis, extent - 1)))] = true;
                }
                assert!(!taken(t, with_extent(info, axis, 0)), "{label}: {} of nothing", operand.name);
            }
        }
    }
    let told = table.iter().map(|(op, rows)| {
        let of_input = |(name, axes): &(&str, Vec<Seen>)| {
            let axes: Vec<String> = axes.iter().map(Seen::told).collect();
            format!("{name} {}", axes.join(","))
        };
        format!("{op}: {}\n", rows.iter().map(of_input).collect::<Vec<_>>().join("; "))
    });
    let (told, wanted) = (told.collect::<String>(), TAKEN.trim_start());
    let other: Vec<_> = told.lines().filter(|line| !wanted.lines().any(|want| want == *line)).collect();
    assert!(told == wanted, "these take others than the table has:\n{}\nall: \n{told}", other.join("\n"));
}
