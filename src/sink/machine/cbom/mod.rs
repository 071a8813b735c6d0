//! An inventory of the cryptography in use: a CycloneDX 1.7 cryptographic bill of materials, written once, at the end.
//!
//! | in the document | is |
//! | --- | --- |
//! | `services` | a server that answered, by name (or address) and port |
//! | component, asset type `protocol` | a version that a service negotiated, with its cipher suites and groups |
//! | component, asset type `algorithm` | an algorithm of a cipher suite, group, key or signature |
//! | component, asset type `certificate` | a certificate that was shown |
//! | component, asset type `related-crypto-material` | the public key of a certificate |
//! | component `protocol:offered` | everything that clients offered |
//! | `dependencies` | service → protocols and certificates, protocol → algorithms, certificate → signature and key |
//! | `compositions` | what is incomplete: services whose certificates TLS 1.3 hides, and what limits left out |
//!
//! Counts, times and evidence are properties named `tlscope:…`; `docs/cbom.md` lists them. The same capture gives the same
//! bytes: the serial number is a hash of the document, and there is no time but packet time.

mod algorithm;
mod document;
mod offers;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io::{self, Write};
use std::sync::Arc;

use crate::event::Handshake;
use crate::sink::Sink;
use crate::sink::files::inventory::Inventory;
use crate::stats::Stats;
use document::Document;
use offers::Offers;

use super::services::{Services, Tally};

/// Most captures or interfaces named; a directory may hold thousands.
const MAX_SOURCES: usize = 64;

/// Collects services, algorithms and certificates, and writes the document at the end.
#[derive(Debug)]
pub struct CbomSink<W> {
    output: W,
    collected: Collected,
}

/// What a run showed.
#[derive(Debug, Default)]
struct Collected {
    handshakes: Tally,
    services: Services,
    offers: Offers,
    certificates: Inventory,
    /// Captures and interfaces.
    sources: BTreeSet<Arc<str>>,
    has_more_sources: bool,
}

impl<W: Write> CbomSink<W> {
    /// Writes to `output`, which should have a buffer.
    #[must_use]
    pub fn new(output: W) -> Self {
        Self {
            output,
            collected: Collected::default(),
        }
    }
}

impl<W: Write> Sink for CbomSink<W> {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        let collected = &mut self.collected;
        collected.handshakes.record(event.time);
        collected.services.record(event);
        collected.offers.record(event);
        let Ok(()) = collected
            .certificates
            .record(event, |_| Ok::<(), Infallible>(()));
        if !collected.sources.contains(&event.source) {
            match collected.sources.len() < MAX_SOURCES {
                true => _ = collected.sources.insert(event.source.clone()),
                false => collected.has_more_sources = true,
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: &Stats) -> io::Result<()> {
        Document::new(&self.collected).write(&mut self.output)?;
        self.output.flush()
    }
}
