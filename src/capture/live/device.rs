//! One interface, opened through libpcap.

use std::sync::Arc;
use std::time::Duration;

use pcap::{Active, Capture, Precision};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::FdFlags;

use super::PATIENCE;
use super::queue::push;
use super::thread::{Device, Losses};
use crate::capture::{CaptureError, LinkType, PacketBatch, PacketFilter};
use crate::time::Timestamp;

/// How interfaces are captured on.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// Only packets that match, in the language of tcpdump; the kernel leaves out the others.
    pub filter: Option<String>,
    /// Bytes of a packet that are captured.
    pub snap_length: u32,
    /// Bytes of the kernel's buffer for packets that were not taken yet.
    pub buffer_size: u32,
    /// Bytes of packets that were taken from the kernel and wait for a worker.
    pub queue_bytes: usize,
    /// Whether packets for other hosts are captured too.
    pub is_promiscuous: bool,
    /// Capture threads for each interface, each with a buffer of its own.
    pub threads: u32,
    /// Whether to capture on after the stop until the kernel's buffer is empty, for at most a few seconds. Otherwise
    /// the capture ends at once, and up to a tenth of a second of packets stays in the buffer.
    pub drains_buffer: bool,
}

/// Defaults, in one place: help and manual quote them.
pub mod defaults {
    /// Bytes of a packet that are captured: as tcpdump, all of it, also where
    /// offload hands over more than a frame holds.
    pub const SNAP_LENGTH: u32 = 262_144;
    /// Bytes of the kernel's buffer: 13 ms at 10 Gbit/s, a second at 130 Mbit/s.
    pub const BUFFER_SIZE: u32 = 16 << 20;
    /// Bytes of packets that wait for a worker.
    pub const QUEUE_BYTES: usize = 32 << 20;
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            filter: None,
            snap_length: defaults::SNAP_LENGTH,
            buffer_size: defaults::BUFFER_SIZE,
            queue_bytes: defaults::QUEUE_BYTES,
            is_promiscuous: false,
            threads: 1,
            drains_buffer: false,
        }
    }
}

/// An interface that packets are captured on.
pub(super) struct LiveInterface {
    name: Arc<str>,
    options: LiveOptions,
    link_type: LinkType,
    /// `None` while the interface is gone.
    capture: Option<Capture<Active>>,
    /// The kernel's counters when they were last read: they restart at zero with each opening, and wrap.
    counted: (u32, u32),
}

impl LiveInterface {
    /// Opens an interface.
    ///
    /// # Errors
    ///
    /// - [`CaptureError::Interface`] if packets cannot be captured on it.
    /// - [`CaptureError::NotPermitted`] if the process may not.
    /// - [`CaptureError::Filter`] if libpcap rejects the filter.
    pub(super) fn open(name: &str, options: &LiveOptions) -> Result<Self, CaptureError> {
        Self::open_share(name, options, 0)
    }

    /// Opens an interface for the share of one of its capture threads: see [`share`].
    ///
    /// # Errors
    ///
    /// As [`LiveInterface::open`].
    pub(super) fn open_share(
        name: &str,
        options: &LiveOptions,
        index: u32,
    ) -> Result<Self, CaptureError> {
        if let Some(expression) = &options.filter {
            PacketFilter::compile(expression)?; // errors name what the user wrote, not what is made of it
        }
        let mut options = options.clone();
        options.filter = share(options.filter.as_deref(), index, options.threads);
        let capture = activate(name, &options)?;
        Ok(Self {
            name: name.into(),
            options,
            link_type: link_type(&capture),
            capture: Some(capture),
            counted: (0, 0),
        })
    }

    pub(super) const fn link_type(&self) -> LinkType {
        self.link_type
    }
}

impl Device for LiveInterface {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn wait(&mut self, patience: Duration) {
        let Some(capture) = &self.capture else {
            return;
        };
        let mut waited_for = [PollFd::new(capture, PollFlags::IN)];
        let patience = Timespec::try_from(patience).ok();
        let _ = poll(&mut waited_for, patience.as_ref()); // a signal ends it early: so be it
    }

    fn take(&mut self, count: usize, batch: &mut PacketBatch) -> Result<usize, String> {
        let capture = self.capture.as_mut().ok_or("closed")?;
        capture
            .dispatch(Some(count), |packet| {
                let header = packet.header;
                push(batch, timestamp(header), header.len, packet.data);
            })
            .map_err(reason)
    }

    fn losses(&mut self) -> Losses {
        let Some(Ok(now)) = self.capture.as_mut().map(Capture::stats) else {
            return Losses::default();
        };
        let losses = Losses {
            kernel: now.dropped.wrapping_sub(self.counted.0).into(),
            interface: now.if_dropped.wrapping_sub(self.counted.1).into(),
        };
        self.counted = (now.dropped, now.if_dropped);
        losses
    }

    fn is_up(&self) -> bool {
        let path = format!("/sys/class/net/{}/flags", self.name);
        let flags = std::fs::read_to_string(path).unwrap_or_default();
        let digits = flags.trim().trim_start_matches("0x");
        // `any` has no such file: it is as good as up.
        u32::from_str_radix(digits, 16).map_or(true, |flags| flags & IFF_UP != 0)
    }

    fn close(&mut self) {
        self.capture = None;
    }

    fn reopen(&mut self) -> Result<(), String> {
        let capture = activate(&self.name, &self.options).map_err(|error| error.to_string())?;
        if link_type(&capture) != self.link_type {
            return Err("it came back with another link layer".to_owned());
        }
        self.counted = (0, 0);
        self.capture = Some(capture);
        Ok(())
    }
}

