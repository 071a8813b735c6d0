//! The thread from sockets to processes and control groups.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use super::budget::Budget;
use super::cgroup;
use super::cgroup_tree::CgroupTree;
use super::sock_diag::Socket;
use super::sockets_of_processes::{Search, SocketsOfProcesses, Wanted};
use super::{Answer, Counters, Located, count, processor_time};
use crate::event::{LocalProcess, Workload};

/// Thousandths of a core, for searches and for all else: one search can take what a thousand known links take. With those of the
/// other thread this leaves one for the run, which joins answers and events.
const SHARE: u32 = 4;
const SHARE_OF_SEARCHES: u32 = 2;
/// How long the thread waits at most for more sockets, if little of the budget is left: each wake-up takes some 50 µs on a busy host.
const GATHER: Duration = Duration::from_millis(10);
/// ClientHellos of one round: one search is for all of them.
const MAX_ROUND: usize = 64;
/// Time between two searches in all processes of a control group, or of the host, once one that holds its sockets is known. Most
/// sockets that its links do not name are gone.
const FULL_SEARCH: Duration = Duration::from_millis(250);
/// How long the name of a process is taken for granted: a shell becomes another program with the same number.
const NAMES: Duration = Duration::from_secs(1);
/// Names remembered.
const MAX_NAMES: usize = 4096;

/// Looks into `/proc`.
pub(super) struct ProcessFinder {
    located: Receiver<Located>,
    answers: Sender<Answer>,
    counters: Arc<Counters>,
    groups: CgroupTree,
    sockets: SocketsOfProcesses,
    names: HashMap<u32, Named>,
    /// When all processes were searched last.
    searched: Duration,
}

/// What the budget allows, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effort {
    /// To name control groups, which are known.
    Groups,
    /// To try a few links for each socket, too.
    Hints,
    /// To read all links of processes that held sockets of the same groups before, too.
    Known,
    /// To read the links of many processes, too.
    Search,
}

/// What a process is called, and its group as `/proc` has it.
#[derive(Clone, Debug)]
struct Named {
    read: Duration,
    command: Option<Arc<str>>,
    group: Option<Arc<Workload>>,
}

