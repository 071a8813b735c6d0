//! Which process holds a socket: the links in `/proc/PID/fd` (proc_pid_fd(5)).
//!
//! The kernel knows no way from a socket to its processes, so links are read until one names it. The links that named sockets of the
//! same control group before are tried first: a process uses the lowest number that is free, so with one connection at a time it is the
//! same again, and with many it is that of the oldest connection, which has just been closed. Then come the other links of processes
//! that held sockets of the group before.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{Dir, Mode, OFlags, open, readlinkat_raw};
use rustix::path::{Arg, DecInt};

/// Links remembered for each control group, and tried for each socket, which takes 1.4 µs for each (2 µs by its whole path).
const MAX_HINTS: usize = 64;
const MAX_TRIES: usize = 4;
/// Tries in a row after which a link that was wrong is forgotten.
const MAX_MISSES: u8 = 8;
/// Control groups with links remembered.
const MAX_GROUPS: usize = 1024;
/// Processes looked into in one search, and links read: some 5 ms.
const MAX_PROCESSES: usize = 512;
const MAX_LINKS: usize = 4096;

/// Processes whose directory of links stays open.
const MAX_DIRECTORIES: usize = 128;

/// A link that named a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hint {
    pid: u32,
    fd: u32,
    misses: u8,
}

/// Finds processes, and remembers where.
#[derive(Debug)]
pub(super) struct SocketsOfProcesses {
    /// `/proc`.
    root: PathBuf,
    /// Those that were right last come first.
    hints: HashMap<u64, VecDeque<Hint>>,
    /// Of processes that held sockets. A directory is that of one process for ever: the next one with its number has another.
    directories: HashMap<u32, OwnedFd>,
}

/// A socket whose process is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) inode: u32,
    /// The control group, or 0.
    pub(super) group: u64,
    pub(super) pid: Option<u32>,
}

/// How a search ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Search {
    /// Whether some processes may not be looked into.
    pub(super) is_denied: bool,
    /// Whether a limit ended it.
    pub(super) is_cut_short: bool,
}

