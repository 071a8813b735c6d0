//! Key logs that the user names, read before the first packet.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tlscope::decrypt::Keys;
use tlscope::memory::MemoryLimit;
use tlscope::stats::Stats;
use zeroize::Zeroizing;

use crate::cli::error::CliError;
use crate::cli::say;

/// The secrets in all key logs, as far as `limit` allows; warns of a key log without any.
pub(crate) fn read(paths: &[PathBuf], limit: MemoryLimit) -> Result<Keys, CliError> {
    let keys = Keys::default();
    if !paths.is_empty() {
        forbid_core_dumps();
    }
    keys.keep_within(if paths.is_empty() {
        limit.of_secrets_in_captures()
    } else {
        limit.of_key_logs()
    });
    for path in paths {
        let before = keys.counts();
        absorb(path, &keys).map_err(|error| unreadable(path, &error))?;
        let after = keys.counts();
        if after.secrets == before.secrets {
            // One warning is enough, and this one names the file.
            keys.uncount_malformed(after.malformed.saturating_sub(before.malformed));
            say::warning(format_args!(
                "no TLS secrets in key log `{}`",
                path.display()
            ));
        }
    }
    Ok(keys)
}

/// Keeps secrets out of core dumps, and other processes of the same user out of the memory.
///
/// If the kernel refuses, the run goes on: a dump needs a crash and a configuration that keeps it.
pub(crate) fn forbid_core_dumps() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    #[cfg(all(unix, not(target_os = "linux")))]
    let _ = rustix::process::setrlimit(
        rustix::process::Resource::Core,
        rustix::process::Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    );
}

/// The error for a key log that cannot be read.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> CliError {
    let path = path.display();
    CliError::new(format_args!("cannot read key log `{path}`: {error}"))
}

/// Warns if the keys, of which those in `paths` are a part, opened less than a user who gives keys expects.
pub(crate) fn warn_of_use(keys: &Keys, paths: &[PathBuf], stats: &Stats) {
    let place = place(paths);
    if stats.connections_decrypted == 0 && stats.connections_keys_missing > 0 {
        let connections = match stats.connections_keys_missing {
            1 => "the encrypted connection".to_owned(),
            count => format!("any of the {count} encrypted connections"),
        };
        let reason = match paths {
            [] => "",
            [_] => ": the key log may be of another run",
            _ => ": the key logs may be of other runs",
        };
        say::warning(format_args!(
            "no secret{place} belongs to {connections}{reason}"
        ));
    }
    if stats.connections_keys_wrong > 0 {
        say::warning(format_args!(
            "the secrets{place} for {} are wrong: they do not decrypt what was captured",
            connections(stats.connections_keys_wrong)
        ));
    }
    let counts = keys.counts();
    if counts.forgotten > 0 {
        say::warning(format_args!(
            "too many secrets: the secrets of {} were dropped",
            connections(counts.forgotten)
        ));
    }
    match counts.malformed {
        0 => {}
        1 => say::warning(format_args!(
            "1 line of the secrets{place} is damaged and was skipped"
        )),
        lines => say::warning(format_args!(
            "{lines} lines of the secrets{place} are damaged and were skipped"
        )),
    }
}

/// Where secrets are, as in `` in `keys.log` ``; nothing if the user named no key log.
fn place(paths: &[PathBuf]) -> String {
    match paths {
        [] => String::new(),
        [path] => format!(" in `{}`", path.display()),
        [first, others @ ..] => {
            let plural = if others.len() == 1 { "" } else { "s" };
            let (first, others) = (first.display(), others.len());
            format!(" in `{first}` and {others} other key log{plural}")
        }
    }
}

fn connections(count: u64) -> String {
    match count {
        1 => "1 connection".to_owned(),
        _ => format!("{count} connections"),
    }
}

/// Bytes read at once.
pub(crate) const BUFFER: usize = 64 << 10;

fn absorb(path: &Path, keys: &Keys) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = Zeroizing::new(vec![0; BUFFER]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => keys.absorb(buffer.get(..count).unwrap_or_default()),
        }
    }
    keys.finish();
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, dumpable_behavior};

    use super::*;

    #[test]
    fn a_process_that_reads_a_key_log_leaves_no_core_dump() {
        let missing = PathBuf::from("/nowhere/keys.log");
        let limit = MemoryLimit::default();
        assert!(read(&[missing], limit).is_err());
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
