//! `maskrcnn devices`

use std::process::ExitCode;

/// Prints every adapter with what it can do.
pub(super) fn run() -> ExitCode {
    let list = maskrcnn::engine::gpu::adapters();
    if list.is_empty() {
        note!(
            "error: no usable GPU: no Vulkan, Metal or DX12 driver was found; install the graphics driver, or a \
             software one (Debian, Ubuntu: apt-get install mesa-vulkan-drivers)"
        );
        return ExitCode::FAILURE;
    }
    let yes = |b: bool| if b { "yes" } else { "no" };
    for (i, a) in list.iter().enumerate() {
        let default = if i == 0 { "  (the default)" } else { "" };
        let subgroups = match a.subgroups {
            None => "none".into(),
            Some((a, b)) if a == b => format!("of {a}"),
            Some((a, b)) => format!("of {a} to {b}"),
        };
        say!("{i}: {}{default}", a.name);
        say!("   {} through {}, driver {}", a.kind, a.backend, a.driver);
        if a.name.contains("512 bits") && super::vectors::widened() {
            say!(
                "   vectors of 512 bits, as this program asked for: LP_NATIVE_VECTOR_WIDTH=256 is the driver's own choice"
            );
        }
        say!(
            "   subgroups {subgroups}, f16 {}, time stamps {}",
            yes(a.target.can.f16),
            yes(a.clock == maskrcnn::engine::gpu::Clock::Stamps)
        );
        let matrices: Vec<String> = a.target.can.matrices.iter().map(|m| m.to_string()).collect();
        say!("   cooperative matrices: {}", if matrices.is_empty() { "none".into() } else { matrices.join(", ") });
        say!(
            "   {} MiB a binding, {} KiB of workgroup memory, {} invocations a workgroup",
            a.max_binding >> 20,
            a.target.can.workgroup_bytes >> 10,
            a.target.can.max_invocations
        );
    }
    ExitCode::SUCCESS
}
