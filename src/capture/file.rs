//! Finds and opens inputs, and detects their format by content.

use std::fs::{self, File};
use std::io::{self, Read};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::block::{BlockReader, Format, Input};
use super::compressed::{self, Compression, NoRoom, Windows};
use super::{CaptureError, Position, Problem};
use crate::memory::MemoryLimit;

/// Where the bytes of a capture come from.
pub(super) enum FileOrigin {
    /// A file, a pipe or a device.
    Path(PathBuf),
    /// Something that is open already, and cannot be opened again.
    Reader(Box<dyn Read + Send>),
    /// Was a reader that has been taken.
    Taken,
}

impl FileOrigin {
    /// What the user means by `path`: `-` is standard input.
    pub(super) fn from_argument(path: &Path) -> Self {
        if path.as_os_str() == "-" {
            return Self::Reader(Box::new(io::stdin()));
        }
        Self::Path(path.to_owned())
    }

    /// The length in bytes, if that is known beforehand.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Self::Path(path) => regular_file_length(path),
            Self::Reader(_) | Self::Taken => None,
        }
    }

    /// Bytes of memory that decompressing it takes, or 0. Waits for the first bytes of what can be read only once, and keeps them.
    pub(super) fn decompression(&mut self) -> u64 {
        let mut bytes: Box<dyn Read + Send> = match mem::replace(self, Self::Taken) {
            Self::Path(path) => {
                let Ok(file) = open_file(&path) else {
                    *self = Self::Path(path); // the error is reported when it is read
                    return 0;
                };
                if regular_file_length(&path).is_some() {
                    *self = Self::Path(path);
                }
                Box::new(file)
            }
            Self::Reader(reader) => reader,
            Self::Taken => return 0,
        };
        let mut head = read_head(&mut bytes).unwrap_or_default();
        if Compression::recognise(&head).is_some() {
            read_rest_of_head(&mut head, &mut bytes);
        }
        let memory = Compression::memory(&head);
        if matches!(self, Self::Taken) {
            *self = Self::Reader(Box::new(io::Cursor::new(head).chain(bytes)));
        }
        memory
    }

    /// Opens the capture, which may wait for its first bytes; `bytes_read` counts what is read.
    pub(super) fn open(
        &mut self,
        file: &Arc<str>,
        block_size: usize,
        bytes_read: &Arc<AtomicU64>,
        windows: &Windows,
    ) -> Result<BlockReader, CaptureError> {
        let (bytes, eager): (Box<dyn Read + Send>, bool) = match self {
            Self::Path(path) => {
                let opened = open_file(path).map_err(|error| CaptureError::Open {
                    file: Arc::clone(file),
                    reason: error.to_string(),
                })?;
                (Box::new(opened), regular_file_length(path).is_none())
            }
            Self::Reader(_) => match mem::replace(self, Self::Taken) {
                Self::Reader(reader) => (reader, true),
                _ => (Box::new(io::empty()), true),
            },
            Self::Taken => (Box::new(io::empty()), true),
        };
        let counted = Counted {
            bytes,
            count: Arc::clone(bytes_read),
        };
        recognise(file, counted, eager, block_size, windows)
    }
}

fn regular_file_length(path: &Path) -> Option<u64> {
    let metadata = fs::metadata(path).ok()?;
    metadata.is_file().then_some(metadata.len())
}

fn open_file(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(file)
}

