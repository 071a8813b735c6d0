//! Sockets by their addresses: `NETLINK_SOCK_DIAG` with `SOCK_DIAG_BY_FAMILY` (sock_diag(7)).
//!
//! One request for each socket, many requests in one message to the kernel: 2 µs a socket, and 3.5 µs if each has a message of its
//! own. A dump of all sockets, filtered or not, walks the kernel's whole table, which took 195 µs on the same host when it was empty, and takes
//! longer with each connection, also with those in TIME-WAIT: 1.1 to 3.4 ms with 20,000, which is 20 s of a thousand connections a second.

use std::io;
use std::net::IpAddr;

use crate::flow::{Endpoint, IpProtocol};

use super::netlink::{self, Message, NetlinkSocket, REQUEST};

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// Address families.
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// Bytes of `struct inet_diag_sockid`, and where it begins in a request and in an answer.
const SOCKET_ID: usize = 48;
const REQUEST_HEAD: usize = 8;
const ANSWER_HEAD: usize = 4;
/// Bytes of `struct inet_diag_msg`, and where it has the user and the inode.
const ANSWER: usize = 72;
const UID: usize = 64;
const INODE: usize = 68;
/// The attribute `INET_DIAG_CGROUP_ID`, since Linux 5.9.
const CGROUP_ID: u16 = 21;
/// States of TCP without a socket that a process holds, and that of a socket which waits for connections.
const TIME_WAIT: u8 = 6;
const CLOSE: u8 = 7;
const LISTEN: u8 = 10;
const NEW_SYN_RECEIVED: u8 = 12;

/// Answers that the socket's buffer surely holds, with their overhead.
pub(super) const MAX_QUESTIONS: usize = 64;

/// What identifies a socket: the addresses of its packets, from its side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) protocol: IpProtocol,
    pub(super) local: Endpoint,
    pub(super) remote: Endpoint,
}

/// A socket that a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    /// As in `socket:[INODE]`, the target of its links in `/proc/PID/fd`.
    pub(super) inode: u32,
    /// The user who made it.
    pub(super) uid: u32,
    /// The control group in which it was made: the inode of its directory. `None` before Linux 5.9.
    pub(super) cgroup: Option<u64>,
}

/// Asks the kernel.
#[derive(Debug)]
pub(super) struct SocketDiagnosis {
    socket: NetlinkSocket,
    requests: Vec<u8>,
    /// That of the first question of the next message.
    sequence: u32,
}

impl SocketDiagnosis {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self {
            socket: NetlinkSocket::diagnosis()?,
            requests: Vec::new(),
            sequence: 0,
        })
    }

    /// Looks up at most [`MAX_QUESTIONS`]; `answers` get one entry for each, `None` if no process holds such a socket.
    pub(super) fn ask(
        &mut self,
        questions: &[Question],
        answers: &mut Vec<Option<Socket>>,
    ) -> io::Result<()> {
        let questions = questions.get(..MAX_QUESTIONS).unwrap_or(questions);
        answers.clear();
        answers.resize(questions.len(), None);
        self.requests.clear();
        let first = self.sequence;
        for (question, number) in questions.iter().zip(0_u32..) {
            push_question(&mut self.requests, first.wrapping_add(number), question);
        }
        self.sequence = first.wrapping_add(MAX_QUESTIONS as u32);
        self.socket.send(&self.requests)?;
        // Each answer is a message of its own.
        for _ in questions {
            let bytes = match self.socket.receive() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            for message in netlink::messages(bytes) {
                let index = message.sequence.wrapping_sub(first) as usize;
                if let (Some(answer), Some(question)) =
                    (answers.get_mut(index), questions.get(index))
                {
                    *answer = socket(&message, question);
                }
            }
        }
        Ok(())
    }
}

