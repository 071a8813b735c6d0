//! What a certificate is in the chain that shows it.

use crate::flow::Side;

text_enum! {
    /// The part of a certificate in a chain, by its position: the leaf is named after the side that shows it.
    ///
    /// # Example
    ///
    /// ```
    /// use tlscope::certificate::CertificateRole;
    /// use tlscope::flow::Side;
    ///
    /// assert_eq!(CertificateRole::new(Side::Server, 0, false).as_str(), "server");
    /// assert_eq!(CertificateRole::new(Side::Server, 1, false).as_str(), "intermediate");
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum CertificateRole {
        /// The server's leaf.
        Server = "server",
        /// The client's leaf.
        Client = "client",
        /// A certificate after the leaf.
        Intermediate = "intermediate",
        /// A certificate after the leaf that is signed by its own key.
        Root = "root",
    }
}

impl CertificateRole {
    /// The role of the certificate at `position` in the chain of `side`, where 0 is the leaf.
    ///
    /// A leaf is a leaf even if it is signed by its own key.
    #[must_use]
    pub const fn new(side: Side, position: usize, self_signed: bool) -> Self {
        match (position, side) {
            (0, Side::Server) => Self::Server,
            (0, Side::Client) => Self::Client,
            _ if self_signed => Self::Root,
            _ => Self::Intermediate,
        }
    }
}
