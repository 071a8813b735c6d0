//! What is spoken on a connection before TLS begins.
//!
//! A connection whose first bytes are not TLS may still upgrade: after STARTTLS, behind a proxy, or inside another
//! protocol's packets. The dialogue reads both directions in order, within [`MAX_BYTES`] for each, and answers after each
//! run of bytes with a [`DialogueStep`].
//!
//! To add a protocol, write a file with its reader, and add a line to [`Dialogue::begin`] (by its first bytes) and to
//! [`Dialogue::take`]. A connection that fits no known protocol is `unknown`: TLS may begin with any run of bytes.

mod unknown;

use crate::flow::Direction;

/// Bytes of each direction that are read in order. The longest dialogue before TLS that mail servers allow is
/// a few lines; LDAP and proxies may prepend a search or a header of some kilobytes.
pub const MAX_BYTES: u32 = 64 << 10;

/// What a dialogue says after it has read a run of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialogueStep {
    /// TLS may begin later.
    More,
    /// TLS begins so many bytes into the run.
    TlsBegins(usize),
}

/// The dialogue of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialogue {
    /// A protocol that is not known.
    #[default]
    Unknown,
}

impl Dialogue {
    /// The dialogue that begins with `first`, the first bytes of either direction.
    #[must_use]
    pub const fn begin(_first: &[u8]) -> Self {
        Self::Unknown
    }

    /// Reads the next run of bytes of one direction.
    #[must_use]
    pub fn take(&mut self, _sender: Direction, bytes: &[u8]) -> DialogueStep {
        match self {
            Self::Unknown => unknown::take(bytes),
        }
    }

    /// The protocol in which TLS was negotiated; `None` if it is not known.
    #[must_use]
    pub const fn starttls(self) -> Option<StartTls> {
        match self {
            Self::Unknown => None,
        }
    }
}

text_enum! {
    /// A protocol in which TLS is negotiated in plain text, by STARTTLS or a request of its own.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum StartTls {
        /// SMTP (RFC 3207).
        Smtp = "smtp",
        /// LMTP (RFC 2033).
        Lmtp = "lmtp",
        /// IMAP (RFC 9051 §6.2.1).
        Imap = "imap",
        /// POP3 (RFC 2595).
        Pop3 = "pop3",
        /// FTP (RFC 4217).
        Ftp = "ftp",
        /// XMPP (RFC 6120 §5).
        Xmpp = "xmpp",
        /// LDAP (RFC 4511 §4.14).
        Ldap = "ldap",
        /// PostgreSQL's SSLRequest.
        Postgresql = "postgresql",
        /// MySQL's and MariaDB's SSL request packet.
        Mysql = "mysql",
        /// TDS, Microsoft SQL Server: TLS inside TDS packets.
        Tds = "tds",
        /// NNTP (RFC 4642).
        Nntp = "nntp",
        /// IRC's STARTTLS.
        Irc = "irc",
        /// ManageSieve (RFC 5804 §2.2).
        ManageSieve = "managesieve",
        /// RDP, Remote Desktop.
        Rdp = "rdp",
        /// AMQP 1.0, after its TLS protocol header.
        Amqp = "amqp",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &[u8] = &[22, 3, 1, 0, 100, 1, 0, 0, 96, 3, 3];

    #[test]
    fn an_unknown_protocol_upgrades_where_a_run_begins_with_a_hello() {
        let mut dialogue = Dialogue::begin(b"EHLO client");
        let mut take = |bytes| dialogue.take(Direction::Forward, bytes);
        assert_eq!(take(b"STARTTLS\r\n"), DialogueStep::More);
        assert_eq!(take(HELLO), DialogueStep::TlsBegins(0));
        // Within other data, the same bytes may be anything.
        let amid = [b"x", HELLO].concat();
        assert_eq!(dialogue.take(Direction::Forward, &amid), DialogueStep::More);
        assert_eq!(dialogue.starttls(), None);
    }
}
