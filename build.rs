//! Names the condition that most of the live code depends on: `cfg(live_capture)`.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(live_capture)");
    // Feature `live` brings packet filters to every system, but interfaces and the sandbox to Linux only.
    let has_feature = env::var_os("CARGO_FEATURE_LIVE").is_some();
    let is_linux = env::var_os("CARGO_CFG_TARGET_OS").is_some_and(|os| os == "linux");
    if has_feature && is_linux {
        println!("cargo::rustc-cfg=live_capture");
    }
}
