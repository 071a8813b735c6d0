//! How to find a handshake in Wireshark: a display filter, and the packets in each file.

use std::io::{self, Write};
use std::net::IpAddr;

use super::ladder::{letter, sources};
use super::page::Page;
use crate::escape::shell_word;
use crate::event::{Handshake, Ladder, Transport};

/// The packets of a handshake in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PacketRange {
    first: u64,
    last: u64,
}

/// Writes the filters, and for each file the command that opens it at the handshake.
pub(super) fn write<W: Write>(
    page: &mut Page<'_, W>,
    event: &Handshake,
    ladder: &Ladder,
) -> io::Result<()> {
    page.heading("In Wireshark")?;
    let conversation = conversation(event);
    let sources = sources(event, ladder);
    for (index, source) in sources.iter().enumerate() {
        let range = packets(event, ladder, source, sources.len() == 1);
        let name = if sources.len() > 1 {
            format!("{}: {source}", letter(index))
        } else {
            source.to_string()
        };
        let PacketRange { first, last } = range;
        page.item(&format!("packets {first} to {last} of {name}"))?;
        let frames = [
            format!("frame.number >= {first}"),
            format!("frame.number <= {last}"),
        ];
        let parts = frames.iter().chain(&conversation);
        page.filter(&parts.map(String::as_str).collect::<Vec<_>>())?;
        if is_file(source) {
            write_command(page, source, &[&format!("-g {first}")])?;
        }
    }
    page.item("the whole connection")?;
    page.filter(&conversation.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Writes the filter, and the command that opens the saved capture: an interface is no file, and a saved capture numbers its
/// packets from 1.
#[cfg(live_capture)]
pub(super) fn write_saved<W: Write>(page: &mut Page<'_, W>, event: &Handshake) -> io::Result<()> {
    page.heading("In Wireshark")?;
    if let Some(saved_to) = &event.saved_to {
        page.item("the saved capture")?;
        write_command(page, saved_to, &[])?;
    }
    page.item("the whole connection")?;
    let conversation = conversation(event);
    page.filter(&conversation.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Writes the command that opens a file, with `options` behind its name.
///
/// Bytes of a name that are not UTF-8 were replaced when it was read, so no command can name that file.
fn write_command<W: Write>(page: &mut Page<'_, W>, path: &str, options: &[&str]) -> io::Result<()> {
    if path.contains(char::REPLACEMENT_CHARACTER) {
        return page
            .item("no command: the name of the file is not UTF-8; rename it, or open it by hand");
    }
    let path = shell_word(path);
    page.command(&[&["wireshark -r", &path], options].concat())
}

/// A display filter for each file that packets came from.
pub(in crate::sink) fn display_filters(event: &Handshake, ladder: &Ladder) -> Vec<String> {
    let sources = sources(event, ladder);
    let filter = |source: &&std::sync::Arc<str>| {
        let PacketRange { first, last } = packets(event, ladder, source, sources.len() == 1);
        let conversation = conversation(event).join(" && ");
        format!("frame.number >= {first} && frame.number <= {last} && {conversation}")
    };
    sources.iter().map(filter).collect()
}

/// The packets of the handshake that came from `source`.
fn packets(event: &Handshake, ladder: &Ladder, source: &str, is_only: bool) -> PacketRange {
    let steps = ladder.steps.iter().filter(|step| &*step.source == source);
    let numbers = || steps.clone().map(|step| step.packet);
    let (first, last) = (numbers().min(), numbers().max());
    if is_only {
        // Packets that brought no step count, too: those in the middle of a message, and acknowledgments.
        let (first_of_all, last_of_all) = (event.capture.first_packet, event.capture.last_packet);
        return PacketRange {
            first: first.map_or(first_of_all, |first| first.min(first_of_all)),
            last: last.map_or(last_of_all, |last| last.max(last_of_all)),
        };
    }
    // The last packet of the event may be in any of the files, so each range ends with the last step in it.
    let begins_here = *event.source == *source;
    let begin = begins_here.then_some(event.capture.first_packet);
    PacketRange {
        first: first.into_iter().chain(begin).min().unwrap_or(0),
        last: last.into_iter().chain(begin).max().unwrap_or(0),
    }
}

/// The parts of a display filter for both directions of the connection.
fn conversation(event: &Handshake) -> Vec<String> {
    let address = |address: IpAddr| match address {
        IpAddr::V4(address) => format!("ip.addr == {address}"),
        IpAddr::V6(address) => format!("ipv6.addr == {address}"),
    };
    let transport = match event.transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
        Transport::Eapol => return on_link(event),
    };
    let [client, server] = [event.client, event.server];
    vec![
        address(client.address),
        address(server.address),
        format!("{transport}.port == {}", client.port),
        format!("{transport}.port == {}", server.port),
    ]
}

/// The same for a login without IP.
fn on_link(event: &Handshake) -> Vec<String> {
    let eap = event.eap.as_deref();
    let station = eap.and_then(|eap| eap.calling_station_id.as_deref());
    let address = station.map(|station| station.replace('-', ":"));
    let address = address.map(|address| format!("eth.addr == {address}"));
    ["eapol".to_owned()].into_iter().chain(address).collect()
}

/// Whether a source names a file that another program can open, not standard input.
fn is_file(source: &str) -> bool {
    !source.is_empty() && source != "-"
}
