//! Which packets and handshakes are used: flags of every command that takes packets.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use super::{SelectionArgs, TunnelArgs, defaults};

/// Key logs, filters and threads.
#[derive(Debug, clap::Args)]
pub(crate) struct InputArgs {
    /// Use only packets that match a filter
    ///
    /// Uses tcpdump's filter syntax; see pcap-filter(7). A filter matches packets with a
    /// VLAN tag only if it names them: `tcp port 443 or (vlan and tcp port 443)`.
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
    /// Browsers and TLS libraries write this file if you set SSLKEYLOGFILE. You can repeat
    /// this option. With the secrets, tlscope reads encrypted certificates and alerts
    /// instead of inferring the outcome. It does not decrypt application data. It always
    /// uses secrets inside a pcapng.
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Input",
        env = "TLSCOPE_KEYLOG"
    )]
    pub(crate) keylog: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) tunnels: TunnelArgs,

    #[command(flatten)]
    pub(crate) selection: SelectionArgs,

    /// Worker threads
    ///
    /// The output is the same for any number. At most 16 are used.
    #[arg(
        long, value_name = "N", default_value_t = NonZeroUsize::new(defaults::THREADS).unwrap_or(NonZeroUsize::MIN),
        help_heading = "Input", env = "TLSCOPE_THREADS"
    )]
    pub(crate) threads: NonZeroUsize,
}