impl ProcessFinder {
    pub(super) fn new(
        located: Receiver<Located>,
        answers: Sender<Answer>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            located,
            answers,
            counters,
            groups: CgroupTree::find(),
            sockets: SocketsOfProcesses::new(Path::new("/proc")),
            names: HashMap::new(),
            searched: Duration::ZERO,
        }
    }

    /// Works until no more sockets come.
    pub(super) fn run(mut self) {
        let start = Instant::now();
        let mut budget = Budget::new(SHARE, Duration::ZERO);
        let mut searches = Budget::new(SHARE_OF_SEARCHES, Duration::ZERO);
        let mut spent = processor_time();
        let mut round = Vec::with_capacity(MAX_ROUND);
        while let Ok(first) = self.located.recv() {
            round.clear();
            round.push(first);
            round.extend(self.located.try_iter().take(MAX_ROUND - 1));
            searches.settle(start.elapsed(), Duration::ZERO);
            let effort = match budget.is_left() {
                true if searches.is_ample() => Effort::Search,
                true if budget.is_ample() => Effort::Known,
                true => Effort::Hints,
                false => Effort::Groups,
            };
            let searched = self.answer(&round, effort, start.elapsed());
            searches.settle(start.elapsed(), searched);
            let total = processor_time();
            let other = total.saturating_sub(spent).saturating_sub(searched);
            budget.settle(start.elapsed(), other);
            spent = total;
            if budget.is_in_debt() {
                std::thread::sleep(budget.wait()); // the channel drops what comes meanwhile, and counts it
            } else {
                std::thread::sleep(GATHER.mul_f64(1.0 - budget.fill()));
            }
        }
    }

    /// Answers for a round; returns the processor time that a search took.
    fn answer(&mut self, round: &[Located], effort: Effort, now: Duration) -> Duration {
        let sockets = || {
            round
                .iter()
                .flat_map(|located| [located.client, located.server])
        };
        let mut wanted: Vec<_> = sockets()
            .flatten()
            .map(|socket| Wanted {
                inode: socket.inode,
                group: socket.cgroup.unwrap_or(0),
                pid: None,
            })
            .collect();
        if effort != Effort::Groups {
            self.sockets.try_hints(&mut wanted);
        }
        if matches!(effort, Effort::Known | Effort::Search) {
            self.search_known(&mut wanted);
        }
        let before = processor_time();
        let search = (effort == Effort::Search).then(|| self.search(&mut wanted, now));
        let searched = processor_time().saturating_sub(before);
        let mut wanted = wanted.into_iter();
        for located in round {
            let mut process = |socket: Option<Socket>| {
                let socket = socket?;
                let pid = wanted.next().and_then(|wanted| wanted.pid);
                let process = self.describe(&socket, pid, now);
                self.count(process.as_deref(), search);
                process
            };
            let answer = Answer {
                hello: located.hello,
                client: process(located.client),
                server: process(located.server),
            };
            let _ = self.answers.try_send(answer); // nobody takes them at the end of the run
        }
        searched
    }

    /// Searches for the sockets that are left in the processes that held others of their control groups.
    fn search_known(&mut self, wanted: &mut [Wanted]) {
        for group in missing_groups(wanted) {
            let known = self.sockets.known(group);
            self.sockets.search(wanted, known.into_iter());
        }
    }

    /// Searches for the sockets that are left in all processes of their control groups, or of the host.
    fn search(&mut self, wanted: &mut [Wanted], now: Duration) -> Search {
        let mut result = Search::default();
        for group in missing_groups(wanted) {
            let is_known = !self.sockets.known(group).is_empty();
            if is_known && now.saturating_sub(self.searched) < FULL_SEARCH {
                continue;
            }
            self.searched = now;
            let workload = self.groups.get(group, now);
            let file = workload.and_then(|workload| self.groups.processes(&workload));
            let listed = file.and_then(|file| std::fs::read_to_string(file).ok());
            let processes: Vec<u32> = match listed {
                Some(text) => text
                    .lines()
                    .rev()
                    .filter_map(|line| line.parse().ok())
                    .collect(),
                None => self.sockets.all(),
            };
            let search = self.sockets.search(wanted, processes.into_iter());
            result.is_denied |= search.is_denied;
            result.is_cut_short |= search.is_cut_short;
        }
        result
    }

    /// What is known of the process, and of its control group; `None` if nothing is.
    fn describe(
        &mut self,
        socket: &Socket,
        pid: Option<u32>,
        now: Duration,
    ) -> Option<Box<LocalProcess>> {
        let group = socket.cgroup.and_then(|id| self.groups.get(id, now));
        let named = pid.map(|pid| self.name(pid, now));
        let (command, group_of_process) =
            named.map_or((None, None), |named| (named.command, named.group));
        let workload = group.or(group_of_process);
        if pid.is_none() && workload.is_none() {
            return None;
        }
        let mut process = LocalProcess::new();
        process.pid = pid;
        process.command = command;
        process.workload = workload;
        Some(Box::new(process))
    }

    fn name(&mut self, pid: u32, now: Duration) -> Named {
        if let Some(named) = self.names.get(&pid)
            && now.saturating_sub(named.read) < NAMES
        {
            return named.clone();
        }
        if self.names.len() >= MAX_NAMES {
            self.names.clear(); // they are read again
        }
        let groups = self.sockets.read(pid, "cgroup").unwrap_or_default();
        let path = cgroup::path_of_process(&groups);
        let named = Named {
            read: now,
            command: self.sockets.read(pid, "comm").map(Into::into),
            group: path.map(|path| Arc::new(cgroup::workload(path))),
        };
        self.names.insert(pid, named.clone());
        named
    }

    fn count(&self, process: Option<&LocalProcess>, search: Option<Search>) {
        let counters = &self.counters;
        let counter = match (process, search) {
            (Some(process), _) if process.pid.is_some() => &counters.processes,
            (Some(_), _) => &counters.groups,
            (None, None) => &counters.over_budget,
            (None, Some(search)) if search.is_cut_short => &counters.over_budget,
            (None, Some(search)) if search.is_denied => &counters.denied,
            (None, Some(_)) => &counters.gone,
        };
        count(counter, 1);
    }
}

/// The control groups of sockets whose process is not known yet.
fn missing_groups(wanted: &[Wanted]) -> Vec<u64> {
    let missing = wanted.iter().filter(|wanted| wanted.pid.is_none());
    let mut groups: Vec<_> = missing.map(|wanted| wanted.group).collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}
