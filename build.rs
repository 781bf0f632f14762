//! Says whether the default model is here: the registry's package has no room for it (CONTRIBUTING.md).

fn main() {
    println!("cargo::rustc-check-cfg=cfg(model_left_out)");
    println!("cargo::rerun-if-changed=build.rs");
    let model = "assets/nuclei.safetensors";
    if std::path::Path::new(model).exists() {
        println!("cargo::rerun-if-changed={model}");
    } else {
        println!("cargo::rustc-cfg=model_left_out");
    }
}
