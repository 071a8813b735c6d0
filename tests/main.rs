//! The integration tests: one binary, so that the library and its dependencies are linked once.
//!
//! A new file in this folder has to be a module here.

#![allow(
    clippy::disallowed_methods,
    reason = "tests wait for other programs, and compare with openssl now"
)]
#![cfg_attr(
    not(feature = "validate"),
    allow(
        dead_code,
        reason = "some helpers are those of tests that need a feature"
    )
)]

#[cfg(feature = "validate")]
mod certificates;
mod layers;
#[cfg(feature = "files")]
mod library;
mod scripted;
mod support;

#[cfg(feature = "cli")]
mod captures;
#[cfg(feature = "cli")]
mod cbom;
#[cfg(feature = "cli")]
mod check;
#[cfg(feature = "cli")]
mod check_reports;
#[cfg(feature = "cli")]
mod cli;
#[cfg(feature = "cli")]
mod client_hello;
#[cfg(all(feature = "cli", feature = "otel"))]
mod docs;
#[cfg(feature = "cli")]
mod dtls;
#[cfg(feature = "cli")]
mod keys;
#[cfg(feature = "cli")]
mod ladder;
#[cfg(feature = "cli")]
mod logins;
#[cfg(feature = "cli")]
mod memory;
#[cfg(all(feature = "cli", feature = "quic"))]
mod quic;
#[cfg(feature = "cli")]
mod report;
#[cfg(feature = "cli")]
mod robustness;
#[cfg(feature = "cli")]
mod selection;
#[cfg(feature = "cli")]
mod show;
#[cfg(feature = "cli")]
mod targets;
#[cfg(feature = "cli")]
mod terminal;
#[cfg(feature = "cli")]
mod transform;

#[cfg(all(feature = "cli", feature = "otel"))]
mod assets;
#[cfg(all(feature = "cli", feature = "otel"))]
mod export;
#[cfg(all(feature = "cli", feature = "otel"))]
mod telemetry_registry;

#[cfg(all(feature = "cli", live_capture))]
mod live;
#[cfg(all(feature = "cli", feature = "otel", live_capture))]
mod monitoring;
#[cfg(all(feature = "cli", live_capture))]
mod run;

/// Cargo finds tests by itself only if each file is a binary of its own.
#[test]
fn every_file_is_a_module() {
    let main = include_str!("main.rs");
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let is_code = path.extension().is_some_and(|extension| extension == "rs")
            || path.join("mod.rs").is_file();
        if is_code && name != "main" {
            let module = format!("\nmod {name};\n");
            assert!(main.contains(&module), "tests/{name} is not a module");
        }
    }
}
