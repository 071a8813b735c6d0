//! Which packets and handshakes are used: flags of every command that takes packets.

use std::path::PathBuf;

use super::{SelectionArgs, Threads, TunnelArgs};

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

    /// Worker threads: a number, or `auto`
    ///
    /// The output is the same for any number. At most 16 are used. `auto` uses one for each
    /// core and at most 4 to read files, and one to watch interfaces. One thread takes the
    /// least memory and processor time, more take less time.
    #[arg(
        long,
        value_name = "N",
        default_value = "auto",
        help_heading = "Input",
        env = "TLSCOPE_THREADS"
    )]
    pub(crate) threads: Threads,
}
