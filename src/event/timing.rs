//! How long the phases of a handshake took.

use std::time::Duration;

/// How long each phase took, by packet time; `None` where an end of it was not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// From the client's SYN to the SYN-ACK.
    pub tcp_connect: Option<Duration>,
    /// From the first byte of what was spoken before TLS, to a proxy or to negotiate TLS, to the first byte of the ClientHello.
    pub starttls: Option<Duration>,
    /// From the first byte of the first ClientHello to the first byte of the ServerHello.
    pub server_hello: Option<Duration>,
    /// From the first byte of the first ClientHello to the last byte of the last handshake flight; successes only.
    pub handshake: Option<Duration>,
    /// [`Timing::handshake`] as the client saw it: until it had the server's last flight.
    ///
    /// Corrected by how far away the client is, which TCP's own handshake
    /// tells: absent without that, or where a segment of it was sent again. A
    /// relay or proxy that ends TCP near the observer makes the distance its own.
    pub handshake_client_view: Option<Duration>,
    /// [`Timing::handshake`] as the server saw it: until it had the client's last flight, or had sent its own.
    ///
    /// Corrected by how far away the server is where that matters: up to TLS
    /// 1.2 without resumption, where it is absent as [`Timing::handshake_client_view`] is.
    pub handshake_server_view: Option<Duration>,
    /// From the first byte of the first ClientHello to the first application data after the handshake.
    pub first_application_data: Option<Duration>,
}
