//! The server side of HTTP, as far as exporters of metrics need it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// A request from an exporter.
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Reads a request and answers it; `None` at the end of the connection.
    pub(crate) fn read(reader: &mut BufReader<TcpStream>) -> Option<Self> {
        Self::read_and_answer(reader, |_| {
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()
        })
    }

    /// The same, with the answer to each path.
    pub(crate) fn read_and_answer(
        reader: &mut BufReader<TcpStream>,
        answer: impl FnOnce(&str) -> Vec<u8>,
    ) -> Option<Self> {
        let mut line = String::new();
        reader
            .read_line(&mut line)
            .ok()
            .filter(|length| *length > 0)?;
        let path = line.split(' ').nth(1)?.to_owned();
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length")?.parse().ok()?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        reader.get_mut().write_all(&answer(&path)).ok()?;
        Some(Self {
            path,
            headers,
            body,
        })
    }
}
