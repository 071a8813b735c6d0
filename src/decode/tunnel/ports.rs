//! Which UDP ports belong to which tunnels.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

text_enum! {
    /// A tunnel over UDP, which is recognised by its port.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum UdpTunnel {
        /// VXLAN (RFC 7348): ports 4789, and 8472 of Linux before the number was assigned.
        Vxlan = "vxlan",
        /// VXLAN with the Generic Protocol Extension (draft-ietf-nvo3-vxlan-gpe): port 4790.
        VxlanGpe = "vxlangpe",
        /// Geneve (RFC 8926): port 6081.
        Geneve = "geneve",
        /// User plane of GTP (3GPP TS 29.281): port 2152.
        Gtpu = "gtpu",
        /// L2TP versions 2 and 3 (RFC 2661, RFC 3931): port 1701.
        L2tp = "l2tp",
        /// Teredo (RFC 4380): port 3544.
        Teredo = "teredo",
        /// Data of CAPWAP (RFC 5415): port 5247.
        Capwap = "capwap",
        /// GRE in UDP (RFC 8086): port 4754.
        Gre = "gre",
        /// MPLS in UDP (RFC 7510): port 6635.
        Mpls = "mpls",
        /// TZSP, in which wireless probes and routers forward what they capture: port 37008.
        Tzsp = "tzsp",
    }
}

impl UdpTunnel {
    /// Whether its packets may also come from its port: where a client has a port of its own, answers go there.
    const fn answers_from_its_port(self) -> bool {
        matches!(self, Self::Gtpu | Self::L2tp | Self::Teredo | Self::Capwap)
    }
}

/// The UDP ports that announce tunnels.
///
/// The text form is a list such as `vxlan=4789,8472,geneve=6081`: it sets the ports of the tunnels that it names, and
/// `none` stands for no port.
///
/// # Example
///
/// ```
/// use tlscope::observer::{TunnelPorts, UdpTunnel};
///
/// let mut ports = TunnelPorts::default();
/// assert_eq!(ports.find(50_000, 4789), Some(UdpTunnel::Vxlan));
/// ports.set("vxlan=9999,geneve=none")?;
/// assert_eq!(ports.find(50_000, 9999), Some(UdpTunnel::Vxlan));
/// assert_eq!(ports.find(50_000, 4789), None);
/// assert_eq!(ports.find(50_000, 6081), None);
/// # Ok::<(), tlscope::observer::TunnelPortsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelPorts {
    ports: Cow<'static, [(u16, UdpTunnel)]>,
    /// A bit for each of these ports modulo [`BITS`], so that most datagrams need no look at the list.
    bits: [u64; BITS / 64],
}

/// One line of the cache. With 64 bits, the ports of a few tunnels would claim a third of all datagrams, and those of DNS.
const BITS: usize = 512;

impl Default for TunnelPorts {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl TunnelPorts {
    /// The ports that IANA lists, and those in common use.
    pub const DEFAULT: Self = Self::new(Cow::Borrowed(&[
        (4789, UdpTunnel::Vxlan),
        (8472, UdpTunnel::Vxlan),
        (4790, UdpTunnel::VxlanGpe),
        (6081, UdpTunnel::Geneve),
        (2152, UdpTunnel::Gtpu),
        (1701, UdpTunnel::L2tp),
        (3544, UdpTunnel::Teredo),
        (5247, UdpTunnel::Capwap),
        (4754, UdpTunnel::Gre),
        (6635, UdpTunnel::Mpls),
        (37008, UdpTunnel::Tzsp),
    ]));

    const fn new(ports: Cow<'static, [(u16, UdpTunnel)]>) -> Self {
        let known: &[(u16, UdpTunnel)] = match &ports {
            Cow::Borrowed(ports) => ports,
            Cow::Owned(ports) => ports.as_slice(),
        };
        let (mut bits, mut at) = ([0; BITS / 64], 0);
        while at < known.len() {
            let (word, bit) = place(known[at].0);
            bits[word] |= bit;
            at += 1;
        }
        Self { ports, bits }
    }

    /// The tunnel that a datagram between two ports may hold.
    #[must_use]
    #[inline]
    pub fn find(&self, source: u16, destination: u16) -> Option<UdpTunnel> {
        if self.may_have_any([source, destination]) {
            self.find_in_list(source, destination)
        } else {
            None
        }
    }

    /// Whether one of two ports may be one of these.
    #[inline(always)]
    pub(crate) const fn may_have_any(&self, [source, destination]: [u16; 2]) -> bool {
        self.may_have(source) | self.may_have(destination)
    }

    /// Whether a port may be one of these.
    #[inline(always)]
    const fn may_have(&self, port: u16) -> bool {
        let (word, bit) = place(port);
        self.bits[word] & bit != 0
    }

