//! Connections that did not become TLS.

use std::sync::Arc;

use crate::flow::{Endpoint, IpProtocol, community_id};
use crate::time::Timestamp;

use super::{ErrorType, Proxy, StartTls};

/// A connection to a TLS port that did not become TLS, or on which TLS was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotTls {
    /// Packet time of the first packet of the connection.
    pub time: Timestamp,
    /// The file or interface that its packets came from, if it is known: that of the first packet after the SYN.
    pub source: Option<Arc<str>>,
    /// Identifies the connection within a run, as [`Handshake::flow_id`](super::Handshake::flow_id) does.
    pub flow_id: u64,
    /// What came instead of TLS.
    pub kind: NotTlsKind,
    /// The side that opened the connection, or asked for TLS.
    pub client: Endpoint,
    /// Its peer.
    pub server: Endpoint,
    /// The protocol in which TLS is negotiated; `None` if a proxy refused, and on ports where TLS is spoken from the first byte.
    pub starttls: Option<StartTls>,
    /// Whether the server offered TLS in that protocol; `None` if that is not known.
    pub starttls_offered: Option<bool>,
    /// The proxy that the connection goes through, or comes from.
    pub proxy: Option<Box<Proxy>>,
    /// One clause for people, with the first bytes or the refusal in quotes; safe for a terminal.
    pub message: String,
}

impl NotTls {
    /// An event about which only the connection and the kind are known.
    #[must_use]
    pub const fn new(
        time: Timestamp,
        client: Endpoint,
        server: Endpoint,
        kind: NotTlsKind,
    ) -> Self {
        Self {
            time,
            source: None,
            flow_id: 0,
            kind,
            client,
            server,
            starttls: None,
            starttls_offered: None,
            proxy: None,
            message: String::new(),
        }
    }

    /// Corelight Community ID, version 1, seed 0.
    #[must_use]
    pub fn community_id(&self) -> String {
        community_id(self.client, self.server, IpProtocol::Tcp)
    }

    /// The failure that it is; `None` if nobody was refused: a probe sends nothing, and a client that did not ask for TLS
    /// has what it wants.
    #[must_use]
    pub const fn error_type(&self) -> Option<ErrorType> {
        match (self.kind, self.starttls) {
            (NotTlsKind::StartTlsRefused, _) => Some(ErrorType::StartTlsRefused),
            (NotTlsKind::Plaintext, None) => Some(ErrorType::NotTls),
            (NotTlsKind::Plaintext, Some(_)) | (NotTlsKind::SilentProbe, _) => None,
        }
    }
}

text_enum! {
    /// What came instead of TLS.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum NotTlsKind {
        /// Something else than TLS: on a port where TLS is spoken from the first byte, or in a protocol that could have
        /// negotiated it.
        Plaintext = "plaintext",
        /// The client asked for TLS in plain text, and the server refused.
        StartTlsRefused = "starttls_refused",
        /// The connection was closed before any byte, on a port where TLS is spoken.
        SilentProbe = "silent_probe",
    }
}
