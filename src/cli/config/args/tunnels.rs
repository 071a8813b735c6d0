//! Where tunnels are recognised: flags of every command that takes packets.

use tlscope::observer::{TunnelPorts, TunnelPortsError};

/// The UDP ports of tunnels.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct TunnelArgs {
    /// Recognise a tunnel on these UDP ports, instead of its usual ones
    ///
    /// As in `vxlan=4789,9000`, or for several tunnels `vxlan=9000,geneve=9001`. `none`
    /// stands for no port. The tunnels, with their usual ports: vxlan (4789, 8472), vxlangpe
    /// (4790), geneve (6081), gtpu (2152), l2tp (1701), teredo (3544), capwap (5247), gre
    /// (4754), mpls (6635), tzsp (37008). tlscope needs no option for other tunnels. Packets
    /// on these ports that are not of the tunnel are plain UDP.
    #[arg(
        long, value_name = "TUNNEL=PORT", value_parser = tunnel_port,
        help_heading = "Input", env = "TLSCOPE_TUNNEL_PORT"
    )]
    pub(crate) tunnel_port: Vec<String>,
}

impl TunnelArgs {
    /// The ports of all tunnels.
    pub(crate) fn ports(&self) -> TunnelPorts {
        let mut ports = TunnelPorts::DEFAULT;
        for text in &self.tunnel_port {
            let _ = ports.set(text); // the parser has refused what is wrong
        }
        ports
    }
}

fn tunnel_port(text: &str) -> Result<String, TunnelPortsError> {
    text.parse::<TunnelPorts>().map(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use tlscope::observer::UdpTunnel;

    use super::*;

    #[test]
    fn each_option_sets_the_ports_of_its_tunnels() {
        let tunnel_port = ["vxlan=9000,9001", "geneve=none,gtpu=9002"];
        let tunnel_port = tunnel_port.map(str::to_owned).into();
        let ports = TunnelArgs { tunnel_port }.ports();
        assert_eq!(ports.find(1, 9001), Some(UdpTunnel::Vxlan));
        assert_eq!(ports.find(1, 9002), Some(UdpTunnel::Gtpu));
        assert_eq!((ports.find(1, 4789), ports.find(1, 6081)), (None, None));
    }

    #[test]
    fn an_option_that_is_no_list_of_ports_is_refused() {
        assert!(tunnel_port("vxlan=4789").is_ok());
        assert!(tunnel_port("vxlan:4789").is_err());
    }
}
