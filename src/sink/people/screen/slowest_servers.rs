//! The servers whose handshakes take longest, in bounded memory.

use std::time::Duration;

use hashbrown::HashMap;

use crate::event::Handshake;
use crate::sink::people::summary::write_name;

/// Most servers at a time: the traffic chooses names, so the table is bounded.
const CAPACITY: usize = 1024;

/// Adds up how long handshakes take, by server.
#[derive(Debug, Default)]
pub(super) struct SlowestServers {
    servers: HashMap<String, Times, foldhash::fast::RandomState>,
    name: String,
}

/// How long the handshakes with one server took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    pub(super) count: u64,
    pub(super) longest: Duration,
    total: Duration,
}

impl Times {
    pub(super) fn mean(&self) -> Duration {
        let count = u32::try_from(self.count).unwrap_or(u32::MAX);
        self.total.checked_div(count).unwrap_or_default()
    }
}

impl SlowestServers {
    /// Records a handshake, if it completed.
    pub(super) fn record(&mut self, event: &Handshake) {
        let Some(duration) = event.timing.handshake else {
            return;
        };
        self.name.clear();
        write_name(&mut self.name, event);
        if !self.servers.contains_key(&self.name) && self.servers.len() >= CAPACITY {
            self.forget_half();
        }
        let times = self.servers.entry_ref(&self.name).or_default();
        times.count += 1;
        times.total = times.total.saturating_add(duration);
        times.longest = times.longest.max(duration);
    }

    /// Keeps the half with the most handshakes: the mean of the others is least certain.
    fn forget_half(&mut self) {
        let mut ranked: Vec<_> = self.servers.drain().collect();
        ranked.sort_by_key(|(_, times)| std::cmp::Reverse(times.count));
        ranked.truncate(CAPACITY / 2);
        self.servers.extend(ranked);
    }

    /// The `limit` servers with the longest mean, the longest first; names break ties.
    pub(super) fn top(&self, limit: usize) -> Vec<(&str, Times)> {
        let pairs = self.servers.iter();
        let mut ranked: Vec<_> = pairs.map(|(name, times)| (name.as_str(), *times)).collect();
        ranked.sort_by_key(|(name, times)| (std::cmp::Reverse(times.mean()), *name));
        ranked.truncate(limit);
        ranked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::test_events;

    fn took(milliseconds: u64, name: &str) -> Handshake {
        let mut event = test_events::completed();
        event.tls.server_name = Some(name.into());
        event.timing.handshake = Some(Duration::from_millis(milliseconds));
        event
    }

    #[test]
    fn ranks_by_the_mean() {
        let mut servers = SlowestServers::default();
        for (milliseconds, name) in [(10, "a"), (30, "a"), (25, "b"), (1, "c")] {
            servers.record(&took(milliseconds, name));
        }
        let top = servers.top(2);
        let found: Vec<_> = top
            .iter()
            .map(|(name, times)| (*name, times.mean().as_millis()))
            .collect();
        assert_eq!(found, [("b:443", 25), ("a:443", 20)]);
        assert_eq!(top[1].1.longest.as_millis(), 30);
    }

    #[test]
    fn a_flood_of_names_does_not_grow_the_table() {
        let mut servers = SlowestServers::default();
        for number in 0..3 * CAPACITY {
            servers.record(&took(1, &format!("{number}.example")));
        }
        assert!(servers.servers.len() <= CAPACITY);
    }
}
