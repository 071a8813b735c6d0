//! Names the condition that most of the live code depends on, `cfg(live_capture)`, and says what to install if libpcap
//! is missing.
//!
//! Without dependencies of its own: the script is then compiled at once, and not after the crates that it would need.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=LIBPCAP_LIBDIR");
    println!("cargo::rustc-check-cfg=cfg(live_capture)");
    if env::var_os("CARGO_FEATURE_LIVE").is_none() {
        return;
    }
    // Feature `live` brings packet filters to every system, but interfaces and the sandbox to Linux only.
    let target_os = env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if target_os == "linux" {
        println!("cargo::rustc-cfg=live_capture");
    }
    // docs.rs links nothing. On Windows the library is Npcap's, under another name.
    let is_linked = env::var_os("DOCS_RS").is_none() && target_os != "windows";
    if !is_linked || links_with_libpcap(None) {
        return;
    }
    match runtime_library() {
        Some(folder) => println!("cargo::rustc-link-search=native={}", folder.display()),
        None => {
            for line in MISSING_LIBPCAP.lines() {
                println!("cargo::error={line}");
            }
        }
    }
}

/// A folder in which the linker finds the libpcap of programs such as tcpdump, if it works; its development files are missing.
///
/// Those are the C headers, which Rust does not read, and the name `libpcap.so`, under which a copy is put here.
fn runtime_library() -> Option<PathBuf> {
    /// Debian and its derivatives, and everybody else.
    const NAMES: [&str; 2] = ["libpcap.so.0.8", "libpcap.so.1"];

    let folder = PathBuf::from(env::var_os("OUT_DIR")?).join("libpcap");
    let compiler = env::var_os("RUSTC_LINKER").unwrap_or_else(|| OsString::from("cc"));
    NAMES.iter().find_map(|name| {
        let mut compiler = Command::new(&compiler);
        let output = compiler
            .arg(format!("-print-file-name={name}"))
            .output()
            .ok()?;
        let library = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim_end());
        // A library that is not found is printed as its bare name.
        let library = library.is_absolute().then_some(library)?;
        let _ = fs::remove_dir_all(&folder); // of an earlier build
        fs::create_dir_all(&folder).ok()?;
        fs::copy(library, folder.join("libpcap.so")).ok()?;
        links_with_libpcap(Some(&folder)).then(|| folder.clone())
    })
}

/// Whether a program that names libpcap can be linked, with the compiler, the target and the flags of this build, and with
/// libraries in `folder`.
///
/// True as well if that cannot be found out: the build itself then has the last word.
fn links_with_libpcap(folder: Option<&Path>) -> bool {
    let (Some(rustc), Some(out_dir)) = (env::var_os("RUSTC"), env::var_os("OUT_DIR")) else {
        return true;
    };
    let out_dir = PathBuf::from(out_dir);
    let source = out_dir.join("libpcap_probe.rs");
    if fs::write(&source, "fn main() {}\n").is_err() {
        return true;
    }
    let mut rustc = Command::new(rustc);
    rustc
        .args(["-lpcap", "-o"])
        .arg(out_dir.join("libpcap_probe"))
        .arg(source);
    let linker = env::var_os("RUSTC_LINKER");
    let (target, host) = (env::var_os("TARGET"), env::var_os("HOST"));
    if let Some(target) = target.filter(|target| host.as_ref() != Some(target)) {
        if linker.is_none() {
            return true; // rustc may choose one that does not know the target
        }
        rustc.arg("--target").arg(target);
    }
    if let Some(linker) = linker {
        rustc.arg("-C").arg(concat("linker=", &linker));
    }
    let given = env::var_os("LIBPCAP_LIBDIR").map(PathBuf::from);
    for folder in folder.into_iter().chain(given.as_deref()) {
        rustc.arg("-L").arg(folder);
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    rustc.args(flags.split('\x1f').filter(|flag| !flag.is_empty()));
    rustc
        .output()
        .map_or(true, |output| output.status.success())
}

fn concat(key: &str, value: &OsStr) -> OsString {
    let mut option = OsString::from(key);
    option.push(value);
    option
}

/// One line for each system; cargo prints each as an error of its own.
const MISSING_LIBPCAP: &str = "\
libpcap was not found: the feature `live` needs it to capture and to filter packets
Debian, Ubuntu:  apt-get install libpcap-dev
Fedora, RHEL:    dnf install libpcap-devel
Alpine:          apk add libpcap-dev
macOS:           xcode-select --install
elsewhere:       set LIBPCAP_LIBDIR to the folder of libpcap.so or libpcap.a
without it:      cargo install tlscope --no-default-features --features cli,otel";