/// Tells compression and format by the first bytes.
fn recognise(
    file: &Arc<str>,
    mut bytes: Counted,
    eager: bool,
    block_size: usize,
    windows: &Windows,
) -> Result<BlockReader, CaptureError> {
    let mut head = read_head(&mut bytes).map_err(|error| unreadable(file, false, &error))?;
    let compression = Compression::recognise(&head);
    let (head, mut bytes): (_, Box<dyn Read + Send>) = match compression {
        None => (head, Box::new(bytes)),
        Some(compression) => {
            read_rest_of_head(&mut head, &mut bytes);
            compression
                .decode(&head.clone(), io::Cursor::new(head).chain(bytes), windows)
                .and_then(|mut bytes| Ok((read_head(&mut bytes)?, bytes)))
                .map_err(|error| not_decompressed(file, &error))?
        }
    };
    let format = match format(file, &head) {
        // A pipe may have no more bytes for now.
        Err(CaptureError::NotACapture { file, .. }) if !eager && is_tar(&head, &mut bytes) => {
            let seen = "is a tar archive: extract it first".to_owned();
            return Err(CaptureError::NotACapture { file, seen });
        }
        format => format?,
    };
    let input = Input {
        file: Arc::clone(file),
        bytes: Box::new(io::Cursor::new(head).chain(bytes)),
        decompressed: compression.is_some(),
        eager,
    };
    Ok(BlockReader::new(input, format, block_size))
}

fn not_decompressed(file: &Arc<str>, error: &io::Error) -> CaptureError {
    let no_room = error
        .get_ref()
        .and_then(|error| error.downcast_ref::<NoRoom>());
    no_room.map_or_else(
        || unreadable(file, true, error),
        |no_room| CaptureError::NoRoomToDecompress {
            file: Arc::clone(file),
            needed: no_room.needed,
            taken: no_room.taken,
            room: no_room.room,
            limit: MemoryLimit::to_decompress(no_room.needed as usize).bytes() as u64,
        },
    )
}

fn unreadable(file: &Arc<str>, decompressed: bool, error: &io::Error) -> CaptureError {
    let offset = 0;
    CaptureError::Read {
        file: Arc::clone(file),
        position: Position {
            offset,
            decompressed,
        },
        reason: error.to_string(),
    }
}

/// The first bytes, as many as there are; an error only if there are none.
fn read_head(bytes: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = [0; HEAD];
    let mut length = 0;
    while let Some(room) = head.get_mut(length..).filter(|room| !room.is_empty()) {
        match bytes.read(room) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if length == 0 => return Err(error),
            Err(_) => break, // it will be met again where its place is known
        }
    }
    Ok(head.get(..length).unwrap_or_default().to_vec())
}

/// Reads as much of a compressed file as says how large its window is.
fn read_rest_of_head(head: &mut Vec<u8>, bytes: &mut impl Read) {
    let rest = (compressed::HEAD - HEAD) as u64;
    // An error will be met again where its place is known.
    let _ = bytes.by_ref().take(rest).read_to_end(head);
}

fn format(file: &Arc<str>, head: &[u8]) -> Result<Format, CaptureError> {
    let file = Arc::clone(file);
    if head.is_empty() {
        return Err(CaptureError::Empty { file });
    }
    let format = head
        .first_chunk()
        .and_then(|magic| Format::recognise(*magic));
    format.ok_or_else(|| {
        let seen = describe(head);
        CaptureError::NotACapture { file, seen }
    })
}

/// Whether a file is a tar archive, whose first bytes are the name of a file: the magic comes later (POSIX.1, ustar).
fn is_tar(head: &[u8], mut rest: impl Read) -> bool {
    const MAGIC: &[u8] = b"ustar";
    const OFFSET: usize = 257;
    let mut skipped = vec![0; OFFSET.saturating_sub(head.len())];
    let mut magic = [0; MAGIC.len()];
    let mut read = |bytes: &mut [u8]| rest.read_exact(bytes).is_ok();
    read(&mut skipped) && read(&mut magic) && magic == MAGIC
}

/// What a file that is no capture is instead, by its first bytes.
fn describe(head: &[u8]) -> String {
    let known = KNOWN_FORMATS
        .iter()
        .find(|(magic, _)| head.starts_with(magic));
    if let Some((_, what)) = known {
        return format!("is {what}");
    }
    if head.len() >= MIN_TEXT && is_text(head) {
        return TEXT.to_owned();
    }
    let start: String = head.iter().take(4).map(|b| format!("{b:02x}")).collect();
    format!("is not a pcap or pcapng capture (starts with 0x{start})")
}

