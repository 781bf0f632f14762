//! What the shared library is called by the programs that it is linked to, and that it stays loaded.

use std::env;

/// MASKRCNN_ABI_VERSION: programs that were linked to one do not get another.
const ABI: u32 = 1;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=MASKRCNN_C_ABI={ABI}");
    match env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("macos") => println!("cargo::rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libmaskrcnn.{ABI}.dylib"),
        Ok("windows") => {}
        // Drivers' and our own threads run on: the code must not go away under them.
        _ => println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libmaskrcnn.so.{ABI},-z,nodelete"),
    }
}
