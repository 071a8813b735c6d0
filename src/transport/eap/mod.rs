//! EAP (RFC 3748), and the TLS that its methods carry in fragments.
//!
//! | module | what |
//! | --- | --- |
//! | `packet` | one EAP packet, and the fragment of TLS in it |
//! | `exchange` | requests and responses in turn: both streams in order, their gaps, and the end |
//!
//! EAP is lock-step: the server asks, the peer answers, and the identifier pairs the
//! two. So a packet that the capture lacks shows at once, and whatever a side sends, it
//! has received all that came before.

mod exchange;
mod packet;

pub use exchange::{EapDelivery, EapExchange, is_before};
pub use packet::{EapCode, EapMethod, EapPacket, TlsFragment};
