//! The frames in a packet that was opened (RFC 9000 §19).

use super::cursor::Cursor;
use super::google_frame;
use super::version::QuicVersion;

/// A frame, as far as a handshake needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// A run of PADDING frames.
    Padding,
    Ping,
    Ack {
        /// The largest packet number that its sender has received.
        largest: u64,
    },
    /// Bytes of handshake messages.
    Crypto {
        offset: u64,
        data: &'a [u8],
    },
    /// The connection ends.
    ConnectionClose(QuicClose),
    /// The server has accepted the client's Finished.
    HandshakeDone,
    /// Any other: all of them carry data of the application, or are about such data.
    Other,
}

/// Why a side ended its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuicClose {
    /// The error code: of the application, or of QUIC (RFC 9000 §20.1).
    pub code: u64,
    /// Whether the application chose the code.
    pub is_application: bool,
}

impl QuicClose {
    /// The TLS alert that the code stands for: 0x0100 to 0x01ff (RFC 9001 §4.8).
    #[must_use]
    pub fn alert(self) -> Option<u8> {
        let code = self.code.checked_sub(CRYPTO_ERROR)?;
        u8::try_from(code).ok().filter(|_| !self.is_application)
    }

    /// The name of a code of QUIC itself; `None` for alerts, codes of the application and unknown ones.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        if self.is_application {
            return None;
        }
        Some(match self.code {
            0x00 => "NO_ERROR",
            0x01 => "INTERNAL_ERROR",
            0x02 => "CONNECTION_REFUSED",
            0x03 => "FLOW_CONTROL_ERROR",
            0x04 => "STREAM_LIMIT_ERROR",
            0x05 => "STREAM_STATE_ERROR",
            0x06 => "FINAL_SIZE_ERROR",
            0x07 => "FRAME_ENCODING_ERROR",
            0x08 => "TRANSPORT_PARAMETER_ERROR",
            0x09 => "CONNECTION_ID_LIMIT_ERROR",
            0x0a => "PROTOCOL_VIOLATION",
            0x0b => "INVALID_TOKEN",
            0x0c => "APPLICATION_ERROR",
            0x0d => "CRYPTO_BUFFER_EXCEEDED",
            0x0e => "KEY_UPDATE_ERROR",
            0x0f => "AEAD_LIMIT_REACHED",
            0x10 => "NO_VIABLE_PATH",
            0x11 => "VERSION_NEGOTIATION_ERROR",
            _ => return None,
        })
    }
}

impl std::fmt::Display for QuicClose {
    /// As in `CONNECTION_REFUSED (0x2)`, `0x12a`, `application error 0x106`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let code = self.code;
        match self.name() {
            Some(name) => write!(f, "{name} (0x{code:x})"),
            None if self.is_application => write!(f, "application error 0x{code:x}"),
            None => write!(f, "0x{code:x}"),
        }
    }
}

/// The code of alert 0 (RFC 9000 §20.1).
const CRYPTO_ERROR: u64 = 0x0100;

/// The frames of a packet's content, in order, up to the first that cannot be read.
#[derive(Clone, Debug)]
pub(crate) struct Frames<'a> {
    rest: Cursor<'a>,
    has_google_frames: bool,
}

impl<'a> Frames<'a> {
    /// The frames of a packet of `version`.
    pub(crate) const fn new(version: QuicVersion, content: &'a [u8]) -> Self {
        Self {
            rest: Cursor::new(content),
            has_google_frames: version.has_google_frames(),
        }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let frame = if self.has_google_frames {
            google_frame::read(&mut self.rest)
        } else {
            read(&mut self.rest)
        };
        if frame.is_none() {
            self.rest = Cursor::new(&[]);
        }
        frame
    }
}

fn read<'a>(cursor: &mut Cursor<'a>) -> Option<Frame<'a>> {
    let frame_type = cursor.varint()?;
    Some(match frame_type {
        0x00 => {
            cursor.skip_run(0);
            Frame::Padding
        }
        0x01 => Frame::Ping,
        0x02 | 0x03 => read_ack(cursor, frame_type == 0x03)?,
        0x06 => Frame::Crypto {
            offset: cursor.varint()?,
            data: cursor.vector()?,
        },
        0x1c | 0x1d => {
            let code = cursor.varint()?;
            let is_application = frame_type == 0x1d;
            if !is_application {
                cursor.varint()?; // the type of the frame that was wrong
            }
            // A reason that is cut short says no less of the code.
            if cursor.vector().is_none() {
                *cursor = Cursor::new(&[]);
            }
            Frame::ConnectionClose(QuicClose {
                code,
                is_application,
            })
        }
        0x1e => Frame::HandshakeDone,
        _ => {
            skip(cursor, frame_type)?;
            Frame::Other
        }
    })
}

