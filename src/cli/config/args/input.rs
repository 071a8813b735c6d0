//! Which packets and handshakes are used: flags of every command that takes packets.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use super::{SelectionArgs, defaults};

/// Key logs, filters and threads.
#[derive(Debug, clap::Args)]
pub(crate) struct InputArgs {
    /// Use only packets that match a filter
    ///
    /// In the language of tcpdump; see pcap-filter(7). A filter sees tagged packets
    /// only if it asks for them: `tcp port 443 or (vlan and tcp port 443)`.
    #[arg(
        short,
        long,
        value_name = "BPF",
        help_heading = "Selection",
        env = "TLSCOPE_FILTER"
    )]
    pub(crate) filter: Option<String>,

    /// Decrypt handshakes with the secrets in a key log
    ///
    /// In the format that browsers and TLS libraries write where SSLKEYLOGFILE says;
    /// can be given more than once. Certificates and alerts that are encrypted come
    /// to light, and verdicts that were inferred become exact. Application data is
    /// not decrypted. Secrets inside a pcapng are used without being asked for.
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Input",
        env = "TLSCOPE_KEYLOG"
    )]
    pub(crate) keylog: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) selection: SelectionArgs,

    /// Threads that take handshakes apart
    ///
    /// The output is the same for any number. More than 16 are of no use.
    #[arg(
        long, value_name = "N", default_value_t = NonZeroUsize::new(defaults::THREADS).unwrap_or(NonZeroUsize::MIN),
        help_heading = "Input", env = "TLSCOPE_THREADS"
    )]
    pub(crate) threads: NonZeroUsize,
}