/// What [`describe`] returns for text.
const TEXT: &str = "looks like text, not a capture (pcap or pcapng)";

/// Bytes that look like text by chance if they are fewer.
const MIN_TEXT: usize = 4;

/// Whether `head` looks like text: UTF-8 that may be cut off, without control characters but those of text.
fn is_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            let whole = head.get(..error.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(whole).unwrap_or_default()
        }
        Err(_) => return false,
    };
    let is_control = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    !text.is_empty() && !text.chars().any(is_control)
}

/// The captures that a path stands for: itself or, for a directory, the files
/// directly in it by name. Not every file in a directory is a capture, so what
/// does not look like one is a warning there.
pub(super) fn captures(
    path: &Path,
    windows: &Windows,
    problems: &mut Vec<Problem>,
) -> Vec<PathBuf> {
    if path.as_os_str() == "-" || !path.is_dir() {
        return vec![path.to_owned()];
    }
    let directory: Arc<str> = path.to_string_lossy().into();
    let files = match files_in(path) {
        Ok(files) => files,
        Err(error) => {
            let (file, reason) = (directory, error.to_string());
            problems.push(CaptureError::Open { file, reason }.into());
            return Vec::new();
        }
    };
    let mut skipped = Skipped::default();
    let captures: Vec<PathBuf> = files
        .into_iter()
        .filter(|file| looks_like_a_capture(file, windows, &mut skipped, problems))
        .collect();
    problems.extend(skipped.problems());
    if captures.is_empty() {
        let try_this = match has_directories(path) {
            true => format!(
                "; subdirectories are not searched: try `{}/*/`",
                directory.trim_end_matches('/')
            ),
            false => String::new(),
        };
        let error = CaptureError::NoCaptures { directory };
        problems.push(Problem::error(format!("{error}{try_this}")));
    }
    captures
}

/// Refuses a path that stands for no capture.
pub(super) fn check(path: &Path, windows: &Windows) -> Result<(), CaptureError> {
    let file: Arc<str> = path.to_string_lossy().into();
    if path.is_dir() {
        let is_none = captures(path, windows, &mut Vec::new()).is_empty();
        return match is_none {
            true => Err(CaptureError::NoCaptures { directory: file }),
            false => Ok(()),
        };
    }
    if path.as_os_str() == "-" || (path.exists() && regular_file_length(path).is_none()) {
        return Ok(()); // what is read here would be missing later
    }
    FileOrigin::Path(path.to_owned()).open(&file, HEAD, &Arc::default(), windows)?;
    Ok(())
}

fn has_directories(directory: &Path) -> bool {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| path.is_dir())
}

fn files_in(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    let mut files: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
    files.retain(|file| !file.is_dir());
    files.sort();
    Ok(files)
}

/// Key logs and texts in a directory of captures. Each kind is one warning: there may be one next to each capture.
#[derive(Default)]
struct Skipped {
    key_logs: Vec<Arc<str>>,
    texts: Vec<Arc<str>>,
}

impl Skipped {
    /// Takes a file that is `seen` to be no capture; false if it deserves a warning of its own.
    fn take(&mut self, file: &Arc<str>, seen: &str) -> bool {
        let kind = match seen {
            TEXT => &mut self.texts,
            _ if seen.strip_prefix("is ") == Some(KEY_LOG) => &mut self.key_logs,
            _ => return false,
        };
        kind.push(Arc::clone(file));
        true
    }

