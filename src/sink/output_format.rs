//! The formats of `--format`: which sinks make up each of them.

use std::io::{self, BufWriter, Write};

use clap::ValueEnum;

use super::machine::cbom::CbomSink;
use super::machine::csv::CsvSink;
use super::machine::json::JsonSink;
use super::people::certificates::CertificatesSink;
use super::people::summary::SummarySink;
use super::people::table::{RowOptions, TableSink};
use super::{Sink, TextStyle};

/// An output format. The doc comment of a value is its help text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum OutputFormat {
    /// One line per handshake, then the summary.
    Table,
    /// One line per handshake, without a summary.
    Rows,
    /// The summary alone.
    Summary,
    /// One JSON object per line; `tlscope schema` describes them.
    Json,
    /// Comma-separated values.
    Csv,
    /// A table of the certificates, the soonest to expire first, with the peers that present them.
    Certs,
    /// An inventory of the cryptography: a CycloneDX 1.7 bill of materials.
    Cbom,
}

impl OutputFormat {
    /// Whether people read it, and no programs.
    #[must_use]
    pub const fn is_for_people(self) -> bool {
        match self {
            Self::Table | Self::Rows | Self::Summary | Self::Certs => true,
            Self::Json | Self::Csv | Self::Cbom => false,
        }
    }

    /// Whether it writes each handshake as soon as there is a verdict, not only a summary at the end.
    #[must_use]
    pub const fn writes_events(self) -> bool {
        !matches!(self, Self::Summary | Self::Certs | Self::Cbom)
    }

    /// Whether a file of it begins with a header that names its columns.
    #[must_use]
    pub const fn has_header(self) -> bool {
        matches!(self, Self::Csv)
    }

    /// Writes each handshake to `output`; `None` if the format does not. `rows` is about rows for people, and JSON.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    pub fn event_sink(
        self,
        output: impl Write + 'static,
        style: TextStyle,
        rows: RowOptions,
    ) -> io::Result<Option<Box<dyn Sink>>> {
        Ok(match self {
            Self::Table | Self::Rows => {
                let rows = RowOptions {
                    is_all: self == Self::Rows,
                    ..rows
                };
                let output = BufWriter::new(output);
                Some(Box::new(TableSink::with_options(output, style, rows)))
            }
            Self::Json => {
                let sink = match rows.names {
                    true => JsonSink::with_names(output),
                    false => JsonSink::new(output),
                };
                Some(match rows.room_for_texts {
                    Some(bytes) => Box::new(sink.with_texts_within(bytes)),
                    None => Box::new(sink),
                })
            }
            Self::Csv => Some(Box::new(CsvSink::new(output)?)),
            Self::Summary | Self::Certs | Self::Cbom => None,
        })
    }

    /// Writes a summary to `output` at the end; `None` if the format has none.
    pub fn summary_sink(
        self,
        output: impl Write + 'static,
        style: TextStyle,
    ) -> Option<Box<dyn Sink>> {
        let output = BufWriter::new(output);
        match self {
            Self::Table | Self::Summary => Some(Box::new(SummarySink::new(output, style))),
            Self::Certs => Some(Box::new(CertificatesSink::new(output, style))),
            Self::Cbom => Some(Box::new(CbomSink::new(output))),
            Self::Rows | Self::Json | Self::Csv => None,
        }
    }

    /// Writes each handshake to a file; `is_continued` if the file already has a header. `room_for_texts` is as in [`RowOptions`].
    /// A format without events writes a table.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    pub fn file_sink(
        self,
        output: impl Write + 'static,
        is_continued: bool,
        room_for_texts: Option<usize>,
    ) -> io::Result<Box<dyn Sink>> {
        match self {
            Self::Csv if is_continued => Ok(Box::new(CsvSink::continuing(output))),
            Self::Csv => Ok(Box::new(CsvSink::new(output)?)),
            Self::Json => {
                let sink = JsonSink::new(output);
                Ok(match room_for_texts {
                    Some(bytes) => Box::new(sink.with_texts_within(bytes)),
                    None => Box::new(sink),
                })
            }
            Self::Table | Self::Rows | Self::Summary | Self::Certs | Self::Cbom => Ok(Box::new(
                TableSink::new(BufWriter::new(output), TextStyle::default()),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Needs;
    use super::*;

    /// What the sinks of a format need of each handshake.
    fn needs(format: OutputFormat) -> Needs {
        let (style, rows) = (TextStyle::default(), RowOptions::default());
        let events = format.event_sink(io::sink(), style, rows).unwrap();
        let summary = format.summary_sink(io::sink(), style);
        let all = [events, summary].into_iter().flatten();
        all.fold(Needs::NONE, |needs, sink| needs.or(sink.needs()))
    }

    #[test]
    fn programs_and_inventories_get_all_and_people_pay_for_nothing_that_they_do_not_see() {
        for format in OutputFormat::value_variants() {
            let expected = if format.is_for_people() {
                Needs::NONE
            } else {
                Needs::ALL
            };
            assert_eq!(needs(*format), expected, "{format:?}");
        }
    }

    #[test]
    fn every_format_with_lines_of_handshakes_has_them_made_on_any_thread() {
        for format in OutputFormat::value_variants() {
            let (style, rows) = (TextStyle::default(), RowOptions::default());
            let events = format.event_sink(io::sink(), style, rows).unwrap();
            assert_eq!(events.is_some(), format.writes_events(), "{format:?}");
            if let Some(sink) = events {
                assert_eq!(sink.renderers(3).len(), 3, "{format:?}");
            }
        }
    }
}
