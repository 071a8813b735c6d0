//! Messages to one verdict per handshake: state machines without I/O and without a clock.
//!
//! ```text
//! chunks ─▶ Connection (records, messages) ─▶ Tracker (what was seen) ─▶ verdict ─▶ event ─▶ Judge (chains against roots)
//!                                               ├─ exchange: up to TLS 1.2, all that counts is in the clear
//!                                               ├─ decrypted: TLS 1.3, from what keys show
//!                                               └─ inference: TLS 1.3, from the shape of encrypted records
//! ```
//!
//! # Why does a verdict wait?
//!
//! A handshake is reported when nothing that comes can change what is told: at
//! the first application data after it, when the connection has ended, or after
//! silence. An alert alone does not end it, since how the connection closed
//! belongs to the report.
//!
//! # The letters of `history`
//!
//! One letter a message, upper case from the client, lower case from the
//! server, in the manner of Zeek's `ssl_history`:
//!
//! | letter | message |
//! | --- | --- |
//! | `H` | HelloRequest |
//! | `C` | ClientHello |
//! | `S` | ServerHello |
//! | `J` | HelloRetryRequest |
//! | `T` | NewSessionTicket |
//! | `X` | Certificate |
//! | `K` | ServerKeyExchange |
//! | `R` | CertificateRequest |
//! | `N` | ServerHelloDone |
//! | `Y` | CertificateVerify |
//! | `G` | ClientKeyExchange |
//! | `U` | CertificateStatus |
//! | `I` | ChangeCipherSpec |
//! | `F` | Finished: up to TLS 1.2, the first encrypted handshake record |
//! | `D` | encrypted record (in TLS 1.3 also handshake messages), or application data; once for a run of them |
//! | `L` | alert |
//! | `O` | EncryptedExtensions, decrypted as all of the following |
//! | `E` | EndOfEarlyData |
//! | `P` | KeyUpdate |
//! | `Z` | another message |

mod cause;
mod chains;
mod end;
mod explain;
mod facts;
mod history;
mod progress;
mod report;
#[cfg(test)]
mod testing;
mod timing;
mod tracker;
mod transcript;
mod validate;
mod verdict;

pub use crate::framing::Close;
pub use crate::framing::sealed::KeyUse;
pub use end::End;
pub use report::{Origin, ReportConfig};
pub use timing::RoundTrips;
pub use tracker::Tracker;
pub(crate) use validate::Validator;
