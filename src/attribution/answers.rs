//! What was found, until the handshake has its verdict.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use foldhash::fast::RandomState;

use crate::event::{Handshake, Protocol};
use crate::flow::{Endpoint, IpProtocol};

use super::Answer;

/// Answers kept, of some 300 bytes each; the oldest leave first. Handshakes of some 16 s at a thousand a second.
const MAX_ANSWERS: usize = 1 << 14;

/// How far apart the times of a ClientHello may be in both captures: the event has that of its first segment. Ports are used again
/// after a longer time.
const SAME_HELLO: Duration = Duration::from_secs(2);

type Key = (IpProtocol, Endpoint, Endpoint);

/// Answers by connection.
#[derive(Debug, Default)]
pub(super) struct Answers {
    by_connection: HashMap<Key, Answer, RandomState>,
    /// In the order in which they came; those that were taken are still in it.
    order: VecDeque<Key>,
}

impl Answers {
    pub(super) fn insert(&mut self, answer: Answer) {
        let hello = &answer.hello;
        let key = (hello.protocol, hello.client, hello.server);
        self.by_connection.insert(key, answer);
        self.order.push_back(key);
        if self.order.len() > MAX_ANSWERS
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_connection.remove(&oldest);
        }
    }

    /// The answer for a handshake.
    pub(super) fn take(&mut self, event: &Handshake) -> Option<Answer> {
        if self.by_connection.is_empty() || event.protocol == Protocol::Eap {
            return None;
        }
        let protocol = event.transport.ip_protocol();
        let answer = self
            .by_connection
            .remove(&(protocol, event.client, event.server))?;
        let [earlier, later] = match answer.hello.at <= event.time {
            true => [answer.hello.at, event.time],
            false => [event.time, answer.hello.at],
        };
        let apart = later.checked_since(earlier)?;
        (apart <= SAME_HELLO).then_some(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::attribution::Hello;
    use crate::event::LocalProcess;
    use crate::time::Timestamp;

    const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const SERVER: Endpoint = Endpoint::new(HOST, 443);

    fn answer(port: u16, at: i64) -> Answer {
        Answer {
            hello: Hello {
                at: Timestamp::from_seconds(at),
                protocol: IpProtocol::Tcp,
                client: Endpoint::new(HOST, port),
                server: SERVER,
            },
            client: Some(Box::new(LocalProcess::new())),
            server: None,
        }
    }

    fn event(port: u16, at: i64) -> Handshake {
        let time = Timestamp::from_seconds(at);
        Handshake::new(time, Endpoint::new(HOST, port), SERVER)
    }

    #[test]
    fn an_answer_is_for_one_handshake_of_its_connection() {
        let mut answers = Answers::default();
        answers.insert(answer(5, 100));
        assert!(answers.take(&event(6, 100)).is_none());
        assert!(answers.take(&event(5, 101)).is_some());
        assert!(answers.take(&event(5, 101)).is_none());
    }

    #[test]
    fn the_answer_for_an_earlier_connection_between_the_same_ports_does_not_count() {
        let mut answers = Answers::default();
        answers.insert(answer(5, 100));
        assert!(answers.take(&event(5, 103)).is_none());
    }

    #[test]
    fn the_oldest_answers_leave_first() {
        let mut answers = Answers::default();
        for number in 0..MAX_ANSWERS + 10 {
            answers.insert(answer(u16::try_from(number).unwrap(), 100));
        }
        assert_eq!(answers.by_connection.len(), MAX_ANSWERS);
        assert!(answers.take(&event(9, 100)).is_none());
        assert!(answers.take(&event(10, 100)).is_some());
    }
}
