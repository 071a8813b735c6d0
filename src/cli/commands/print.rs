//! Commands that print one text and do nothing else: `print`, `schema` and `completions`.

use std::io::{self, Write, stdout};
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::{Shell, generate};
use tlscope::check::policy_schema;
use tlscope::sink::machine::schema::json_schema;

use crate::cli::config::args::{Args, Asset};
use crate::cli::error::CliError;
use crate::cli::output::closed_pipe_is_success;

/// `tlscope print`: a file that is shipped inside the binary.
pub(super) fn asset(asset: Asset) -> Result<ExitCode, CliError> {
    let text = match asset {
        Asset::AlertRules => include_str!("../../assets/alert-rules.yaml"),
        Asset::Dashboard => include_str!("../../assets/dashboard.json"),
        Asset::CollectorConfig => include_str!("../../assets/collector-config.yaml"),
        Asset::SystemdUnit => include_str!("../../assets/tlscope.service"),
        Asset::Kubernetes => include_str!("../../assets/kubernetes.yaml"),
        Asset::Clickhouse => include_str!("../../assets/clickhouse.sql"),
        Asset::ErrorTypes => include_str!("../../../docs/errors.md"),
    };
    print_text(|output| output.write_all(text.as_bytes()))
}

/// `tlscope schema`: the JSON Schema of the JSON lines, or of policies.
pub(super) fn schema(of_policy: bool) -> Result<ExitCode, CliError> {
    let schema = match of_policy {
        true => policy_schema(),
        false => json_schema(),
    };
    print_text(|output| {
        serde_json::to_writer_pretty(&mut *output, &schema)?;
        writeln!(output)
    })
}

/// `tlscope completions`: a completion script for a shell.
pub(super) fn completions(shell: Shell) -> Result<ExitCode, CliError> {
    print_text(|output| {
        generate(shell, &mut Args::command(), "tlscope", output);
        Ok(())
    })
}

/// Writes a whole text to standard output.
pub(super) fn print_text(
    write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
) -> Result<ExitCode, CliError> {
    let mut text = Vec::new();
    write(&mut text)
        .and_then(|()| stdout().write_all(&text))
        .and_then(|()| stdout().flush())
        .or_else(closed_pipe_is_success)?;
    Ok(ExitCode::SUCCESS)
}
