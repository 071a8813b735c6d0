//! JA3, JA3S and JA4.

/// The fingerprints of one handshake; `None` where the hello was not seen or none were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// JA3 of the ClientHello: MD5, lower-case hexadecimal.
    pub ja3: Option<String>,
    /// JA3S of the ServerHello: MD5, lower-case hexadecimal.
    pub ja3s: Option<String>,
    /// JA4 of the ClientHello.
    pub ja4: Option<String>,
}