fn read_ack<'a>(cursor: &mut Cursor<'a>, has_counts: bool) -> Option<Frame<'a>> {
    let largest = cursor.varint()?;
    cursor.varint()?; // delay
    let ranges = cursor.varint()?;
    cursor.varint()?; // the first range
    for _ in 0..ranges {
        cursor.varint()?;
        cursor.varint()?;
    }
    if has_counts {
        for _ in 0..3 {
            cursor.varint()?;
        }
    }
    Some(Frame::Ack { largest })
}

/// Skips the fields of a frame that a handshake does not need; `None` if its type is unknown.
fn skip(cursor: &mut Cursor<'_>, frame_type: u64) -> Option<()> {
    let numbers = match frame_type {
        0x10 | 0x12..=0x14 | 0x16 | 0x17 | 0x19 => 1, // MAX_DATA and its kin, RETIRE_CONNECTION_ID
        0x05 | 0x11 | 0x15 => 2, // STOP_SENDING, MAX_STREAM_DATA, STREAM_DATA_BLOCKED
        0x04 => 3,               // RESET_STREAM
        _ => 0,
    };
    for _ in 0..numbers {
        cursor.varint()?;
    }
    match frame_type {
        0x04 | 0x05 | 0x10..=0x17 | 0x19 => {}
        // NEW_TOKEN, DATAGRAM with a length
        0x07 | 0x31 => drop(cursor.vector()?),
        // STREAM, with or without an offset and a length
        0x08..=0x0f => {
            cursor.varint()?;
            if frame_type & 4 != 0 {
                cursor.varint()?;
            }
            if frame_type & 2 != 0 {
                cursor.vector()?;
            } else {
                *cursor = Cursor::new(&[]);
            }
        }
        // NEW_CONNECTION_ID
        0x18 => {
            cursor.varint()?;
            cursor.varint()?;
            let length = cursor.u8()?;
            cursor.take(usize::from(length) + 16)?;
        }
        // PATH_CHALLENGE, PATH_RESPONSE
        0x1a | 0x1b => drop(cursor.take(8)?),
        0x30 => *cursor = Cursor::new(&[]),
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(content: &[u8]) -> Vec<Frame<'_>> {
        Frames::new(QuicVersion::V1, content).collect()
    }

    const CLOSE: QuicClose = QuicClose {
        code: 0x12a,
        is_application: false,
    };

    #[test]
    fn frames_of_a_handshake_are_read_in_order() {
        let content = [
            2, 5, 0, 1, 2, 0, 0, // ACK with a second range
            6, 0x40, 0x80, 3, 1, 2, 3, // CRYPTO at 128
            1, 0, 0, 0, // PING, PADDING
            0x1c, 0x41, 0x2a, 6, 2, b'n', b'o', // CONNECTION_CLOSE
            0x1e,
        ];
        let data = &[1, 2, 3];
        let expected = [
            Frame::Ack { largest: 5 },
            Frame::Crypto { offset: 128, data },
            Frame::Ping,
            Frame::Padding,
            Frame::ConnectionClose(CLOSE),
            Frame::HandshakeDone,
        ];
        assert_eq!(frames(&content), expected);
        for length in 0..content.len() {
            let cut = frames(&content[..length]);
            assert!(expected.starts_with(&cut), "{length} bytes: {cut:?}");
        }
    }

    #[test]
    fn frames_of_the_application_are_skipped() {
        let content = [
            &[0x0e, 4, 1, 2, 7, 7][..], // STREAM with offset and length
            &[0x18, 1, 0, 1, 9],        // NEW_CONNECTION_ID
            &[0; 16],
            &[0x1a, 1, 2, 3, 4, 5, 6, 7, 8], // PATH_CHALLENGE
            &[0x07, 1, 9, 0x31, 1, 9, 0x04, 1, 2, 3], // NEW_TOKEN, DATAGRAM, RESET_STREAM
            &[0x1d, 0x41, 6, 0],             // CONNECTION_CLOSE of the application
            &[0x08, 4, 1, 2, 3],             // STREAM up to the end
        ]
        .concat();
        let read = frames(&content);
        let close = QuicClose {
            code: 0x106,
            is_application: true,
        };
        assert_eq!(read.len(), 8);
        assert_eq!(read[6], Frame::ConnectionClose(close));
        assert_eq!(close.alert(), None);
    }

    #[test]
    fn a_frame_of_an_unknown_type_ends_the_packet() {
        assert_eq!(frames(&[1, 0x40, 0xfe, 1, 1]), [Frame::Ping]);
    }

    #[test]
    fn codes_from_0x100_to_0x1ff_are_alerts() {
        let close = |code| QuicClose {
            code,
            is_application: false,
        };
        assert_eq!(CLOSE.alert(), Some(42));
        assert_eq!(close(0x100).alert(), Some(0));
        assert_eq!(close(0x1ff).alert(), Some(255));
        assert_eq!((close(0xff).alert(), close(0x200).alert()), (None, None));
        assert_eq!(close(2).name(), Some("CONNECTION_REFUSED"));
        assert_eq!(CLOSE.name(), None);
    }
}
