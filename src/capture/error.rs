//! What can be wrong with a capture.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// Why a capture could not be read, or not to its end.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The operating system refused to open it.
    #[error("cannot open `{file}`: {reason}")]
    Open {
        /// The path as the user gave it.
        file: Arc<str>,
        /// What the operating system said.
        reason: String,
    },
    /// Reading or decompressing failed on the way.
    #[error("cannot read `{file}` beyond {position}: {reason}")]
    Read {
        /// The path as the user gave it.
        file: Arc<str>,
        /// How far it was read.
        position: Position,
        /// What the operating system or the decompressor said.
        reason: String,
    },
    /// There is nothing in it.
    #[error("{} is empty; `tcpdump -U` writes each packet at once", named(file))]
    Empty {
        /// The path as the user gave it.
        file: Arc<str>,
    },
    /// A directory without captures.
    #[error("no capture files in directory `{directory}`")]
    NoCaptures {
        /// The path as the user gave it.
        directory: Arc<str>,
    },
    /// It is neither pcap nor pcapng.
    #[error("{} {seen}", named(file))]
    NotACapture {
        /// The path as the user gave it.
        file: Arc<str>,
        /// What it is instead, as in `is a snoop capture: …`.
        seen: String,
    },
    /// A record in it cannot be right, so the records after it cannot be found.
    #[error("`{file}` is malformed at {position}: {fault}")]
    Malformed {
        /// The path as the user gave it.
        file: Arc<str>,
        /// Where the record begins.
        position: Position,
        /// What is wrong with the record.
        fault: Fault,
    },
    /// Too many captures cover the same moment.
    #[error(
        "`{file}` overlaps in time with {open} others, too many to read at once: merge some of them first"
    )]
    TooManyOpen {
        /// The path as the user gave it.
        file: Arc<str>,
        /// How many are open already.
        open: usize,
    },
    /// Decompressing it takes more memory than the limit leaves.
    #[error(
        "cannot read `{file}`: decompressing it takes {} MiB, and {}",
        needed >> 20, other_captures(*taken, *room, *limit)
    )]
    NoRoomToDecompress {
        /// The path as the user gave it.
        file: Arc<str>,
        /// Bytes of memory that it takes.
        needed: u64,
        /// Bytes that captures take which are open already.
        taken: u64,
        /// Bytes that all of them may take together.
        room: u64,
        /// The limit on memory, in bytes, with which it could be read alone.
        limit: u64,
    },
    /// Packets cannot be captured on a live interface.
    #[error("cannot capture on `{interface}`: {reason}")]
    Interface {
        /// The interface as the user named it.
        interface: Arc<str>,
        /// What libpcap said.
        reason: String,
    },
    /// The process may not capture packets.
    #[error("cannot capture on `{interface}`: you need the capability CAP_NET_RAW")]
    NotPermitted {
        /// The interface as the user named it.
        interface: Arc<str>,
    },
    /// The packet filter does not compile.
    #[error("bad packet filter `{expression}`: {reason}")]
    Filter {
        /// The filter as the user gave it.
        expression: String,
        /// What libpcap said.
        reason: String,
    },
    /// This build has no packet filters.
    #[error(
        "packet filter `{expression}`: this build has no packet filters (it lacks the feature `live`)"
    )]
    NoFilters {
        /// The filter as the user gave it.
        expression: String,
    },
}

/// A file for a message; `-` is standard input.
fn named(file: &str) -> String {
    match file {
        "-" => "standard input".to_owned(),
        file => format!("`{file}`"),
    }
}

/// What keeps a capture from being decompressed: the limit on memory, or others of the same time.
fn other_captures(taken: u64, room: u64, limit: u64) -> String {
    let room = room >> 20;
    if taken == 0 {
        let limit = limit.div_ceil(1 << 20);
        return format!(
            "the memory limit leaves {room} for that: decompress it first, or set `--memory-limit {limit}M`"
        );
    }
    format!(
        "others of the same time take {} of the {room} that the memory limit leaves for that: decompress some first, or raise `--memory-limit`",
        taken >> 20
    )
}

/// A place in a capture file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Bytes from the beginning.
    pub offset: u64,
    /// Whether the offset counts decompressed bytes.
    pub decompressed: bool,
}

/// `byte 24` or `byte 24 of the decompressed data`.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}", self.offset)?;
        if self.decompressed {
            f.write_str(" of the decompressed data")?;
        }
        Ok(())
    }
}

/// What is wrong with a record of a capture file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// A version of the format that nobody has written down.
    #[error("unknown format version {major}.{minor}")]
    Version {
        /// The version's first part.
        major: u16,
        /// The version's second part.
        minor: u16,
    },
    /// No capture holds packets of this length.
    #[error("a packet of {length} bytes, over the limit of {limit}")]
    PacketTooLong {
        /// The length that the record claims.
        length: u32,
        /// The longest packet that is believed.
        limit: u32,
    },
    /// A packet ends beyond the block that holds it.
    #[error("a packet of {length} bytes in a block that has room for {room}")]
    PacketOverBlock {
        /// The length that the block claims for the packet.
        length: u32,
        /// Bytes left in the block.
        room: usize,
    },
    /// A block's length is no multiple of 4, or too small for a block of its type.
    #[error("a block of type {block_type:#x} with the impossible length {length}")]
    BlockLength {
        /// The type of the block.
        block_type: u32,
        /// The length that it claims.
        length: u32,
    },
    /// No sensible capture holds blocks of this length.
    #[error("a block of type {block_type:#x} of {length} bytes, over the limit of {limit}")]
    BlockTooLong {
        /// The type of the block.
        block_type: u32,
        /// The length that it claims.
        length: u32,
        /// The longest block that is believed.
        limit: u32,
    },
    /// The lengths before and after a block's body differ.
    #[error("a block of length {first} that ends with length {last}")]
    LengthsDiffer {
        /// The length before the body.
        first: u32,
        /// The length after the body.
        last: u32,
    },
    /// A section header names no byte order.
    #[error("a section with the byte-order magic {magic:#010x}")]
    ByteOrder {
        /// What stands in its place, read as big-endian.
        magic: u32,
    },
    /// A packet of an interface that was not described before.
    #[error("a packet of interface {interface} (interfaces described: {known})")]
    UnknownInterface {
        /// The interface that the packet names.
        interface: u32,
        /// How many interfaces the section described before.
        known: usize,
    },
    /// More interfaces than are kept.
    #[error("more than {limit} interfaces")]
    TooManyInterfaces {
        /// How many are kept.
        limit: usize,
    },
}

/// Something that went wrong without ending the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// One clause for people, naming the file.
    pub text: String,
}

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// All that there is was read.
    Warning,
    /// Something was not read: the run has failed, if not stopped.
    Error,
}

impl Problem {
    /// A problem that loses nothing.
    #[must_use]
    pub const fn warning(text: String) -> Self {
        let severity = Severity::Warning;
        Self { severity, text }
    }

    /// A problem because of which some of the input is missing.
    #[must_use]
    pub const fn error(text: String) -> Self {
        let severity = Severity::Error;
        Self { severity, text }
    }
}

impl From<CaptureError> for Problem {
    fn from(error: CaptureError) -> Self {
        let severity = Severity::Error;
        let text = error.to_string();
        Self { severity, text }
    }
}
