//! Control groups by their number, which is the inode of their directory.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::event::Workload;

use super::cgroup;

/// Groups remembered, of some 200 bytes each: a large Kubernetes node has a thousand.
const MAX_GROUPS: usize = 1 << 13;
/// How deep groups are nested at most; systemd and Kubernetes need some eight.
const MAX_DEPTH: usize = 16;
/// Time between two walks. A group that is new waits for the next; so does a number that is not found.
const WALK_INTERVAL: Duration = Duration::from_secs(1);

/// The hierarchy of version 2, as last walked.
#[derive(Debug)]
pub(super) struct CgroupTree {
    /// Where it is mounted; `None` if it is not.
    root: Option<PathBuf>,
    groups: HashMap<u64, Arc<Workload>>,
    walked: Option<Duration>,
}

impl CgroupTree {
    pub(super) fn find() -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        Self::at(mount_point(&mounts).map(PathBuf::from))
    }

    fn at(root: Option<PathBuf>) -> Self {
        Self {
            root,
            groups: HashMap::new(),
            walked: None,
        }
    }

    /// The group with this number; `None` for the root, which says nothing.
    pub(super) fn get(&mut self, id: u64, now: Duration) -> Option<Arc<Workload>> {
        if !self.groups.contains_key(&id) && self.is_walk_due(now) {
            self.walk(now);
        }
        let group = self.groups.get(&id)?;
        (group.cgroup != "/").then(|| Arc::clone(group))
    }

    /// The file that lists the processes of a group.
    pub(super) fn processes(&self, group: &Workload) -> Option<PathBuf> {
        let relative = group.cgroup.trim_start_matches('/');
        Some(self.root.as_ref()?.join(relative).join("cgroup.procs"))
    }

    fn is_walk_due(&self, now: Duration) -> bool {
        self.walked
            .is_none_or(|walked| now.saturating_sub(walked) >= WALK_INTERVAL)
    }

    fn walk(&mut self, now: Duration) {
        self.walked = Some(now);
        let Some(root) = self.root.clone() else {
            return;
        };
        let mut before = std::mem::take(&mut self.groups);
        self.note(&mut before, inode(&root), "/".to_owned());
        self.walk_below(&root, "", 0, &mut before);
    }

    fn walk_below(
        &mut self,
        directory: &Path,
        path: &str,
        depth: usize,
        before: &mut HashMap<u64, Arc<Workload>>,
    ) {
        let Ok(entries) = fs::read_dir(directory) else {
            return; // gone, or not ours to read
        };
        for entry in entries.flatten() {
            if self.groups.len() >= MAX_GROUPS || depth >= MAX_DEPTH {
                return;
            }
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let below = format!("{path}/{}", entry.file_name().to_string_lossy());
            self.note(before, Some(entry.ino()), below.clone());
            self.walk_below(&entry.path(), &below, depth + 1, before);
        }
    }

    /// Numbers are used again: a group counts as known only under the same path.
    fn note(&mut self, before: &mut HashMap<u64, Arc<Workload>>, id: Option<u64>, path: String) {
        let Some(id) = id else {
            return;
        };
        let known = before.remove(&id).filter(|known| known.cgroup == path);
        let group = known.unwrap_or_else(|| Arc::new(cgroup::workload(&path)));
        self.groups.insert(id, group);
    }
}

fn inode(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).ok().map(|metadata| metadata.ino())
}

/// Where the hierarchy of version 2 is mounted, in `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
fn mount_point(mounts: &str) -> Option<&str> {
    mounts.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let is_cgroup2 = file_system.split(' ').next() == Some("cgroup2");
        is_cgroup2.then(|| mount.split(' ').nth(4)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hierarchy_of_version_2_is_found_among_the_mounts() {
        let mounts = "\
            25 30 0:23 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755\n\
            26 25 0:24 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw\n\
            27 25 0:25 / /sys/fs/cgroup/cpu rw shared:11 - cgroup cgroup rw,cpu\n";
        assert_eq!(mount_point(mounts), Some("/sys/fs/cgroup/unified"));
        assert_eq!(mount_point("1 2 0:1 / / rw - ext4 /dev/vda rw\n"), None);
    }

    #[test]
    fn a_group_that_is_new_is_found_by_the_next_walk() {
        let root = std::env::temp_dir().join(format!("tlscope-cgroups-{}", std::process::id()));
        let make = |path: &str| {
            let path = root.join(path);
            fs::create_dir_all(&path).unwrap();
            inode(&path).unwrap()
        };
        let nginx = make("system.slice/nginx.service");
        let mut tree = CgroupTree::at(Some(root.clone()));
        let second = Duration::from_secs(1);
        let found = tree.get(nginx, second).unwrap();
        assert_eq!(found.cgroup, "/system.slice/nginx.service");
        assert_eq!(found.unit.as_deref(), Some("nginx.service"));
        assert_eq!(tree.get(inode(&root).unwrap(), second), None);
        let procs = root.join("system.slice/nginx.service/cgroup.procs");
        assert_eq!(tree.processes(&found), Some(procs));

        let new = make("system.slice/new.service");
        assert_eq!(tree.get(new, second), None);
        let found = tree.get(new, 2 * second).unwrap();
        assert_eq!(found.unit.as_deref(), Some("new.service"));
        fs::remove_dir_all(root).unwrap();
    }
}