impl SocketsOfProcesses {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            hints: HashMap::new(),
            directories: HashMap::new(),
        }
    }

    /// Tries the links that were right before; a few system calls for each socket.
    pub(super) fn try_hints(&mut self, wanted: &mut [Wanted]) {
        for wanted in wanted.iter_mut().filter(|wanted| wanted.pid.is_none()) {
            let Some(hints) = self.hints.get_mut(&wanted.group) else {
                continue;
            };
            // The newest, then the oldest ones.
            let order = [0].into_iter().chain((1..hints.len()).rev());
            for index in order.take(MAX_TRIES) {
                let Some(hint) = hints.get_mut(index) else {
                    break;
                };
                let directory = directory(&self.root, &mut self.directories, hint.pid);
                let link = directory.and_then(|directory| inode(directory, DecInt::new(hint.fd)));
                if link.ok().flatten() == Some(wanted.inode) {
                    wanted.pid = Some(hint.pid);
                    hint.misses = 0;
                    if let Some(hint) = hints.remove(index) {
                        hints.push_front(hint);
                    }
                    break;
                }
                hint.misses += 1;
            }
            hints.retain(|hint| {
                let is_kept = hint.misses < MAX_MISSES;
                if !is_kept {
                    self.directories.remove(&hint.pid); // the process may have ended
                }
                is_kept
            });
        }
    }

    /// The processes that held sockets of a group before.
    pub(super) fn known(&self, group: u64) -> Vec<u32> {
        let hints = self.hints.get(&group).into_iter().flatten();
        let mut processes: Vec<_> = hints.map(|hint| hint.pid).collect();
        processes.sort_unstable();
        processes.dedup();
        processes
    }

    /// Reads the links of these processes until all that is wanted is found.
    pub(super) fn search(
        &mut self,
        wanted: &mut [Wanted],
        processes: impl Iterator<Item = u32>,
    ) -> Search {
        let mut search = Search::default();
        let mut missing = wanted.iter().filter(|wanted| wanted.pid.is_none()).count();
        let mut links = 0;
        for (number, pid) in processes.enumerate() {
            if missing == 0 {
                break;
            }
            if number >= MAX_PROCESSES || links >= MAX_LINKS {
                search.is_cut_short = true;
                break;
            }
            let directory = match open_directory(&self.root, pid) {
                Ok(directory) => directory,
                Err(error) => {
                    search.is_denied |= error.kind() == ErrorKind::PermissionDenied;
                    continue;
                }
            };
            let Ok(entries) = Dir::read_from(&directory) else {
                continue; // the process has ended
            };
            let mut found = Vec::new();
            for entry in entries.flatten().take(MAX_LINKS - links) {
                links += 1;
                let Ok(Some(inode)) = inode(&directory, entry.file_name()) else {
                    continue;
                };
                let is_it = |wanted: &&mut Wanted| wanted.inode == inode && wanted.pid.is_none();
                let Some(wanted) = wanted.iter_mut().find(is_it) else {
                    continue;
                };
                wanted.pid = Some(pid);
                missing -= 1;
                if let Ok(fd) = entry.file_name().to_string_lossy().parse() {
                    found.push((wanted.group, fd));
                }
            }
            // The one that was kept may be that of an earlier process with the same number.
            self.directories.remove(&pid);
            if !found.is_empty() {
                keep(&mut self.directories, pid, directory);
            }
            for (group, fd) in found {
                self.remember(group, pid, fd);
            }
        }
        search
    }

    /// All processes, the newest numbers first.
    pub(super) fn all(&self) -> Vec<u32> {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
        let mut numbers: Vec<u32> = numbers.collect();
        numbers.sort_unstable_by(|one, other| other.cmp(one));
        numbers
    }

    /// The text of a file of a process, without the line's end.
    pub(super) fn read(&self, pid: u32, file: &str) -> Option<String> {
        let bytes = fs::read(self.root.join(pid.to_string()).join(file)).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        Some(text.trim_end_matches('\n').to_owned())
    }

    fn remember(&mut self, group: u64, pid: u32, fd: u32) {
        if self.hints.len() >= MAX_GROUPS && !self.hints.contains_key(&group) {
            self.hints.clear(); // they come again
        }
        let hints = self.hints.entry(group).or_default();
        hints.retain(|hint| (hint.pid, hint.fd) != (pid, fd));
        hints.push_front(Hint { pid, fd, misses: 0 });
        hints.truncate(MAX_HINTS);
    }
}

/// The directory of a process's links.
fn directory<'d>(
    root: &Path,
    directories: &'d mut HashMap<u32, OwnedFd>,
    pid: u32,
) -> io::Result<&'d OwnedFd> {
    if !directories.contains_key(&pid) {
        keep(directories, pid, open_directory(root, pid)?);
    }
    directories
        .get(&pid)
        .ok_or_else(|| ErrorKind::NotFound.into())
}

fn open_directory(root: &Path, pid: u32) -> io::Result<OwnedFd> {
    let path = root.join(pid.to_string()).join("fd");
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(open(path, flags, Mode::empty())?)
}

fn keep(directories: &mut HashMap<u32, OwnedFd>, pid: u32, directory: OwnedFd) {
    if directories.len() >= MAX_DIRECTORIES {
        directories.clear(); // they are opened again
    }
    directories.insert(pid, directory);
}

