//! Which program serves at an address of this host, by the sockets there that were looked up.
//!
//! A server is the same program for as long as it runs, while each of its connections has a socket of its own. So where there is no time
//! for one socket, those that were looked up at the same address a moment ago name the program. They do not name the process: a server
//! may have several.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;

use crate::event::LocalProcess;
use crate::flow::{Endpoint, IpProtocol};

/// Sockets in a row that have to agree before others are taken for those of the same program.
const ENOUGH: u32 = 4;
/// How long ago the last of them may have been looked up. Another program that takes over the address is noticed by the first of its
/// sockets that is looked up.
const FRESH: Duration = Duration::from_secs(5);
/// Addresses remembered.
const MAX_SERVERS: usize = 1024;

/// The programs, by the address at which they serve.
#[derive(Debug, Default)]
pub(super) struct Servers {
    known: HashMap<(IpProtocol, Endpoint), Known, RandomState>,
}

#[derive(Debug)]
struct Known {
    /// Without a number.
    program: LocalProcess,
    agreeing: u32,
    last: Duration,
}

impl Servers {
    /// Notes that a socket at an address belongs to a process.
    pub(super) fn note(
        &mut self,
        protocol: IpProtocol,
        server: Endpoint,
        process: &LocalProcess,
        now: Duration,
    ) {
        let key = (protocol, server);
        if let Some(known) = self.known.get_mut(&key)
            && known.program.command == process.command
            && known.program.workload == process.workload
        {
            known.agreeing = known.agreeing.saturating_add(1);
            known.last = now;
            return;
        }
        if self.known.len() >= MAX_SERVERS {
            self.known.clear(); // they are noted again
        }
        let mut program = process.clone();
        program.pid = None;
        self.known.insert(
            key,
            Known {
                program,
                agreeing: 1,
                last: now,
            },
        );
    }

    /// The program that serves at an address, if all sockets there of the last moments belong to it.
    pub(super) fn program(
        &self,
        protocol: IpProtocol,
        server: Endpoint,
        now: Duration,
    ) -> Option<Box<LocalProcess>> {
        let known = self.known.get(&(protocol, server))?;
        let is_sure = known.agreeing >= ENOUGH && now.saturating_sub(known.last) <= FRESH;
        (is_sure && known.program.command.is_some()).then(|| Box::new(known.program.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    const SERVER: Endpoint = Endpoint::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 443);
    const OTHER: Endpoint = Endpoint::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8443);

    fn process(pid: u32, command: &str) -> LocalProcess {
        let mut process = LocalProcess::new();
        process.pid = Some(pid);
        process.command = Some(command.into());
        process
    }

    fn command(servers: &Servers, server: Endpoint, now: Duration) -> Option<String> {
        let program = servers.program(IpProtocol::Tcp, server, now)?;
        assert_eq!(program.pid, None, "a server may have several processes");
        program.command.map(|command| command.to_string())
    }

    #[test]
    fn a_program_is_known_once_some_sockets_agree_and_for_a_while() {
        let mut servers = Servers::default();
        let at = Duration::from_secs;
        for number in 0..ENOUGH {
            assert_eq!(command(&servers, SERVER, at(1)), None);
            servers.note(IpProtocol::Tcp, SERVER, &process(number, "nginx"), at(1));
        }
        assert_eq!(command(&servers, SERVER, at(6)).as_deref(), Some("nginx"));
        assert_eq!(command(&servers, OTHER, at(1)), None);
        assert_eq!(command(&servers, SERVER, at(7)), None);
    }

    #[test]
    fn another_program_at_the_same_address_has_to_be_seen_as_often() {
        let mut servers = Servers::default();
        let now = Duration::ZERO;
        for _ in 0..2 * ENOUGH {
            servers.note(IpProtocol::Tcp, SERVER, &process(1, "nginx"), now);
        }
        servers.note(IpProtocol::Tcp, SERVER, &process(2, "haproxy"), now);
        assert_eq!(command(&servers, SERVER, now), None);
    }

    #[test]
    fn many_addresses_take_no_more_memory() {
        let mut servers = Servers::default();
        for port in 0..5000 {
            let server = Endpoint::new(SERVER.address, port);
            servers.note(
                IpProtocol::Tcp,
                server,
                &process(1, "nginx"),
                Duration::ZERO,
            );
        }
        assert!(servers.known.len() <= MAX_SERVERS);
    }
}
