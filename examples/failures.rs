//! Prints the failed handshakes of a capture, and what a summary would say of it.
//!
//! ```sh
//! cargo run --example failures --no-default-features --features files -- capture.pcapng
//! ```

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "prints what it shows"
)]

use std::env;
use std::error::Error;

use tlscope::event::Event;

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args_os().nth(1).ok_or("usage: failures CAPTURE")?;
    let mut events = tlscope::read(path)?;
    let (mut handshakes, mut failures) = (0, 0);
    for event in &mut events {
        match &event {
            Event::Handshake(_) => handshakes += 1,
            Event::NotTls(other) => println!("{} {}: {}", other.time, other.server, other.message),
            _ => {} // kinds of later versions
        }
        if let Some((handshake, error)) = event.failure() {
            failures += 1;
            let server_name = handshake.tls.server_name.as_deref().unwrap_or("?");
            println!(
                "{} {} to {} ({server_name}): {}",
                handshake.time, handshake.client, handshake.server, error.message
            );
        }
    }
    for problem in events.problems() {
        eprintln!("warning: {}", problem.text);
    }
    let stats = events.stats();
    println!(
        "{failures} of {handshakes} handshakes failed; {} packets",
        stats.packets
    );
    Ok(())
}
