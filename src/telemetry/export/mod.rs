//! The ways out of the process: OTLP to a collector, scrapes by Prometheus, text.

pub(crate) mod delivery;
pub(crate) mod otlp;
pub(crate) mod outbox;
pub(crate) mod periodic;
pub(crate) mod prometheus_text;
pub(crate) mod scrape_endpoint;
