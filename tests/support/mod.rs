//! What the integration tests share.

pub(crate) mod invariants;
pub(crate) mod peers;
pub(crate) mod random;
pub(crate) mod tls;

#[cfg(feature = "cli")]
pub(crate) mod baselines;
#[cfg(feature = "cli")]
pub(crate) mod check;
#[cfg(feature = "cli")]
pub(crate) mod fixtures;
#[cfg(feature = "cli")]
pub(crate) mod pcap;
#[cfg(all(feature = "cli", feature = "otel"))]
pub(crate) mod tools;
