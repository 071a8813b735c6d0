//! The servers with the most failures, in bounded memory.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hashbrown::HashMap;

use crate::event::{ErrorType, Handshake};

/// Most servers at a time: the traffic chooses names, so the table is bounded. When it is
/// full, the half with the fewest failures is dropped, which a server with a real share of
/// the failures is never in.
const CAPACITY: usize = 4096;

/// Most bytes of a name: a DNS name has at most 253.
const NAME_LENGTH: usize = 253;

/// Counts failures by server and cause.
#[derive(Debug, Default)]
pub(super) struct FailingServers {
    servers: HashMap<String, Failures, foldhash::fast::RandomState>,
    /// Failures of the servers that were dropped.
    forgotten: u64,
}

/// What went wrong at one server.
#[derive(Clone, Debug, Default)]
pub(super) struct Failures {
    pub(super) count: u64,
    causes: BTreeMap<ErrorType, u64>,
}

impl Failures {
    /// The causes with their counts, the most frequent first.
    pub(super) fn causes(&self) -> Vec<(ErrorType, u64)> {
        let mut causes: Vec<_> = self
            .causes
            .iter()
            .map(|(&cause, &count)| (cause, count))
            .collect();
        causes.sort_by_key(|&(_, count)| std::cmp::Reverse(count)); // stable: ties in order of the documentation
        causes
    }

    fn add(&mut self, cause: ErrorType) {
        self.count += 1;
        *self.causes.entry(cause).or_default() += 1;
    }
}

impl FailingServers {
    /// Counts a failure for `cause` of the server `name`, as [`write_name`] has it.
    pub(super) fn record(&mut self, name: &str, cause: ErrorType) {
        if let Some(failures) = self.servers.get_mut(name) {
            failures.add(cause);
            return;
        }
        if self.servers.len() >= CAPACITY {
            self.forget_half();
        }
        let failures = self.servers.entry_ref(name).or_default();
        failures.add(cause);
    }

    /// Keeps the half with the most failures.
    fn forget_half(&mut self) {
        let mut ranked: Vec<_> = self.servers.drain().collect();
        sort(&mut ranked);
        let gone = ranked.split_off(CAPACITY / 2);
        self.forgotten += gone.iter().map(|(_, failures)| failures.count).sum::<u64>();
        self.servers.extend(ranked);
    }

    /// The `limit` servers with the most failures, and how many failures all others had.
    pub(super) fn top(&self, limit: usize) -> (Vec<(String, Failures)>, u64) {
        let pairs = self.servers.iter();
        let mut ranked: Vec<_> = pairs
            .map(|(name, failures)| (name.clone(), failures.clone()))
            .collect();
        sort(&mut ranked);
        let rest = ranked.split_off(limit.min(ranked.len()));
        let others = rest.iter().map(|(_, failures)| failures.count).sum::<u64>();
        (ranked, others + self.forgotten)
    }
}

/// Most failures first; names break ties, so that equal input gives equal output.
fn sort(servers: &mut [(String, Failures)]) {
    servers.sort_unstable_by(|(a_name, a), (b_name, b)| (b.count, a_name).cmp(&(a.count, b_name)));
}

/// `example.org:443`, or the address where no name was asked for.
pub(in crate::sink) fn write_name(text: &mut String, event: &Handshake) {
    let written = match &event.tls.server_name {
        Some(name) => {
            text.push_str(shortened(name));
            text.push(':');
            push_number(text, event.server.port);
            Ok(())
        }
        None => write!(text, "{}", event.server),
    };
    debug_assert!(written.is_ok(), "a String takes all");
}

/// Each handshake has a port: formatting it takes as long as all that is counted under the name.
fn push_number(text: &mut String, number: u16) {
    let mut place = 10_000;
    while place > 1 && number < place {
        place /= 10;
    }
    while place > 0 {
        let digit = number / place % 10;
        text.push(char::from(b'0' + digit as u8));
        place /= 10;
    }
}

fn shortened(name: &str) -> &str {
    let mut end = name.len().min(NAME_LENGTH);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::test_events;

    fn failure_at(name: &str) -> String {
        let mut event = test_events::refused_by_the_client();
        event.tls.server_name = Some(name.into());
        let mut text = String::new();
        write_name(&mut text, &event);
        text
    }

    #[test]
    fn ranks_by_failures_then_by_name() {
        let mut servers = FailingServers::default();
        for name in ["b", "a", "c", "c"] {
            servers.record(&failure_at(name), ErrorType::UnknownCa);
        }
        let (top, others) = servers.top(2);
        let names: Vec<_> = top.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((names, others), (vec!["c:443", "a:443"], 1));
    }

    #[test]
    fn a_flood_of_names_neither_grows_the_table_nor_hides_a_server_that_fails_often() {
        let mut servers = FailingServers::default();
        let flood = 3 * CAPACITY;
        for number in 0..flood {
            servers.record(
                &failure_at(&format!("{number}.example")),
                ErrorType::UnknownCa,
            );
            if number % 10 == 0 {
                servers.record(&failure_at("busy.example"), ErrorType::CertExpired);
            }
        }
        assert!(servers.servers.len() <= CAPACITY);
        let (top, others) = servers.top(1);
        assert_eq!(top[0].0, "busy.example:443");
        assert_eq!(
            top[0].1.causes(),
            [(ErrorType::CertExpired, top[0].1.count)]
        );
        assert_eq!(top[0].1.count + others, (flood + flood.div_ceil(10)) as u64);
    }

    #[test]
    fn a_long_name_is_cut() {
        let mut servers = FailingServers::default();
        servers.record(&failure_at(&"é".repeat(1000)), ErrorType::UnknownCa);
        let (top, _) = servers.top(1);
        assert!(top[0].0.len() <= NAME_LENGTH + ":443".len());
    }
}