    fn problems(&self) -> impl Iterator<Item = Problem> {
        let key_logs = match &self.key_logs[..] {
            [] => None,
            [only] => Some(format!("skipped: `{only}` is {KEY_LOG}")),
            [first, ..] => Some(format!(
                "skipped {} TLS key logs: pass each that you need with `--keylog`, as in `--keylog {first}`",
                self.key_logs.len()
            )),
        };
        let texts = match &self.texts[..] {
            [] => None,
            [only] => Some(format!("skipped: `{only}` {TEXT}")),
            [first, ..] => Some(format!(
                "skipped {} files that look like text, as `{first}`",
                self.texts.len()
            )),
        };
        [key_logs, texts]
            .into_iter()
            .flatten()
            .map(Problem::warning)
    }
}

/// Whether a file of a directory is a capture; if not, it is `skipped` or a problem.
fn looks_like_a_capture(
    path: &Path,
    windows: &Windows,
    skipped: &mut Skipped,
    problems: &mut Vec<Problem>,
) -> bool {
    let file: Arc<str> = path.to_string_lossy().into();
    if regular_file_length(path).is_none() {
        let text = format!("skipped `{file}`: not a regular file");
        problems.push(Problem::warning(text)); // opening a pipe could wait for ever
        return false;
    }
    let opened = FileOrigin::Path(path.to_owned()).open(&file, HEAD, &Arc::default(), windows);
    match opened {
        // What cannot be decompressed is reported together when it is due.
        Ok(_) | Err(CaptureError::NoRoomToDecompress { .. }) => true,
        Err(CaptureError::NotACapture { ref seen, .. })
            if !is_named_like_a_capture(path) && skipped.take(&file, seen) =>
        {
            false
        }
        Err(error @ (CaptureError::NotACapture { .. } | CaptureError::Empty { .. })) => {
            let text = format!("skipped: {error}");
            problems.push(if is_named_like_a_capture(path) {
                Problem::error(text) // its packets are missing, whatever happened to it
            } else {
                Problem::warning(text)
            });
            false
        }
        Err(error) => {
            problems.push(error.into());
            false
        }
    }
}

/// Whether a name is that of a capture, also of a rotated or compressed one: `a.pcap`, `a.pcap3`, `a.pcapng.gz`.
fn is_named_like_a_capture(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_ascii_lowercase();
    let compressions = [".gz", ".zst", ".xz"];
    let name = compressions
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or(&name);
    let suffix = name.rsplit('.').next().unwrap_or_default();
    let suffix = suffix.trim_end_matches(|c: char| c.is_ascii_digit());
    name.contains('.') && ["pcap", "pcapng", "cap"].contains(&suffix)
}

/// Counts the bytes that are read.
struct Counted {
    bytes: Box<dyn Read + Send>,
    count: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.bytes.read(buffer)?;
        self.count.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

/// Bytes that tell what a file is: no more than the shortest capture has.
const HEAD: usize = 24;

/// What people also have lying around, by its first bytes.
const KNOWN_FORMATS: [(&[u8], &str); 14] = [
    (
        b"snoop\0\0\0",
        "a snoop capture: convert it with `editcap -F pcapng`",
    ),
    (
        b"GMBU",
        "a Network Monitor capture: convert it with `editcap -F pcapng`",
    ),
    (
        b"RTSS",
        "a Network Monitor 1 capture: convert it with `editcap -F pcapng`",
    ),
    (
        b"TRSNIFF data",
        "a Sniffer capture: convert it with `editcap -F pcapng`",
    ),
    (
        b"XCP\0",
        "a NetXRay capture: convert it with `editcap -F pcapng`",
    ),
    (
        b"iptrace ",
        "an iptrace capture: convert it with `editcap -F pcapng`",
    ),
    (b"BZh", "compressed with bzip2: decompress it first"),
    (
        b"\x04\x22\x4d\x18",
        "compressed with lz4: decompress it first",
    ),
    (b"PK\x03\x04", "a ZIP archive: unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it first"),
    (b"CLIENT_", KEY_LOG),
    (b"SERVER_", KEY_LOG),
    (b"EXPORTER_SECRET ", KEY_LOG),
    (b"# SSL/TLS secrets log", KEY_LOG), // OpenSSL and NSS begin with this line
];

/// What a file is that `SSLKEYLOGFILE` names (RFC 9850).
const KEY_LOG: &str = "a TLS key log, not a capture: pass it with `--keylog`";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Severity;
    use crate::capture::testing::{Directory, LITTLE, PCAP_MICROSECONDS};

