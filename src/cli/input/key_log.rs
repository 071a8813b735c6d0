//! Key logs that the user names: read before the first packet, and in a live run followed as they grow.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tlscope::decrypt::Keys;
use tlscope::stats::Stats;
use zeroize::Zeroizing;

use crate::cli::error::Failure;
use crate::cli::tell_warning;

/// The secrets in all key logs; one without any earns a warning.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Keys, Failure> {
    let keys = Keys::default();
    for path in paths {
        let before = keys.counts().secrets;
        absorb(path, &keys).map_err(|error| {
            Failure::new(format_args!(
                "cannot read key log `{}`: {error}",
                path.display()
            ))
        })?;
        if keys.counts().secrets == before {
            tell_warning(format_args!(
                "no secret of TLS in key log `{}`",
                path.display()
            ));
        }
    }
    Ok(keys)
}

/// Says what the keys were not good for, where the user expects them to be good for something.
pub(crate) fn warn_of_use(keys: &Keys, stats: &Stats) {
    let encrypted = stats.connections_decrypted + stats.connections_keys_missing;
    if stats.connections_decrypted == 0 && stats.connections_keys_missing > 0 {
        tell_warning(format_args!(
            "no secret given belongs to any of {encrypted} encrypted connections"
        ));
    }
    if stats.connections_keys_wrong > 0 {
        tell_warning(format_args!(
            "wrong secrets: what was given for {} does not open it",
            connections(stats.connections_keys_wrong)
        ));
    }
    let forgotten = keys.counts().forgotten;
    if forgotten > 0 {
        tell_warning(format_args!(
            "too many secrets: those of {} were forgotten",
            connections(forgotten)
        ));
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
