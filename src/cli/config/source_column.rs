//! The column that names the file of each handshake.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use unicode_width::UnicodeWidthStr;

/// What the column needs to know of all paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceColumn {
    /// Columns of the longest.
    pub(crate) width: usize,
    /// Bytes at the beginning of all of them: whole words.
    pub(crate) common: usize,
    /// Whether several files have the same name.
    pub(crate) names_repeat: bool,
}

impl SourceColumn {
    /// The column for `paths`, which may be directories; `None` if there is only one file.
    pub(crate) fn of(paths: &[PathBuf]) -> Option<Self> {
        if matches!(paths, [path] if !path.is_dir()) {
            return None;
        }
        let files = paths.iter().flat_map(|path| match fs::read_dir(path) {
            Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
            Err(_) => vec![path.clone()],
        });
        let files: Vec<String> = files.map(|path| path.display().to_string()).collect();
        let names = files.iter().map(|path| path.rsplit('/').next());
        let names: BTreeSet<_> = names.collect();
        let widths = files.iter().map(|path| path.width());
        Some(Self {
            width: widths.max().unwrap_or_default(),
            common: common_beginning(&files),
            names_repeat: names.len() < files.len(),
        })
    }
}

/// Bytes of the words with which all texts begin: a number or a name is not split. 0 if there is only one text.
fn common_beginning(texts: &[String]) -> usize {
    let Some((first, others)) = texts.split_first().filter(|(_, rest)| !rest.is_empty()) else {
        return 0;
    };
    let common = others.iter().fold(first.as_str(), |common, other| {
        let pairs = common.chars().zip(other.chars());
        let same = pairs.take_while(|(a, b)| a == b);
        let length = same.map(|(c, _)| c.len_utf8()).sum();
        common.get(..length).unwrap_or_default()
    });
    let last = common.char_indices().rfind(|(_, c)| !c.is_alphanumeric());
    last.map_or(0, |(at, c)| at + c.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_begin_alike_up_to_the_first_word_that_differs() {
        for (texts, expected) in [
            (&["a/eth0-0800.pcap", "a/eth0-0830.pcap"][..], "a/eth0-"),
            (&["mon/a", "tue/a"], ""),
            (&["a/b", "a/b"], "a/"),
            (&["a/b"], ""),
            (&[], ""),
            (&["é…1", "é…2"], "é…"),
        ] {
            let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(common_beginning(&texts), expected.len(), "{texts:?}");
        }
    }

    #[test]
    fn one_file_needs_no_column() {
        let of = |paths: &[&str]| {
            let paths: Vec<_> = paths.iter().map(PathBuf::from).collect();
            SourceColumn::of(&paths)
        };
        assert_eq!(of(&["a.pcap"]), None);
        let column = of(&["mon/a.pcap", "tue/a.pcap"]).unwrap();
        assert!(column.names_repeat);
        assert_eq!((column.width, column.common), (10, 0));
    }
}