    fn windows() -> Windows {
        Windows::within(MemoryLimit::USUAL)
    }

    fn open(path: &Path) -> Result<BlockReader, CaptureError> {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        FileOrigin::from_argument(path).open(&file.into(), 1024, &Arc::default(), &windows())
    }

    fn refusal(name: &str, bytes: &[u8]) -> String {
        let directory = Directory::new();
        let error = open(&directory.write(name, bytes)).err().unwrap();
        error.to_string()
    }

    #[test]
    fn says_what_a_file_is_instead_of_a_capture() {
        let cases: [(&[u8], &str); 8] = [
            (b"", "`x` is empty; `tcpdump -U` writes each packet at once"),
            (
                b"\xd4\xc3\xb2",
                "`x` is not a pcap or pcapng capture (starts with 0xd4c3b2)",
            ),
            (
                b"hello world",
                "`x` looks like text, not a capture (pcap or pcapng)",
            ),
            (
                "Größe".as_bytes().get(..4).unwrap(),
                "`x` looks like text, not a capture (pcap or pcapng)",
            ),
            (
                b"hello\0world",
                "`x` is not a pcap or pcapng capture (starts with 0x68656c6c)",
            ),
            (
                b"snoop\0\0\0\0\0\0\x02",
                "`x` is a snoop capture: convert it with `editcap -F pcapng`",
            ),
            (
                b"CLIENT_RANDOM 00 11",
                "`x` is a TLS key log, not a capture: pass it with `--keylog`",
            ),
            (
                b"BZh91AY&SY",
                "`x` is compressed with bzip2: decompress it first",
            ),
        ];
        for (bytes, text) in cases {
            assert_eq!(refusal("x", bytes), text);
        }
    }

