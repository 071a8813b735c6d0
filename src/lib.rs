//! Passive observation of TLS handshakes: packets in, one event for each handshake out.
//!
//! For every TLS handshake in a capture, an event says how long it took, how it ended,
//! why it failed and which side caused that, and what the certificates say. The observer
//! takes no part in the handshake and needs no keys. This crate is the library behind the
//! `tlscope` program.
//!
//! ```text
//! capture ─▶ decode ─▶ transport ─▶ (dialogue) ─▶ framing ─▶ handshake ─▶ event ─▶ sink, telemetry, check
//! ```
//!
//! | module | turns | into |
//! | --- | --- | --- |
//! | [`capture`] | files, standard input and live interfaces | batches of packets |
//! | [`decode`] | packets | flat headers: TCP, UDP, or a fragment, and the layers around them |
//! | [`transport`] | segments in any order | bytes in order, gaps and closes |
//! | [`dialogue`] | what is spoken before TLS | the place where TLS begins |
//! | `framing` | bytes in order | messages, alerts, sealed units |
//! | [`handshake`] | what a framing sees | a transcript, then a verdict |
//! | [`event`] | | what is reported: plain data |
//! | [`sink`] | events | JSON, tables, files |
//! | [`telemetry`] | events | metrics, log records, spans |
//! | `check` (feature `cli`) | events, and a policy | what complies and what does not |
//!
//! Three modules serve several stages: [`tls`] reads bytes as records and messages,
//! [`decrypt`] opens records with the keys that the user gives, and [`certificate`] reads and validates
//! certificates.
//!
//! Data flows one way: a module uses only those to its left, and the common ground ([`flow`], [`time`], [`error_type`],
//! [`stats`]). [`observer`] holds the wiring, [`pipeline`] the threads.
//!
//! # What is deliberately absent
//!
//! - Between packets and events nothing does I/O or reads a clock: packet time is
//!   the only time, so a file, a live interface and a test run the same code.
//! - Malformed input is not an error but an observation: it is counted, shows in an
//!   event, and the run continues.
//! - No buffer grows with the traffic: each has a named limit and a counter in
//!   [`stats::Stats`] for what the limit discarded.
//! - Application data is neither copied nor stored.
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
//! let bytes = [0; 60]; // a frame without TLS
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
