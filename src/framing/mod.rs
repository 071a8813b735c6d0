//! What carries TLS, cut into the items that a handshake is made of.

pub(crate) mod sealed;
pub(crate) mod tls;
pub(crate) mod waiting;
