//! The interfaces that there are.

use std::net::IpAddr;

use pcap::{ConnectionStatus, Device};

use super::device::{LiveInterface, LiveOptions};
use crate::capture::CaptureError;

/// An interface that could be captured on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Candidate {
    /// What `-i` takes.
    pub name: String,
    /// What libpcap says that it is.
    pub description: Option<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether it is up, and not known to lack its cable.
    pub is_up: bool,
    /// Whether it is the host's own.
    pub is_loopback: bool,
    /// Why it cannot be opened; `None` if it can.
    pub refusal: Option<CaptureError>,
}

/// What libpcap lists that carries no packets of a network.
const NO_NETWORK: [&str; 7] = [
    "bluetooth",
    "dbus-",
    "netanalyzer",
    "nflog",
    "nfqueue",
    "rpmsg",
    "usbmon",
];

impl Candidate {
    /// All interfaces, each opened for a moment to see whether that is possible.
    ///
    /// # Errors
    ///
    /// [`CaptureError::Interface`] if the system does not tell which there are.
    pub fn all() -> Result<Vec<Self>, CaptureError> {
        let devices = Device::list().map_err(|error| CaptureError::Interface {
            interface: "any".into(),
            reason: error.to_string(),
        })?;
        let is_network = |device: &Device| !NO_NETWORK.iter().any(|no| device.name.starts_with(no));
        Ok(devices
            .into_iter()
            .filter(is_network)
            .map(Self::of)
            .collect())
    }

    fn of(device: Device) -> Self {
        let flags = device.flags;
        Self {
            refusal: LiveInterface::open_all(&device.name, &LiveOptions::default()).err(),
            description: device.desc,
            addresses: device
                .addresses
                .iter()
                .map(|address| address.addr)
                .collect(),
            is_up: flags.is_up() && flags.connection_status != ConnectionStatus::Disconnected,
            is_loopback: flags.is_loopback(),
            name: device.name,
        }
    }
}