/// The filter for one of `threads` threads, each of which gets the packets of its share of the pairs of hosts.
///
/// So both directions of a connection, and fragments, come in order through one
/// thread. Packets of neither IPv4 nor IPv6 are the first thread's. (The kernel's
/// own fan-out would spread ports, too, but takes a socket option for which there
/// is no safe interface.)
fn share(filter: Option<&str>, index: u32, threads: u32) -> Option<String> {
    if threads <= 1 {
        return filter.map(str::to_owned);
    }
    let mut share = format!(
        "(ip and (ip[12:4] + ip[16:4]) % {threads} = {index}) or \
         (ip6 and (ip6[20:4] + ip6[36:4]) % {threads} = {index})"
    );
    if index == 0 {
        share += " or (not ip and not ip6)";
    }
    Some(match filter {
        Some(filter) if !filter.trim().is_empty() => format!("({filter}) and ({share})"),
        _ => share,
    })
}

fn activate(name: &str, options: &LiveOptions) -> Result<Capture<Active>, CaptureError> {
    let open = |is_promiscuous| {
        Capture::from_device(name)?
            .snaplen(clamped(options.snap_length))
            .buffer_size(clamped(options.buffer_size))
            .promisc(is_promiscuous)
            .timeout(clamped(PATIENCE.as_millis()))
            .precision(Precision::Nano)
            .open()?
            .setnonblock()
    };
    // libpcap warns where an interface cannot be promiscuous, and the crate takes that for an error.
    let opened = match open(options.is_promiscuous) {
        Err(_) if options.is_promiscuous => open(false),
        opened => opened,
    };
    let mut capture = opened.map_err(|error| refusal(name, error))?;
    // libpcap leaves its socket open in programs that this one starts, which could then read and send any packet.
    rustix::io::fcntl_setfd(&capture, FdFlags::CLOEXEC).map_err(|error| {
        CaptureError::Interface {
            interface: name.into(),
            reason: format!("cannot mark its socket close-on-exec: {error}"),
        }
    })?;
    if let Some(expression) = &options.filter {
        capture
            .filter(expression, true)
            .map_err(|error| CaptureError::Filter {
                expression: expression.clone(),
                reason: reason(error),
            })?;
    }
    Ok(capture)
}

/// The flag of an interface that somebody has set up (netdevice(7)).
const IFF_UP: u32 = 1;

fn clamped(number: impl TryInto<i32>) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}

fn refusal(name: &str, error: pcap::Error) -> CaptureError {
    let reason = reason(error);
    let interface = name.into();
    // libpcap's code is lost on the way; its text names the capability since 1.10, and said "permission" before.
    let is_permission = ["CAP_NET_RAW", "ermission", "not permitted"];
    if is_permission.iter().any(|word| reason.contains(word)) {
        return CaptureError::NotPermitted { interface };
    }
    CaptureError::Interface { interface, reason }
}

/// What libpcap said, without the name of the interface in front.
fn reason(error: pcap::Error) -> String {
    match error {
        pcap::Error::PcapError(text) if text.is_empty() => "libpcap does not say why".to_owned(),
        pcap::Error::PcapError(text) => text,
        other => other.to_string(),
    }
}

/// libpcap's number for a link layer differs from the registry's where systems disagreed.
fn link_type(capture: &Capture<Active>) -> LinkType {
    match capture.get_datalink().0 {
        11 => LinkType(100), // RFC 1483 ATM
        12 => LinkType(101), // raw IP
        number => LinkType(u32::try_from(number).unwrap_or(u32::MAX)),
    }
}

/// libpcap writes nanoseconds where the field's name says microseconds, as was asked for.
fn timestamp(header: &pcap::PacketHeader) -> Timestamp {
    let nanoseconds = Duration::from_nanos(u64::try_from(header.ts.tv_usec).unwrap_or(0));
    Timestamp::from_seconds(header.ts.tv_sec).saturating_add(nanoseconds)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::capture;
    use crate::time::Timestamp;

    /// Which of three threads get a packet between two hosts, by the last byte of their addresses.
    fn takers(filter: Option<&str>, from: u8, to: u8) -> Vec<u32> {
        let ip = [
            0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, from, 10, 0, 0, to,
        ];
        let frame = [&[0; 12][..], &[0x08, 0x00], &ip, &[0; 20]].concat();
        let takes = |index: &u32| {
            let expression = share(filter, *index, 3).unwrap();
            let mut filter = PacketFilter::compile(&expression).unwrap();
            let mut batch = PacketBatch::default();
            push(&mut batch, Timestamp::MIN, 54, &frame);
            batch.interfaces = Arc::new([capture::Interface {
                link_type: LinkType(1),
                source: "test0".into(),
                name: None,
            }]);
            filter.apply(&mut batch) == 0
        };
        (0..3).filter(takes).collect()
    }

    #[test]
    fn each_pair_of_hosts_has_one_thread_in_both_directions() {
        for to in 2..12 {
            let there = takers(None, 1, to);
            assert_eq!(there.len(), 1);
            assert_eq!(there, takers(None, to, 1));
        }
        assert_ne!(takers(None, 1, 2), takers(None, 1, 3));
    }

    #[test]
    fn shares_are_of_what_the_filter_lets_through() {
        assert_eq!(takers(Some("tcp"), 1, 2).len(), 1);
        assert!(takers(Some("udp or icmp"), 1, 2).is_empty());
        assert_eq!(share(Some("tcp"), 0, 1).as_deref(), Some("tcp"));
        assert_eq!(share(None, 0, 1), None);
    }
}
