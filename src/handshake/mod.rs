//! Messages to one verdict per handshake: state machines without I/O and without a clock.
//!
//! ```text
//! chunks ─▶ framing ─▶ Transcript ─▶ verdict ─▶ event ─▶ Validator (chains against roots)
//!                          │            ├─ cleartext: up to TLS 1.2, all that counts is in the clear
//!                          │            ├─ decrypted: TLS 1.3, from what keys open
//!                          │            └─ inferred: TLS 1.3, from the shape of encrypted records
//!                          └─▶ progress: report it now?
//! ```
//!
//! A [`Tracker`] owns one handshake and joins these parts. The transcript is plain data
//! with one writer; progress and verdicts only read it, and the report is made from both.
//!
//! # Why does a verdict wait?
//!
//! A handshake is reported when nothing that follows can change the report: at the
//! first application data after it, when the connection has ended, or after silence.
//! An alert alone does not end it, since how the connection closed belongs to the
//! report.
//!
//! # Where does a new rule go?
//!
//! - A rule on the shape of encrypted records: `verdict/inferred/rules.rs`, with its
//!   case in the test table of that file.
//! - A new class of failure, or another meaning of an alert: `cause.rs`.
//! - A reason for an alert that stands in the clear: `reason.rs`.
//! - The next step that an error suggests to the user: `hint.rs`.
//! - What a certificate explains of a failure: `explain.rs`, which lists the order in
//!   which the cause of a failure is decided.
//!
//! # The letters of `history`
//!
//! One letter per message, upper case from the client, lower case from the
//! server, in the manner of Zeek's `ssl_history`:
//!
//! | letter | message |
//! | --- | --- |
//! | `H` | HelloRequest |
//! | `C` | ClientHello |
//! | `S` | ServerHello |
//! | `J` | HelloRetryRequest |
//! | `V` | HelloVerifyRequest |
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
//! | `O` | EncryptedExtensions, decrypted, as are all of the following |
//! | `E` | EndOfEarlyData |
//! | `P` | KeyUpdate |
//! | `Z` | another message |

mod cause;
mod chains;
mod conflict;
mod dialogue;
mod end;
mod explain;
mod facts;
mod hint;
mod history;
mod known_servers;
mod ladder;
mod offer;
mod progress;
mod reason;
mod report;
#[cfg(test)]
mod testing;
mod timing;
mod tracker;
mod transcript;
mod unusual;
mod validate;
mod verdict;

pub use crate::framing::sealed::KeyUse;
pub use crate::framing::{Close, Payload};
pub use conflict::Conflict;
pub(crate) use dialogue::add_dialogue;
pub use end::End;
pub use report::{Origin, ReportCaches, ReportConfig};
pub use tracker::{Answer, Tracker};
pub(crate) use validate::Validator;
