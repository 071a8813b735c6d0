//! Passive observation of TLS handshakes.

pub mod capture;
pub mod certificate;
pub mod decode;
pub mod decrypt;
pub mod event;
pub mod flow;
pub mod handshake;
pub mod observer;
pub mod pipeline;
pub mod reassembly;
pub mod sink;
pub mod stats;
pub mod time;
pub mod tls;
