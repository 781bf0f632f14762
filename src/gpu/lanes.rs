//! The subgroups of shaders that use cooperative matrices, where a device has several sizes.
//!
//! Nobody says beforehand which one a driver takes: RADV compiles such shaders for 64 lanes and most others for 32 or 64 as
//! it sees fit. A block is cut into shares by it, so a small shader is asked once, when the device is opened.

use crate::target::Matrix;

/// Threads of the shader: several subgroups of any size.
const THREADS: u32 = 256;

/// The shader that says how many lanes its subgroups have. What it multiplies matters to nobody, but is written out, so that no
/// compiler leaves the matrices away.
fn text(Matrix { size, .. }: Matrix) -> String {
    format!(
        "enable f16;
enable wgpu_cooperative_matrix;
@group(0) @binding(0) var<storage, read_write> lanes: array<u32, 2>;
var<workgroup> factors: array<f16, 256>;
var<workgroup> sums: array<f32, 256>;
@compute @workgroup_size({THREADS})
fn main(@builtin(local_invocation_index) t: u32, @builtin(num_subgroups) subgroups: u32) {{
    factors[t] = f16(t % 4u);
    workgroupBarrier();
    let a = coopLoadT<coop_mat{size}x{size}<f16, A>>(&factors[0], {size}u);
    let b = coopLoad<coop_mat{size}x{size}<f16, B>>(&factors[0], {size}u);
    let c = coopMultiplyAdd(a, b, coop_mat{size}x{size}<f32, C>());
    coopStoreT(c, &sums[0], {size}u);
    workgroupBarrier();
    if t == 0u {{
        lanes[0] = {THREADS}u / subgroups;
        lanes[1] = u32(sums[0]);
    }}
}}
"
    )
}

/// The lanes of a subgroup of a shader that uses such matrices; none where the device does not answer.
pub(super) fn of_matrices(device: &wgpu::Device, queue: &wgpu::Queue, matrix: Matrix) -> Option<u32> {
    let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("lanes"),
        source: wgpu::ShaderSource::Wgsl(text(matrix).into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some("lanes"),
        layout: None,
        module: &module,
        entry_point: Some("main"),
        compilation_options: Default::default(),
        cache: None,
    });
    if let Some(e) = pollster::block_on(scope.pop()) {
        log::warn!("the lanes of a subgroup that multiplies matrices are not known: {e}");
        return None;
    }
    let buffer = |usage| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("lanes"),
            size: 16,
            usage,
            mapped_at_creation: false,
        })
    };
    let answer = buffer(wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC);
    let back = buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
    let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("lanes"),
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[wgpu::BindGroupEntry { binding: 0, resource: answer.as_entire_binding() }],
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &bindings, &[]);
        pass.dispatch_workgroups(1, 1, 1);
    }
    encoder.copy_buffer_to_buffer(&answer, 0, &back, 0, 16);
    queue.submit([encoder.finish()]);
    let (tx, mapped) = std::sync::mpsc::channel();
    back.slice(..).map_async(wgpu::MapMode::Read, move |r| drop(tx.send(r)));
    device.poll(wgpu::PollType::wait_indefinitely()).ok()?;
    mapped.recv().ok()?.ok()?;
    let bytes = back.get_mapped_range(..).ok()?;
    let lanes = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?);
    lanes.is_power_of_two().then_some(lanes)
}
