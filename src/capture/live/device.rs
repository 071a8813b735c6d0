//! One interface, opened through libpcap.

use std::sync::Arc;
use std::time::Duration;

use pcap::{Active, Capture, Precision};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::PATIENCE;
use super::queue::push;
use super::thread::{Device, Losses};
use crate::capture::{CaptureError, LinkType, PacketBatch, PacketRecord};
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
    /// Whether packets for other hosts are captured too.
    pub is_promiscuous: bool,
}

/// Defaults, in one place: help and manual quote them.
pub mod defaults {
    /// Bytes of a packet that are captured: as tcpdump, all of it, also where
    /// offload hands over more than a frame holds.
    pub const SNAP_LENGTH: u32 = 262_144;
    /// Bytes of the kernel's buffer: 13 ms at 10 Gbit/s, a second at 130 Mbit/s.
    pub const BUFFER_SIZE: u32 = 16 << 20;
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            filter: None,
            snap_length: defaults::SNAP_LENGTH,
            buffer_size: defaults::BUFFER_SIZE,
            is_promiscuous: false,
        }
    }
}

/// An interface that packets are captured on.
pub(super) struct Interface {
    name: Arc<str>,
    options: LiveOptions,
    link_type: LinkType,
    /// `None` while the interface is gone.
    capture: Option<Capture<Active>>,
    /// The kernel's counters when they were last read: they begin anew with each opening, and wrap.
    counted: (u32, u32),
}

impl Interface {
    /// Opens an interface.
    ///
    /// # Errors
    ///
    /// - [`CaptureError::Interface`] if packets cannot be captured on it.
    /// - [`CaptureError::NotPermitted`] if the process may not.
    /// - [`CaptureError::Filter`] if libpcap rejects the filter.
    pub(super) fn open(name: &str, options: &LiveOptions) -> Result<Self, CaptureError> {
        let capture = activate(name, options)?;
        Ok(Self {
            name: name.into(),
            options: options.clone(),
            link_type: link_type(&capture),
            capture: Some(capture),
            counted: (0, 0),
        })
    }

    pub(super) const fn link_type(&self) -> LinkType {
        self.link_type
    }
}

impl Device for Interface {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn wait(&mut self, patience: Duration) -> bool {
        let Some(capture) = &self.capture else {
            return false;
        };
        let mut waited_for = [PollFd::new(capture, PollFlags::IN)];
        let patience = Timespec::try_from(patience).ok();
        match poll(&mut waited_for, patience.as_ref()) {
            Ok(ready) => ready > 0,
            // A signal: whoever waits looks whether it is to stop.
            Err(error) => error != Errno::INTR,
        }
    }

    fn take(
        &mut self,
        count: usize,
        next: PacketRecord,
        batch: &mut PacketBatch,
    ) -> Result<usize, String> {
        let capture = self.capture.as_mut().ok_or("closed")?;
        let mut packet = next;
        capture
            .dispatch(Some(count), |captured| {
                packet.timestamp = timestamp(captured.header);
                packet.wire_length = captured.header.len;
                push(batch, packet, captured.data);
                packet.number += 1;
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