    #[test]
    fn a_tar_archive_is_recognised_by_its_magic() {
        let mut archive = vec![0; 512];
        archive[..8].copy_from_slice(b"day.pcap");
        archive[257..262].copy_from_slice(b"ustar");
        let expected = "`x` is a tar archive: extract it first";
        assert_eq!(refusal("x", &archive), expected);
        let mut compressed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut compressed, &archive).unwrap();
        assert_eq!(refusal("x", &compressed.finish().unwrap()), expected);
        for length in [24, 256, 261] {
            let text = refusal("x", &archive[..length]);
            assert!(text.contains("is not a pcap"), "{length}: {text}");
        }
    }

    #[test]
    fn says_what_cannot_be_opened() {
        let directory = Directory::new();
        let missing = open(&directory.path().join("missing.pcap")).err().unwrap();
        let start = "cannot open `missing.pcap`: No such file";
        assert!(missing.to_string().starts_with(start), "{missing}");
        let error = open(directory.path()).err().unwrap();
        assert!(matches!(error, CaptureError::Open { .. }), "{error}");
    }

    #[test]
    fn counts_the_bytes_that_it_reads() {
        let directory = Directory::new();
        let path = directory.write("a", &LITTLE.pcap(PCAP_MICROSECONDS, 1));
        let mut origin = FileOrigin::from_argument(&path);
        assert_eq!(origin.length(), Some(24));
        let count = Arc::default();
        origin
            .open(&"a".into(), 1024, &count, &windows())
            .ok()
            .unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 24);
        assert_eq!(FileOrigin::from_argument(Path::new("-")).length(), None);
    }

    #[test]
    fn a_directory_stands_for_its_captures_by_name() {
        let capture = LITTLE.pcap(PCAP_MICROSECONDS, 1);
        let directory = Directory::new();
        let second = directory.write("b.cap", &capture);
        let first = directory.write("a", &capture);
        directory.write("README", b"captures of March");
        directory.write("c.pcap", b"");
        fs::create_dir(directory.path().join("older")).unwrap();
        let mut problems = Vec::new();
        assert_eq!(
            captures(directory.path(), &windows(), &mut problems),
            [first, second]
        );
        let texts: Vec<&str> = problems.iter().map(|p| &*p.text).collect();
        assert!(texts[0].contains("c.pcap` is empty; "));
        assert!(texts[1].ends_with("README` looks like text, not a capture (pcap or pcapng)"));
        assert!(texts.iter().all(|text| text.starts_with("skipped: `")));
        let severities: Vec<_> = problems.iter().map(|p| p.severity).collect();
        assert_eq!(severities, [Severity::Error, Severity::Warning]);
        assert_eq!(problems.len(), 2);
        directory.write("notes.txt", b"more of them");
        let mut problems = Vec::new();
        captures(directory.path(), &windows(), &mut problems);
        let text = &problems[1].text;
        assert!(
            text.starts_with("skipped 2 files that look like text, as `"),
            "{text}"
        );
        assert!(text.ends_with("README`"), "{text}");
    }

    #[test]
    fn the_key_logs_of_a_directory_are_one_warning() {
        let directory = Directory::new();
        let capture = directory.write("a.pcap", &LITTLE.pcap(PCAP_MICROSECONDS, 1));
        let first = directory.write("a.keys", b"CLIENT_RANDOM 00 11");
        let mut problems = Vec::new();
        assert_eq!(
            captures(directory.path(), &windows(), &mut problems),
            std::slice::from_ref(&capture)
        );
        let [problem] = &problems[..] else {
            panic!("{problems:?}")
        };
        let expected = format!(
            "skipped: `{}` is a TLS key log, not a capture: pass it with `--keylog`",
            first.display()
        );
        assert_eq!(*problem.text, *expected);
        directory.write(
            "b.keys",
            b"# SSL/TLS secrets log file, generated by OpenSSL\nCLIENT_RANDOM",
        );
        directory.write("c.keys", b"SERVER_HANDSHAKE_TRAFFIC_SECRET 00 11");
        let mut problems = Vec::new();
        assert_eq!(
            captures(directory.path(), &windows(), &mut problems),
            [capture]
        );
        let [problem] = &problems[..] else {
            panic!("{problems:?}")
        };
        let expected = format!(
            "skipped 3 TLS key logs: pass each that you need with `--keylog`, as in `--keylog {}`",
            first.display()
        );
        assert_eq!(*problem.text, *expected);
        assert_eq!(problem.severity, Severity::Warning);
    }

    #[test]
    fn names_of_captures_are_recognised() {
        for name in ["a.pcap", "a.PCAP", "b.pcap12", "c.pcapng.gz", "d.cap.zst"] {
            assert!(is_named_like_a_capture(Path::new(name)), "{name}");
        }
        for name in ["README", "pcap", "notes.txt", "a.pcap.md", "keys.log"] {
            assert!(!is_named_like_a_capture(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn a_directory_without_captures_is_an_error() {
        let directory = Directory::new();
        let mut problems = Vec::new();
        assert!(captures(directory.path(), &windows(), &mut problems).is_empty());
        let [problem] = &problems[..] else {
            panic!("{problems:?}")
        };
        assert!(problem.text.starts_with("no capture files in directory `"));
        assert!(!problem.text.contains("subdirectories"), "{}", problem.text);
        assert_eq!(problem.severity, Severity::Error);
        fs::create_dir(directory.path().join("older")).unwrap();
        let mut problems = Vec::new();
        captures(directory.path(), &windows(), &mut problems);
        let try_this = format!("not searched: try `{}/*/`", directory.path().display());
        assert!(problems[0].text.ends_with(&try_this), "{problems:?}");
    }
}