/// Appends the request for one socket.
fn push_question(requests: &mut Vec<u8>, sequence: u32, question: &Question) {
    let mut body = [0; REQUEST_HEAD + SOCKET_ID];
    body[0] = match question.local.address {
        IpAddr::V4(_) => AF_INET,
        IpAddr::V6(_) => AF_INET6,
    };
    body[1] = question.protocol.number();
    body[4..8].fill(0xff); // in any state
    let (_, id) = body.split_at_mut(REQUEST_HEAD);
    // Of UDP, the kernel takes them from the side of the packet ("swapped for historical reasons", `udp_dump_one`).
    let [source, destination] = match question.protocol {
        IpProtocol::Tcp => [question.local, question.remote],
        IpProtocol::Udp => [question.remote, question.local],
    };
    id[0..2].copy_from_slice(&source.port.to_be_bytes());
    id[2..4].copy_from_slice(&destination.port.to_be_bytes());
    put_address(&mut id[4..20], source.address);
    put_address(&mut id[20..36], destination.address);
    id[40..48].fill(0xff); // whatever its cookie is; on any interface
    netlink::push_request(requests, BY_FAMILY, REQUEST, sequence, &body);
}

fn put_address(field: &mut [u8], address: IpAddr) {
    match address {
        IpAddr::V4(v4) => field[..4].copy_from_slice(&v4.octets()),
        IpAddr::V6(v6) => field.copy_from_slice(&v6.octets()),
    }
}

