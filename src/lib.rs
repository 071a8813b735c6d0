//! Passive observation of TLS handshakes.

pub mod capture;
pub mod certificate;
pub mod event;
pub mod flow;
pub mod sink;
pub mod stats;
pub mod time;
pub mod tls;
pub mod decode;
pub mod reassembly;
pub mod handshake;
pub mod observer;
pub mod pipeline;
