//! `tlscope print`: files that go with the program, so that an installed binary carries them.

use std::io::{self, Write};

use crate::cli::config::args::Asset;

/// Writes what was asked for, as it is shipped.
pub(super) fn print(asset: Asset, output: &mut dyn Write) -> io::Result<()> {
    output.write_all(text(asset).as_bytes())
}

const fn text(asset: Asset) -> &'static str {
    match asset {
        Asset::AlertRules => include_str!("../../assets/alert-rules.yaml"),
        Asset::Dashboard => include_str!("../../assets/dashboard.json"),
        Asset::CollectorConfig => include_str!("../../assets/collector-config.yaml"),
        Asset::SystemdUnit => include_str!("../../assets/tlscope.service"),
    }
}
