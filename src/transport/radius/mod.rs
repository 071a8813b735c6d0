//! RADIUS (RFC 2865) as far as it carries EAP (RFC 3579): one login is a conversation of requests and answers.
//!
//! | module | what |
//! | --- | --- |
//! | `packet` | one packet and its attributes |
//! | `conversations` | which login a packet belongs to |

mod conversations;
mod packet;

pub use conversations::{Answered, Conversation, Conversations, Found, Hop};
pub use packet::{Attribute, RadiusCode, RadiusPacket};
