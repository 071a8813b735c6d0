//! Passive observation of TLS handshakes: packets in, one event for each handshake out.
//!
//! For every TLS handshake in a capture it says how long it took, how it ended,
//! why it failed and whose doing that was, and what the certificates say; without
//! taking part and without keys. This crate is the library behind the `tlscope`
//! program.
//!
//! ```text
//! capture ─▶ decode ─▶ transport ─▶ tls ─▶ framing ─▶ handshake ─▶ event ─▶ sink        observer wires them; cli chooses
//! ```
//!
//! | module | turns | into |
//! | --- | --- | --- |
//! | [`capture`] | files, standard input and live interfaces | batches of packets |
//! | [`decode`] | packets | TCP segments |
//! | [`transport`] | segments in any order | bytes in order, and gaps |
//! | [`tls`] | bytes | records and messages |
//! | `framing` | bytes in order | messages, alerts, sealed records |
//! | [`handshake`] | messages and the shape of encrypted records | verdicts |
//! | [`certificate`] | DER | facts and findings |
//! | [`event`] | | what is told: plain data |
//! | `check` (feature `cli`) | events, and a policy | what holds and what does not |
//! | [`sink`] | events | JSON, tables, files |
//! | [`telemetry`] | events | metrics, log records, spans |
//!
//! Data flows one way: a module uses only those to its left. [`observer`] holds
//! the wiring, [`pipeline`] the threads.
//!
//! # What is deliberately absent
//!
//! - Between packets and events nothing does I/O or reads a clock: packet time is
//!   the only time, so a file, a live interface and a test run the same code.
//! - Malformed input is no error but an observation: it is counted, shows in an
//!   event, and the run goes on.
//! - No buffer grows with the traffic: each has a named bound and a counter in
//!   [`stats::Stats`] for what the bound discarded.
//! - Application data is neither copied nor kept.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//!
//! use tlscope::capture::{Interface, LinkType, PacketRecord};
//! use tlscope::observer::{Config, Observer};
//! use tlscope::time::Timestamp;
//!
//! let ethernet = Interface { link_type: LinkType(1), source: "example".into(), name: None };
//! let interfaces: Arc<[Interface]> = Arc::new([ethernet]);
//! let bytes = [0; 60]; // a frame that carries nothing of interest
//! let packet = PacketRecord {
//!     timestamp: Timestamp::from_seconds(1_772_366_400),
//!     number: 1,
//!     interface: 0,
//!     offset: 0,
//!     captured_length: 60,
//!     wire_length: 60,
//! };
//!
//! let mut observer = Observer::new(Config::default());
//! observer.handle_packet(&interfaces, &packet, &bytes);
//! observer.finish(); // the capture has ended: open handshakes get their verdict
//! assert!(observer.poll_event().is_none());
//! assert_eq!(observer.stats().packets, 1);
//! ```

#[macro_use]
mod text_enum;

pub mod capture;
pub mod certificate;
#[cfg(feature = "cli")]
pub mod check;
pub mod decode;
pub mod decrypt;
pub mod dialogue;
pub mod error_type;
pub mod event;
pub mod flow;
mod framing;
pub mod handshake;
#[cfg(any(feature = "cli", feature = "otel"))]
mod hex;
pub mod observer;
pub mod pattern;
pub mod pipeline;
pub mod sink;
pub mod stats;
pub mod telemetry;
pub mod time;
pub mod tls;
pub mod transport;