    #[inline(never)]
    fn find_in_list(&self, source: u16, destination: u16) -> Option<UdpTunnel> {
        let of = |port: u16| self.ports.iter().find(|(known, _)| *known == port);
        let receiver = of(destination).map(|(_, tunnel)| *tunnel);
        receiver.or_else(|| {
            let (_, sender) = of(source)?;
            sender.answers_from_its_port().then_some(*sender)
        })
    }

    /// Sets the ports of the tunnels that `text` names; the others keep theirs, except ports that are given to another tunnel.
    ///
    /// # Errors
    ///
    /// [`TunnelPortsError`] if the text is not a list of tunnels and ports. The ports have then not changed.
    pub fn set(&mut self, text: &str) -> Result<(), TunnelPortsError> {
        let mut ports = self.ports.to_vec();
        let mut current = None;
        for item in text.split(',') {
            let port = match item.split_once('=') {
                Some((name, port)) => {
                    let tunnel = tunnel(name.trim())?;
                    ports.retain(|(_, known)| *known != tunnel);
                    current = Some(tunnel);
                    port
                }
                None => item,
            };
            let Some(tunnel) = current else {
                return Err(TunnelPortsError::NoTunnel(item.trim().to_owned()));
            };
            let port = port.trim();
            if port == "none" {
                continue;
            }
            let port = match port.parse() {
                Ok(port) if port != 0 => port,
                _ => return Err(TunnelPortsError::Port(port.to_owned())),
            };
            ports.retain(|(known, _)| *known != port);
            ports.push((port, tunnel));
        }
        *self = Self::new(Cow::Owned(ports));
        Ok(())
    }
}

/// Where the bit of a port is.
const fn place(port: u16) -> (usize, u64) {
    let bit = port as usize % BITS;
    (bit / 64, 1 << (bit % 64))
}

impl FromStr for TunnelPorts {
    type Err = TunnelPortsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut ports = Self::DEFAULT;
        ports.set(text)?;
        Ok(ports)
    }
}

fn tunnel(name: &str) -> Result<UdpTunnel, TunnelPortsError> {
    let mut known = UdpTunnel::ALL.iter();
    let tunnel = known.find(|tunnel| tunnel.as_str() == name);
    tunnel
        .copied()
        .ok_or_else(|| TunnelPortsError::UnknownTunnel(name.to_owned()))
}

/// Why a text does not say which ports belong to which tunnels.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TunnelPortsError {
    /// It begins without the name of a tunnel.
    NoTunnel(String),
    /// No tunnel has this name.
    UnknownTunnel(String),
    /// Not a port.
    Port(String),
}

impl fmt::Display for TunnelPortsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTunnel(item) => {
                write!(
                    f,
                    "`{item}` names no tunnel: write `vxlan=4789`, for example"
                )
            }
            Self::UnknownTunnel(name) => {
                let names: Vec<_> = UdpTunnel::ALL.iter().map(|known| known.as_str()).collect();
                write!(
                    f,
                    "unknown tunnel `{name}`, expected one of {}",
                    names.join(", ")
                )
            }
            Self::Port(port) => write!(f, "`{port}` is not a port, expected 1 to 65535 or `none`"),
        }
    }
}

impl std::error::Error for TunnelPortsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_sets_the_ports_of_the_tunnels_that_it_names() {
        let ports: TunnelPorts = "vxlan=4789, 9000,gtpu=none".parse().unwrap();
        assert_eq!(ports.find(1, 4789), Some(UdpTunnel::Vxlan));
        assert_eq!(ports.find(1, 9000), Some(UdpTunnel::Vxlan));
        assert_eq!(ports.find(1, 8472), None);
        assert_eq!(ports.find(1, 2152), None);
        assert_eq!(ports.find(1, 6081), Some(UdpTunnel::Geneve));
    }

    #[test]
    fn a_port_belongs_to_the_tunnel_that_was_named_last() {
        let ports: TunnelPorts = "vxlan=6081".parse().unwrap();
        assert_eq!(ports.find(1, 6081), Some(UdpTunnel::Vxlan));
    }

    #[test]
    fn only_tunnels_with_clients_answer_from_their_port() {
        let ports = TunnelPorts::default();
        assert_eq!(ports.find(1701, 1), Some(UdpTunnel::L2tp));
        assert_eq!(ports.find(4789, 1), None);
    }

    #[test]
    fn what_is_not_a_list_of_ports_is_refused_with_a_reason() {
        let refused = |text: &str| TunnelPorts::from_str(text).unwrap_err().to_string();
        let expected = "`4789` names no tunnel: write `vxlan=4789`, for example";
        assert_eq!(refused("4789"), expected);
        assert!(refused("vxlam=1").starts_with("unknown tunnel `vxlam`, expected one of vxlan, "));
        let expected = "`65536` is not a port, expected 1 to 65535 or `none`";
        assert_eq!(refused("vxlan=65536"), expected);
        for text in ["vxlan=0", "vxlan=", "vxlan=1,", "vxlan"] {
            assert!(TunnelPorts::from_str(text).is_err(), "{text}");
        }
    }
}