/// The inode of the socket that a link names, as in `socket:[INODE]`; `None` if it names something else.
fn inode(directory: &OwnedFd, link: impl Arg) -> io::Result<Option<u32>> {
    /// Longer than the name of any socket.
    const NAME: usize = 32;
    let mut buffer = [MaybeUninit::uninit(); NAME];
    let (name, _) = readlinkat_raw(directory, link, &mut buffer)?;
    let number = name
        .strip_prefix(b"socket:[")
        .and_then(|rest| rest.strip_suffix(b"]"));
    let number = number.and_then(|number| std::str::from_utf8(number).ok());
    Ok(number.and_then(|number| number.parse().ok()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const GROUP: u64 = 7;

    const fn wanted(inode: u32) -> Wanted {
        Wanted {
            inode,
            group: GROUP,
            pid: None,
        }
    }

    /// A `/proc` with some processes, each with the sockets at its descriptors.
    fn proc(name: &str, processes: &[(u32, &[(u32, u32)])]) -> PathBuf {
        let root = std::env::temp_dir().join(format!("tlscope-{name}-{}", std::process::id()));
        for (pid, sockets) in processes {
            let fd = root.join(pid.to_string()).join("fd");
            fs::create_dir_all(&fd).unwrap();
            symlink("/dev/null", fd.join("0")).unwrap();
            for (number, inode) in *sockets {
                symlink(format!("socket:[{inode}]"), fd.join(number.to_string())).unwrap();
            }
        }
        root
    }

    #[test]
    fn one_search_finds_all_that_is_wanted_and_hints_find_it_again() {
        let root = proc("sockets", &[(10, &[(3, 100)]), (20, &[(5, 200), (6, 300)])]);
        let mut sockets = SocketsOfProcesses::new(&root);
        assert_eq!(sockets.all(), [20, 10]);
        let mut both = [wanted(100), wanted(300), wanted(999)];
        let search = sockets.search(&mut both, [20, 10, 30].into_iter());
        assert_eq!(search, Search::default());
        assert_eq!(both.map(|wanted| wanted.pid), [Some(10), Some(20), None]);

        let mut again = [wanted(300), wanted(200)];
        sockets.try_hints(&mut again);
        assert_eq!(again.map(|wanted| wanted.pid), [Some(20), None]);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_hint_counts_only_while_its_link_names_the_socket() {
        let root = proc("hints", &[(10, &[(3, 100)])]);
        let mut sockets = SocketsOfProcesses::new(&root);
        sockets.search(&mut [wanted(100)], [10].into_iter());
        let link = root.join("10/fd/3");
        fs::remove_file(&link).unwrap();
        symlink("socket:[101]", &link).unwrap();
        let mut both = [wanted(100), wanted(101)];
        sockets.try_hints(&mut both);
        assert_eq!(both.map(|wanted| wanted.pid), [None, Some(10)]);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn the_link_of_the_oldest_connection_is_tried_early() {
        let links: Vec<(u32, u32)> = (3..23).map(|fd| (fd, 100 + fd)).collect();
        let root = proc("oldest", &[(10, &links)]);
        let mut sockets = SocketsOfProcesses::new(&root);
        for (_, inode) in &links {
            sockets.search(&mut [wanted(*inode)], [10].into_iter());
        }
        assert_eq!(sockets.known(GROUP), [10]);
        // The oldest connection is closed, and its number used again.
        for (fd, _) in &links {
            let link = root.join(format!("10/fd/{fd}"));
            fs::remove_file(&link).unwrap();
            symlink(format!("socket:[{}]", 200 + fd), &link).unwrap();
            let mut next = [wanted(200 + fd)];
            sockets.try_hints(&mut next);
            assert_eq!(next[0].pid, Some(10), "{fd}");
        }
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_link_that_is_always_wrong_is_forgotten() {
        let root = proc("wrong", &[(10, &[(3, 100)])]);
        let mut sockets = SocketsOfProcesses::new(&root);
        sockets.search(&mut [wanted(100)], [10].into_iter());
        for _ in 0..MAX_MISSES {
            assert_eq!(sockets.known(GROUP), [10]);
            sockets.try_hints(&mut [wanted(999)]);
        }
        assert!(sockets.known(GROUP).is_empty());
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_search_ends_at_its_limit() {
        let root = proc("limits", &[(10, &[])]);
        let mut sockets = SocketsOfProcesses::new(&root);
        let search = sockets.search(&mut [wanted(100)], 1000..2000);
        assert!(search.is_cut_short);
        fs::remove_dir_all(root).unwrap();
    }
}
