//! The command-line program: see `tlscope --help`, or man/tlscope.1.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
