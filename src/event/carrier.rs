//! What carries a handshake.

use crate::flow::IpProtocol;

text_enum! {
    /// What carries the handshake.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Transport {
        /// TLS, whatever precedes it.
        Tcp = "tcp",
        /// DTLS, QUIC, and EAP in RADIUS.
        Udp = "udp",
        /// EAP on a link without IP (IEEE 802.1X): ports are 0, and addresses are the link-local ones that follow from the hardware
        /// addresses (RFC 4291 appendix A).
        Eapol = "eapol",
    }
}

impl Transport {
    /// The IP protocol that carries it.
    #[must_use]
    pub const fn ip_protocol(self) -> IpProtocol {
        match self {
            Self::Tcp => IpProtocol::Tcp,
            Self::Udp | Self::Eapol => IpProtocol::Udp,
        }
    }
}

text_enum! {
    /// Which protocol's framing the handshake uses.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Protocol {
        /// SSL or TLS.
        Tls = "tls",
        /// DTLS.
        Dtls = "dtls",
        /// TLS 1.3 inside QUIC (RFC 9001).
        Quic = "quic",
        /// TLS inside EAP: EAP-TLS, EAP-TTLS, PEAP.
        Eap = "eap",
    }
}