/// The socket in an answer; `None` if it is an error, or a socket that no process holds.
///
/// Of TCP, the kernel answers with the socket that waits for connections if it has none for this connection. That can be the server's,
/// which has closed the connection, or a proxy's, in front of a server in another network namespace. So it does not count.
fn socket(message: &Message<'_>, question: &Question) -> Option<Socket> {
    let answer = message.body.first_chunk::<ANSWER>()?;
    let [_, state, ..] = answer;
    if message.kind != BY_FAMILY {
        return None;
    }
    let is_of_connection = match question.protocol {
        IpProtocol::Tcp => !matches!(*state, TIME_WAIT | CLOSE | LISTEN | NEW_SYN_RECEIVED),
        IpProtocol::Udp => true,
    };
    let port = answer.get(ANSWER_HEAD..)?.first_chunk()?;
    let inode = netlink::u32_at(answer, INODE)?;
    if !is_of_connection || u16::from_be_bytes(*port) != question.local.port || inode == 0 {
        return None;
    }
    let mut attributes = netlink::attributes(message.body.get(ANSWER..)?);
    let cgroup = attributes.find(|(kind, _)| *kind == CGROUP_ID);
    let cgroup = cgroup.and_then(|(_, value)| value.first_chunk());
    Some(Socket {
        inode,
        uid: netlink::u32_at(answer, UID)?,
        cgroup: cgroup.map(|bytes| u64::from_ne_bytes(*bytes)),
    })
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsRawFd;

    use super::*;

    const LOCAL: Endpoint = Endpoint::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 50_676);
    const REMOTE: Endpoint = Endpoint::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 50_031);
    const QUESTION: Question = Question {
        protocol: IpProtocol::Tcp,
        local: LOCAL,
        remote: REMOTE,
    };

    /// An answer of Linux 6.18 on a little-endian host, with the attributes of the shutdown state, the congestion control's absence
    /// and the control group.
    fn recorded(state: u8) -> Vec<u8> {
        let mut answer = vec![0; ANSWER];
        answer[0..2].copy_from_slice(&[AF_INET, state]);
        answer[4..6].copy_from_slice(&LOCAL.port.to_be_bytes());
        answer[6..8].copy_from_slice(&REMOTE.port.to_be_bytes());
        answer[8..12].copy_from_slice(&[127, 0, 0, 1]);
        answer[24..28].copy_from_slice(&[127, 0, 0, 1]);
        answer[64..68].copy_from_slice(&1000_u32.to_ne_bytes());
        answer[68..72].copy_from_slice(&5_404_261_u32.to_ne_bytes());
        let attribute = |kind: u16, value: &[u8]| {
            let length = u16::try_from(4 + value.len()).unwrap();
            let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
            bytes.extend_from_slice(value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        answer.extend(attribute(8, &[0]));
        answer.extend(attribute(15, &[0; 4]));
        answer.extend(attribute(CGROUP_ID, &4711_u64.to_ne_bytes()));
        answer.extend(attribute(22, &[0; 2]));
        answer
    }

    fn parse(kind: u16, body: &[u8]) -> Option<Socket> {
        let message = Message {
            kind,
            sequence: 1,
            body,
        };
        socket(&message, &QUESTION)
    }

    #[test]
    fn an_answer_has_the_inode_the_user_and_the_control_group() {
        let found = Socket {
            inode: 5_404_261,
            uid: 1000,
            cgroup: Some(4711),
        };
        assert_eq!(parse(BY_FAMILY, &recorded(1)), Some(found));
        assert_eq!(parse(netlink::ERROR, &recorded(1)), None);
    }

    #[test]
    fn a_socket_that_listens_or_has_ended_is_not_that_of_the_connection() {
        for state in [TIME_WAIT, CLOSE, LISTEN, NEW_SYN_RECEIVED] {
            assert_eq!(parse(BY_FAMILY, &recorded(state)), None);
        }
    }

    #[test]
    fn an_answer_cut_short_anywhere_is_no_socket_or_one_without_its_group() {
        let whole = recorded(1);
        for length in 0..whole.len() {
            let found = parse(BY_FAMILY, &whole[..length]);
            assert_eq!(found.is_some(), length >= ANSWER, "{length}");
        }
    }

    #[test]
    fn a_question_is_72_bytes_with_ports_and_addresses_in_network_order() {
        let mut bytes = Vec::new();
        push_question(&mut bytes, 7, &QUESTION);
        assert_eq!(bytes.len(), 72);
        assert_eq!(bytes[16..18], [AF_INET, 6]);
        assert_eq!(bytes[24..28], [0xc5, 0xf4, 0xc3, 0x6f]);
        assert_eq!(bytes[28..32], [127, 0, 0, 1]);
    }

    #[test]
    fn the_kernel_finds_both_ends_of_a_connection_and_not_one_that_is_gone() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        let (accepted, _) = server.accept().unwrap();
        let ask = |own: &TcpStream| Question {
            protocol: IpProtocol::Tcp,
            local: endpoint(own.local_addr().unwrap()),
            remote: endpoint(own.peer_addr().unwrap()),
        };
        let questions = [ask(&client), ask(&accepted)];
        let mut diagnosis = SocketDiagnosis::open().unwrap();
        let mut answers = Vec::new();
        diagnosis.ask(&questions, &mut answers).unwrap();
        let inodes: Vec<_> = answers.iter().flatten().map(|found| found.inode).collect();
        assert_eq!(inodes, [inode(&client), inode(&accepted)]);
        drop((client, accepted));
        diagnosis.ask(&questions, &mut answers).unwrap();
        assert_eq!(answers, [None, None]); // although the server listens
    }

    #[test]
    fn the_kernel_finds_a_server_of_udp_that_is_not_connected() {
        let server = UdpSocket::bind("0.0.0.0:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let question = Question {
            protocol: IpProtocol::Udp,
            local: Endpoint::new(LOCAL.address, port),
            remote: REMOTE,
        };
        let mut answers = Vec::new();
        let mut diagnosis = SocketDiagnosis::open().unwrap();
        diagnosis.ask(&[question], &mut answers).unwrap();
        assert_eq!(answers[0].unwrap().inode, inode(&server));
    }

    fn endpoint(address: std::net::SocketAddr) -> Endpoint {
        Endpoint::new(address.ip(), address.port())
    }

    fn inode(socket: &impl AsRawFd) -> u32 {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
        let text = link.display().to_string();
        let number = text.trim_start_matches("socket:[").trim_end_matches(']');
        number.parse().unwrap()
    }
}
