//! The command-line program: see `tlscope --help`, or man/tlscope.1.

mod cli;

/// Each handshake makes and drops some thirty small objects: this takes a tenth of the time off the whole run.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
