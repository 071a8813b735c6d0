//! The kinds of traffic that tlscope has to be fast on, and a run over each.

mod captures;

use std::fmt::{self, Display, Formatter};
use std::{io, slice};

use tlscope::capture::CaptureFiles;
use tlscope::observer::Config;
use tlscope::pipeline;
use tlscope::sink::machine::json::JsonSink;
use tlscope::sink::people::summary::SummarySink;
use tlscope::sink::{Sink, TextStyle};

pub(crate) use captures::Capture;

/// A kind of traffic, and the output that is made of it.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// What the cost of a run is divided by.
    pub(crate) unit: Unit,
    pub(crate) capture: fn() -> Capture,
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Summary,
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Packet,
    Handshake,
}

pub(crate) static SCENARIOS: [Scenario; 5] = [
    Scenario {
        name: "small-packets",
        unit: Unit::Packet,
        capture: captures::small_packets,
        format: Format::Summary,
    },
    Scenario {
        name: "bulk",
        unit: Unit::Packet,
        capture: captures::bulk,
        format: Format::Summary,
    },
    Scenario {
        name: "syns",
        unit: Unit::Packet,
        capture: captures::syns,
        format: Format::Summary,
    },
    Scenario {
        name: "handshakes-summary",
        unit: Unit::Handshake,
        capture: captures::handshakes,
        format: Format::Summary,
    },
    Scenario {
        name: "handshakes-json",
        unit: Unit::Handshake,
        capture: captures::handshakes,
        format: Format::Json,
    },
];

impl Format {
    fn sink(self) -> Box<dyn Sink> {
        match self {
            Self::Summary => Box::new(SummarySink::new(io::sink(), TextStyle::default())),
            Self::Json => Box::new(JsonSink::new(io::sink())),
        }
    }

    /// As the program has it, but for the roots: certificates are not validated here.
    fn config(self) -> Config {
        let mut config = Config::default();
        config.report.fingerprints = self == Self::Json;
        config.report.offers = self == Self::Json;
        config
    }
}

impl Scenario {
    /// Runs the capture through, from its file to the output.
    pub(crate) fn run(&self, capture: &Capture, threads: usize) {
        let mut sink = self.format.sink();
        let mut source = CaptureFiles::open(slice::from_ref(&capture.path));
        let config = self.format.config();
        let run = pipeline::run(&mut source, config, threads, &mut sink).unwrap();
        sink.finish(&run.stats).unwrap();
        let stats = run.stats;
        assert_eq!(
            (stats.packets, stats.handshakes),
            (capture.packets, capture.handshakes),
            "{}: packets and handshakes",
            self.name
        );
    }

    /// How many units the capture has.
    pub(crate) fn units(&self, capture: &Capture) -> u64 {
        match self.unit {
            Unit::Packet => capture.packets,
            Unit::Handshake => capture.handshakes,
        }
    }
}

impl Display for Scenario {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

impl Display for Unit {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Packet => "packet",
            Self::Handshake => "handshake",
        })
    }
}
