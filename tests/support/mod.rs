//! What the integration tests share.

pub(crate) mod invariants;
pub(crate) mod needs;
pub(crate) mod peers;
pub(crate) mod random;
pub(crate) mod scratch;
pub(crate) mod tls;

#[cfg(feature = "cli")]
pub(crate) mod baselines;
#[cfg(feature = "cli")]
pub(crate) mod check;
#[cfg(feature = "cli")]
pub(crate) mod conversations;
#[cfg(feature = "cli")]
pub(crate) mod datagrams;
#[cfg(feature = "cli")]
pub(crate) mod fixtures;
#[cfg(feature = "cli")]
pub(crate) mod flood;
#[cfg(feature = "cli")]
pub(crate) mod harness;
#[cfg(all(feature = "cli", feature = "otel"))]
pub(crate) mod http;
#[cfg(all(feature = "cli", live_capture))]
pub(crate) mod live;
#[cfg(feature = "cli")]
pub(crate) mod pcap;
#[cfg(all(feature = "cli", live_capture))]
pub(crate) mod process;
#[cfg(feature = "cli")]
pub(crate) mod program;
#[cfg(feature = "cli")]
pub(crate) mod reports;
#[cfg(feature = "cli")]
pub(crate) mod seeds;
