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
//! | `decode` | packets | flat headers: TCP, UDP, or a fragment, and the layers around them |
//! | `transport` | segments in any order | bytes in order, gaps and closes |
//! | `dialogue` | what is spoken before TLS | the place where TLS begins |
//! | `framing` | bytes in order | messages, alerts, sealed units |
//! | `handshake` | what a framing sees | a transcript, then a verdict |
//! | [`event`] | | what is reported: plain data |
//! | [`sink`] | events | JSON, tables, files |
//! | `telemetry` | events | metrics, log records, spans |
//! | `check` | events, and a policy | what complies and what does not |
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
//! # Examples
//!
//! Failed handshakes of a capture file (feature `files`):
//!
//! ```no_run
//! # #[cfg(feature = "files")]
//! # fn failures() -> Result<(), tlscope::capture::CaptureError> {
//! for event in tlscope::read("capture.pcapng")? {
//!     if let Some((handshake, error)) = event.failure() {
//!         println!("{} to {}: {}", handshake.client, handshake.server, error.message);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Frames from anywhere else:
//!
//! ```
//! use tlscope::observer::{Config, Observer};
//! use tlscope::time::Timestamp;
//!
//! let mut observer = Observer::new(Config::default());
//! let frame = [0; 60]; // no TLS in it
//! observer.handle_ethernet(Timestamp::from_seconds(1_772_366_400), &frame);
//! observer.finish(); // the capture has ended: open handshakes get their verdict
//! while let Some(handshake) = observer.poll_event() {
//!     println!("{}", handshake.outcome);
//! }
//! ```
//!
//! The folder `examples` has whole programs.
//!
//! # Features
//!
//! The default features are those of the program. A library takes `default-features = false` and what it needs:
//!
//! | feature | adds |
//! | --- | --- |
//! | none | [`observer`]: packets in, events out; dates, names and keys of certificates |
//! | `files` | `read`, `capture::CaptureFiles`: pcap and pcapng, also under gzip |
//! | `zstd`, `xz` | the same under Zstandard and xz, which are C libraries |
//! | `decrypt` | what key logs and secrets in captures open; certificates that TLS 1.3 compresses |
//! | `quic` | handshakes over QUIC; with `decrypt`, also what key logs open of them |
//! | `validate` | chains validated against roots, signatures verified: `certificate::TrustStore::add` |
//! | `serde` | `serde::Serialize` for events, `sink::machine`: JSON Lines and their schema |
//! | `live` | `capture::PacketFilter` and, on Linux, `capture::live`: live interfaces, through libpcap |
//! | `otel` | OpenTelemetry metrics, log records and spans, for the program |
//! | `unstable` | the stages between packets and events, as they are now |
//! | `cli` | the program, with all of the above except `live` and `otel` |
//!
//! Features only add: with more of them, the same packets give the same events with more in them.
//!
//! # What is stable
//!
//! What is public without the features `unstable` and `cli`, by [Semantic Versioning](https://semver.org).
//!
//! `unstable` makes the stages public for the benchmarks and fuzz targets of this package: `decode`, `dialogue`, `escape`, `handshake`,
//! `pattern`, `telemetry` and `transport`. `cli`, which includes it, adds what the program needs: `check`, `attribution`, and the
//! outputs of [`sink`] other than `sink::machine::json` and `sink::machine::schema`. They may change in any release.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(feature = "unstable"),
    allow(
        dead_code,
        unreachable_pub,
        unused_imports,
        clippy::enum_variant_names,
        reason = "stages are public with the feature `unstable`, which lints see"
    )
)]

#[macro_use]
mod text_enum;

// Stages and outputs that the program, tests and benchmarks of this package use: see "What is stable".
#[cfg(all(live_capture, feature = "cli"))]
pub mod attribution;
#[cfg(feature = "cli")]
pub mod check;
#[cfg(feature = "unstable")]
pub mod decode;
#[cfg(feature = "unstable")]
pub mod dialogue;
#[cfg(all(feature = "unstable", any(feature = "otel", feature = "serde")))]
pub mod escape;
#[cfg(feature = "unstable")]
pub mod handshake;
#[cfg(feature = "unstable")]
pub mod pattern;
#[cfg(feature = "unstable")]
pub mod telemetry;
#[cfg(feature = "unstable")]
pub mod transport;

#[cfg(not(feature = "unstable"))]
mod decode;
#[cfg(not(feature = "unstable"))]
mod dialogue;
#[cfg(all(not(feature = "unstable"), any(feature = "otel", feature = "serde")))]
mod escape;
#[cfg(not(feature = "unstable"))]
mod handshake;
#[cfg(not(feature = "unstable"))]
mod transport;

pub mod capture;
pub mod certificate;
pub mod decrypt;
mod digits;
pub mod error_type;
pub mod event;
pub mod flow;
mod framing;
#[cfg(any(feature = "serde", feature = "otel"))]
mod hex;
pub mod memory;
pub mod observer;
pub mod pipeline;
#[cfg(feature = "files")]
mod read;
pub mod sink;
pub mod stats;
pub mod time;
pub mod tls;

#[cfg(feature = "files")]
pub use read::{Events, read};
