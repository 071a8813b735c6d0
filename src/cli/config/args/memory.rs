//! How much memory a run may take: a flag of every command that takes packets.

use tlscope::memory::MemoryLimit;

use super::size::size;

/// The limit on memory.
#[derive(Debug, clap::Args)]
pub(crate) struct MemoryArgs {
    /// Memory that the process may take, as in `256M` [default: half of the machine's, at most 512M]
    ///
    /// In a control group with less memory, as in a container or a systemd unit with
    /// `MemoryMax`, the default is half of that. At the limit, tlscope first gives up the
    /// oldest handshakes without an answer, and counts them. An
    /// open handshake takes 3 to 6 KB, a connection 300 bytes; docs/limits.md has the
    /// figures. The minimum is 96M.
    #[arg(
        long, value_name = "SIZE", value_parser = memory_limit,
        help_heading = "Analysis", env = "TLSCOPE_MEMORY_LIMIT"
    )]
    pub(crate) memory_limit: Option<MemoryLimit>,
}

/// Parses a limit on memory.
fn memory_limit(text: &str) -> Result<MemoryLimit, String> {
    let bytes =
        usize::try_from(size(text)?).map_err(|_| "more memory than this system has".to_owned())?;
    let limit = MemoryLimit::new(bytes);
    if limit.bytes() > bytes {
        let least = limit.bytes() >> 20;
        return Err(format!("tlscope needs at least {least}M"));
    }
    Ok(limit)
}
