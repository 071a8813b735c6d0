//! Writes the handshakes of a capture as JSON Lines, the same as `tlscope read --format json` does, but only
//! those with a client certificate.
//!
//! ```sh
//! cargo run --example json_lines --no-default-features --features files,serde -- capture.pcapng
//! ```

use std::env;
use std::error::Error;
use std::io::{self, BufWriter, Write};

use tlscope::event::ClientCertificate;

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args_os().nth(1).ok_or("usage: json_lines CAPTURE")?;
    let mut output = BufWriter::new(io::stdout().lock());
    for event in tlscope::read(path)? {
        let is_mutual = event.handshake().is_some_and(|handshake| {
            handshake.tls.client_certificate == ClientCertificate::Presented
        });
        if is_mutual {
            serde_json::to_writer(&mut output, &event)?;
            writeln!(output)?;
        }
    }
    output.flush()?;
    Ok(())
}
