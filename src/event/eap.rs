//! What EAP says around a handshake.

/// What EAP says around a handshake, and RADIUS if that carries it.
///
/// Names are as the packets have them, and not to be relied on: the user's is outside of the tunnel, often only a realm, and
/// each can be forged until the handshake has succeeded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EapFacts {
    /// The method that carries TLS.
    pub method: Option<EapMethod>,
    /// How the conversation ended; `None` if its end was not seen.
    pub result: Option<EapResult>,
    /// The user's name outside of the tunnel: User-Name of RADIUS, or the identity in EAP.
    pub user_name: Option<String>,
    /// The device that logs in, mostly its hardware address: Calling-Station-Id of RADIUS, or the address in the frame.
    pub calling_station_id: Option<String>,
    /// The access point or switch, mostly its hardware address and the network's name: Called-Station-Id of RADIUS, or the
    /// address in the frame.
    pub called_station_id: Option<String>,
    /// NAS-Identifier of RADIUS.
    pub nas_identifier: Option<String>,
}

impl EapFacts {
    /// Bytes of memory that it takes.
    #[cfg(feature = "cli")]
    pub(super) fn allocated(&self) -> usize {
        let texts = [
            &self.user_name,
            &self.calling_station_id,
            &self.called_station_id,
            &self.nas_identifier,
        ];
        let texts = texts.into_iter().flatten().map(String::len);
        crate::memory::boxed::<Self>() + texts.sum::<usize>()
    }
}

text_enum! {
    /// An EAP method that carries TLS.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum EapMethod {
        /// EAP-TLS (RFC 5216, RFC 9190).
        Tls = "tls",
        /// EAP-TTLS (RFC 5281).
        Ttls = "ttls",
        /// PEAP.
        Peap = "peap",
        /// EAP-FAST (RFC 4851).
        Fast = "fast",
        /// TEAP (RFC 7170).
        Teap = "teap",
    }
}

text_enum! {
    /// How a login over EAP ended.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum EapResult {
        /// Access-Accept, or EAP-Success.
        Accept = "accept",
        /// Access-Reject, or EAP-Failure.
        Reject = "reject",
    }
}
