//! The memory that there is: the machine's, or the control group's.

use std::fs;
use std::path::Path;

use tlscope::memory::MemoryLimit;

use super::args::MemoryArgs;

/// The limit that the user sets, or the usual one.
pub(crate) fn limit(args: &MemoryArgs) -> MemoryLimit {
    args.memory_limit.unwrap_or_else(usual_limit)
}

/// The limit where the user sets none: half of what there is, within bounds.
fn usual_limit() -> MemoryLimit {
    usual_limit_in(Path::new("/"))
}

/// The same for the system whose files are below `root`. Where these say nothing, as on systems without them, it is that of
/// a large machine.
fn usual_limit_in(root: &Path) -> MemoryLimit {
    let known = [machine(root), control_group(root)];
    let least = known.into_iter().flatten().min();
    least.map_or_else(MemoryLimit::default, MemoryLimit::for_machine)
}

/// Bytes of memory that the machine has.
fn machine(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Bytes that the control group of this process may use: its own limit, or one of a group around it.
fn control_group(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let limits = groups.lines().filter_map(|line| {
        // `0::/system.slice/tlscope.service`, or in version 1 `9:memory:/docker/0123`.
        let (_, line) = line.split_once(':')?;
        let (controllers, path) = line.split_once(':')?;
        let (mount, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            "memory" => ("sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => return None,
        };
        let mount = root.join(mount);
        let group = Path::new(path.trim_start_matches('/'));
        // Within a container, its group is the root of what it sees, whatever its path is outside.
        group
            .ancestors()
            .filter_map(|group| {
                let text = fs::read_to_string(mount.join(group).join(file)).ok()?;
                text.trim().parse().ok() // `max` is no number
            })
            .min()
    });
    limits.min()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// The limit in MiB on a system with these files.
    fn limit(files: &[(&str, &str)]) -> usize {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tlscope-memory-{}-{number}", std::process::id());
        let root = std::env::temp_dir().join(name);
        fs::create_dir_all(&root).unwrap();
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let limit = usual_limit_in(&root);
        fs::remove_dir_all(&root).unwrap();
        limit.bytes() >> 20
    }

    const MACHINE: (&str, &str) = (
        "proc/meminfo",
        "MemTotal:        819200 kB\nMemFree: 1 kB\n",
    );

    #[test]
    fn a_machine_gives_half_of_its_memory_and_an_unknown_one_what_is_usual() {
        assert_eq!(limit(&[MACHINE]), 400);
        assert_eq!(limit(&[]), 512);
        assert_eq!(limit(&[("proc/meminfo", "MemTotal: lots\n")]), 512);
    }

    #[test]
    fn a_control_group_counts_with_those_around_it() {
        let unit = "0::/system.slice/tlscope.service\n";
        let own = "sys/fs/cgroup/system.slice/tlscope.service/memory.max";
        let around = "sys/fs/cgroup/system.slice/memory.max";
        let of = |own_limit, around_limit| {
            limit(&[
                MACHINE,
                ("proc/self/cgroup", unit),
                (own, own_limit),
                (around, around_limit),
            ])
        };
        assert_eq!(of("max\n", "max\n"), 400);
        assert_eq!(of("268435456\n", "max\n"), 128);
        assert_eq!(of("max\n", "209715200\n"), 100);
    }

    #[test]
    fn a_container_sees_its_limit_at_the_root_in_both_versions() {
        let second = [
            MACHINE,
            ("proc/self/cgroup", "0::/\n"),
            ("sys/fs/cgroup/memory.max", "268435456\n"),
        ];
        let first = [
            MACHINE,
            ("proc/self/cgroup", "9:memory:/docker/0123\n8:cpu:/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n"),
        ];
        assert_eq!((limit(&second), limit(&first)), (128, 128));
    }
}
