//! Characters from the traffic, and from names of files, that must not reach a terminal as they are.

#[cfg(any(feature = "cli", feature = "otel"))]
use std::borrow::Cow;
#[cfg(feature = "serde")]
use std::io::{self, Write};

/// `text` with control and invisible characters escaped, as in `\u{1b}`.
///
/// The traffic chooses names: an escape sequence could rewrite the terminal, and a
/// change of text direction could make one name look like another.
#[cfg(any(feature = "cli", feature = "otel"))]
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~')); // nearly always
    if plain || !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// A path as a word of a shell. Control and invisible characters are in octal, as in `$'\033'`: bash, zsh, ksh and the shells of
/// POSIX.1-2024 read them, and a terminal shows them.
#[cfg(any(feature = "cli", feature = "otel"))]
#[must_use]
pub fn shell_word(path: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    if path.chars().all(is_plain) && !path.starts_with('-') && !path.is_empty() {
        return path.to_owned();
    }
    let path = if path.starts_with('-') {
        format!("./{path}")
    } else {
        path.to_owned()
    };
    if !path.chars().any(is_unsafe) {
        return format!("'{}'", path.replace('\'', r"'\''"));
    }
    let mut word = String::from("$'");
    let mut bytes = [0; 4];
    for c in path.chars() {
        match c {
            '\'' | '\\' => word.extend(['\\', c]),
            c if is_unsafe(c) => {
                let bytes = c.encode_utf8(&mut bytes).bytes();
                word.extend(bytes.map(|byte| format!("\\{byte:03o}")));
            }
            c => word.push(c),
        }
    }
    word + "'"
}

/// Controls (Cc), and of the format characters (Cf) those that hide or reorder text.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Writes JSON whose strings are safe on a terminal: control and invisible characters become `\u` escapes, which
/// mean the same to a parser.
///
/// For serialisers, which write each piece of text as a whole. JSON has characters beyond ASCII only in strings.
#[cfg(feature = "serde")]
#[derive(Debug)]
pub(crate) struct SafeJson<W>(pub(crate) W);

#[cfg(feature = "serde")]
impl<W: Write> Write for SafeJson<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let is_plain = |byte: &u8| *byte < 0x7f;
        let text = match bytes.iter().all(is_plain) {
            true => None, // nearly always
            false => std::str::from_utf8(bytes).ok(),
        };
        match text.filter(|text| {
            text.chars()
                .any(|c| is_unsafe(c) && !c.is_ascii_whitespace())
        }) {
            Some(text) => self.write_escaped(text)?,
            None => self.0.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(feature = "serde")]
impl<W: Write> SafeJson<W> {
    fn write_escaped(&mut self, text: &str) -> io::Result<()> {
        let mut units = [0; 2];
        let mut bytes = [0; 4];
        for c in text.chars() {
            // Line breaks of a pretty document are between its strings.
            if is_unsafe(c) && !c.is_ascii_whitespace() {
                for unit in c.encode_utf16(&mut units) {
                    write!(self.0, "\\u{unit:04x}")?;
                }
            } else {
                self.0.write_all(c.encode_utf8(&mut bytes).as_bytes())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(any(feature = "cli", feature = "otel"))]
    fn paths_are_one_word_for_a_shell() {
        assert_eq!(shell_word("captures/a-1.pcap"), "captures/a-1.pcap");
        assert_eq!(shell_word("a b$(x).pcap"), "'a b$(x).pcap'");
        assert_eq!(shell_word("it's.pcap"), r"'it'\''s.pcap'");
        assert_eq!(shell_word("-r.pcap"), "'./-r.pcap'");
        assert_eq!(shell_word("a\u{1b}1\n'\\.pcap"), r"$'a\0331\012\'\\.pcap'");
        assert_eq!(shell_word("-\u{202e}é"), r"$'./-\342\200\256é'");
    }

    #[test]
    #[cfg(any(feature = "cli", feature = "otel"))]
    fn escapes_characters_that_could_rewrite_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(printable("line\nfeed\u{9b}"), "line\\nfeed\\u{9b}");
        assert_eq!(printable("\u{202e}gro.elpmaxe"), "\\u{202e}gro.elpmaxe");
    }

    #[test]
    #[cfg(any(feature = "cli", feature = "otel"))]
    fn leaves_readable_text_alone() {
        for text in [
            "example.org",
            "*.example.org",
            "Müller & Söhne",
            "例え.jp",
            "",
        ] {
            assert!(matches!(printable(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    #[cfg(feature = "serde")]
    fn json_is_safe_to_show_and_means_the_same() {
        let text = "a\u{9b}b\u{202e}c\u{200b}\u{2028}\u{7f}\u{e0041}\n\u{1b}é例";
        for value in [serde_json::json!({"k": [text, 1]}), serde_json::json!(text)] {
            let mut compact = Vec::new();
            serde_json::to_writer(SafeJson(&mut compact), &value).unwrap();
            let mut pretty = Vec::new();
            serde_json::to_writer_pretty(SafeJson(&mut pretty), &value).unwrap();
            for written in [compact, pretty] {
                let written = String::from_utf8(written).unwrap();
                let breaks = |c: char| c == '\n' || c == ' ';
                assert!(
                    !written.chars().any(|c| is_unsafe(c) && !breaks(c)),
                    "{written}"
                );
                assert!(written.contains("\\udb40\\udc41"), "{written}");
                assert!(written.contains("é例"), "{written}");
                let read: serde_json::Value = serde_json::from_str(&written).unwrap();
                assert_eq!(read, value);
            }
        }
    }
}
