//! QUIC packets: what their headers and frames say (RFC 8999, 9000, 9369).
//!
//! | module | what |
//! | --- | --- |
//! | `version` | versions, and which bits of a header mean which packet type in them |
//! | `connection_id` | connection ids |
//! | `header` | datagrams to packets: long headers, short headers, Retry, Version Negotiation |
//! | `number` | packet numbers, of which only the low bytes are sent |
//! | `frame` | the frames in a packet that was opened |
//! | `google_frame` | the same in two of Google's versions |
//! | `crypto_stream` | CRYPTO frames in any order to bytes in order |
//!
//! Nothing here decrypts: the keys of Initial packets are in [`decrypt`](crate::decrypt), and
//! `framing::quic` joins the parts.

mod connection_id;
mod crypto_stream;
mod cursor;
mod frame;
mod google_frame;
mod header;
mod number;
mod version;

pub(crate) use connection_id::ConnectionId;
pub(crate) use crypto_stream::CryptoStream;
pub use frame::QuicClose;
pub(crate) use frame::{Frame, Frames};
pub(crate) use header::{LongPacket, MIN_INITIAL_DATAGRAM, Packet, Packets};
pub(crate) use number::LargestNumber;
pub(crate) use version::PacketType;
pub use version::QuicVersion;
