//! One interface, opened through libpcap.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use pcap::{Active, Capture, Precision};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::FdFlags;

use super::PATIENCE;
use super::fanout::Share;
use super::queue::push;
use super::source::now;
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
    /// Which of its packets the socket gets, if there are other sockets.
    share: Share,
    /// `None` while the interface is gone.
    capture: Option<Socket>,
    /// The kernel's counters when they were last read: they restart at zero with each opening, and wrap.
    counted: (u32, u32),
}

/// An open capture.
struct Socket {
    capture: Capture<Active>,
    /// Packets from before are those of other sockets, too.
    since: Timestamp,
}

impl LiveInterface {
    /// Opens an interface, as often as it has capture threads: packets are spread over them.
    ///
    /// # Errors
    ///
    /// - [`CaptureError::Interface`] if packets cannot be captured on it.
    /// - [`CaptureError::NotPermitted`] if the process may not.
    /// - [`CaptureError::Filter`] if libpcap rejects the filter.
    pub(super) fn open_all(name: &str, options: &LiveOptions) -> Result<Vec<Self>, CaptureError> {
        if let Some(expression) = &options.filter {
            PacketFilter::compile(expression)?; // errors name what the user wrote, not what is made of it
        }
        let shares = Share::among(options.threads).into_iter();
        shares
            .map(|share| Self::open(name, options, share))
            .collect()
    }

    /// The same for one thread.
    fn open(name: &str, options: &LiveOptions, share: Share) -> Result<Self, CaptureError> {
        let mut options = options.clone();
        options.filter = share.filter(options.filter.as_deref());
        let socket = activate(name, &options, &share)?;
        Ok(Self {
            name: name.into(),
            options,
            link_type: link_type(&socket.capture),
            share,
            capture: Some(socket),
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
        let Some(socket) = &self.capture else {
            return;
        };
        let mut waited_for = [PollFd::new(&socket.capture, PollFlags::IN)];
        let patience = Timespec::try_from(patience).ok();
        let _ = poll(&mut waited_for, patience.as_ref()); // a signal ends it early: so be it
    }

    fn take(&mut self, count: usize, batch: &mut PacketBatch) -> Result<usize, String> {
        let Socket { capture, since } = self.capture.as_mut().ok_or("closed")?;
        capture
            .dispatch(Some(count), |packet| {
                let time = timestamp(packet.header);
                if time >= *since {
                    push(batch, time, packet.header.len, packet.data);
                }
            })
            .map_err(reason)
    }

    fn losses(&mut self) -> Losses {
        let Some(Ok(now)) = self.capture.as_mut().map(|socket| socket.capture.stats()) else {
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
        let socket =
            activate(&self.name, &self.options, &self.share).map_err(|error| error.to_string())?;
        if link_type(&socket.capture) != self.link_type {
            return Err("it came back with another link layer".to_owned());
        }
        self.counted = (0, 0);
        self.capture = Some(socket);
        Ok(())
    }
}

fn activate(name: &str, options: &LiveOptions, share: &Share) -> Result<Socket, CaptureError> {
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
    let cannot = |what: &str, error: &dyn Display| CaptureError::Interface {
        interface: name.into(),
        reason: format!("cannot {what}: {error}"),
    };
    // libpcap leaves its socket open in programs that this one starts, which could then read and send any packet.
    rustix::io::fcntl_setfd(&capture, FdFlags::CLOEXEC)
        .map_err(|error| cannot("mark its socket close-on-exec", &error))?;
    if let Some(expression) = &options.filter {
        capture
            .filter(expression, true)
            .map_err(|error| CaptureError::Filter {
                expression: expression.clone(),
                reason: reason(error),
            })?;
    }
    let is_shared = share
        .join(&capture)
        .map_err(|error| cannot("share its packets between threads", &error))?;
    let since = match is_shared {
        true => now(),
        false => Timestamp::MIN,
    };
    Ok(Socket { capture, since })
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
