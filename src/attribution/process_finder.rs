//! The thread from sockets to processes and control groups.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use super::budget::Budget;
use super::cgroup;
use super::cgroup_tree::CgroupTree;
use super::sock_diag::Socket;
use super::sockets_of_processes::{Search, SocketsOfProcesses, Wanted};
use super::{Answer, Counters, Located, count, processor_time};
use crate::event::{LocalProcess, Workload};

/// Thousandths of a core for both threads: what the other one leaves of them is for this one, and one more is left for the run, which
/// joins answers and events. Searches have a limit of their own: one can take what a thousand known links take.
const SHARE: u32 = 9;
const SHARE_OF_SEARCHES: u32 = 2;
/// How long the thread waits at most for more sockets, if little of the budget is left: a wake-up takes 5 to 35 µs, as much as looking for
/// a dozen sockets. Connections that are shorter are gone then, but without the wait there is no time for most of the others.
const GATHER: Duration = Duration::from_millis(30);
/// ClientHellos of one round: one search is for all of them.
const MAX_ROUND: usize = 128;
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
        let mut spent = processor_time() + self.counters.spent_on_sockets();
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
            let total = processor_time() + self.counters.spent_on_sockets();
            budget.settle(start.elapsed(), total.saturating_sub(spent));
            spent = total;
            if budget.is_in_debt() {
                std::thread::sleep(budget.wait()); // the channel drops what comes meanwhile, and counts it
            } else {
                std::thread::sleep(GATHER.mul_f64((1.0 - budget.fill()).powi(2)));
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
        if group.is_some() {
            self.counters.names_groups.store(true, Ordering::Relaxed);
        }
        let named = pid.map(|pid| self.name(pid, now));
        let (command, group_of_process) =
            named.map_or((None, None), |named| (named.command, named.group));
        let workload = choose(group_of_process, group);
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

/// The group of the process that holds a socket, or else that in which the socket was made.
///
/// These differ where a socket is passed on. systemd listens for units with socket activation, so what they accept was made in its own
/// group, which says nothing of who holds it. A path that leads out of the namespace of this process (`/../…`) says less than the one of the
/// socket.
fn choose(
    of_process: Option<Arc<Workload>>,
    of_socket: Option<Arc<Workload>>,
) -> Option<Arc<Workload>> {
    let is_outside = |group: &Arc<Workload>| group.cgroup.starts_with("/..");
    match of_process {
        Some(group) if !is_outside(&group) => Some(group),
        Some(group) => of_socket.or(Some(group)),
        None => of_socket.filter(|group| group.cgroup != SYSTEMD),
    }
}

/// The group of systemd itself.
const SYSTEMD: &str = "/init.scope";

/// The control groups of sockets whose process is not known yet.
fn missing_groups(wanted: &[Wanted]) -> Vec<u64> {
    let missing = wanted.iter().filter(|wanted| wanted.pid.is_none());
    let mut groups: Vec<_> = missing.map(|wanted| wanted.group).collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(path: &str) -> Option<Arc<Workload>> {
        Some(Arc::new(cgroup::workload(path)))
    }

    #[test]
    fn a_socket_that_was_passed_on_belongs_to_the_group_of_its_holder() {
        let chosen =
            |of_process, of_socket| choose(of_process, of_socket).map(|group| group.cgroup.clone());
        let nginx = || group("/system.slice/nginx.service");
        let name = Some("/system.slice/nginx.service".to_owned());
        assert_eq!(chosen(nginx(), group(SYSTEMD)), name);
        assert_eq!(chosen(None, nginx()), name);
        assert_eq!(chosen(None, group(SYSTEMD)), None, "in any process");
        assert_eq!(chosen(group("/../nginx.service"), nginx()), name);
    }
}
