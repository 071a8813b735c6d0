//! Writes JSON on one line, as `serde_json` does but for what a terminal must not get, which is escaped as by [`SafeJson`].
//!
//! A line has about 140 strings, and half of them are our own keys. `serde_json` looks at each of their bytes; here keys
//! are copied, and other strings are looked at several bytes at a time. A test compares both.
//!
//! [`SafeJson`]: crate::escape::SafeJson

use std::fmt::{self, Display, Write as _};
use std::io::Write as _;

use serde::ser::{self, Error as _, Serialize, Serializer};
use serde_json::Error;

use crate::digits::put_pair;
use crate::escape::is_unsafe;

/// Appends `value` to `output`.
///
/// # Errors
///
/// When `value` does not serialise, or has a map whose keys are not strings.
pub(super) fn write(output: &mut Vec<u8>, value: &impl Serialize) -> Result<(), Error> {
    value.serialize(&mut Writer {
        output,
        is_ready: false,
    })
}

/// JSON that [`write()`] has written before, and that it copies. To other serialisers it is a list of bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadyText<'a>(pub(super) &'a [u8]);

impl ReadyText<'_> {
    /// By what the writer knows it.
    const NAME: &'static str = "tlscope::ReadyText";
}

impl Serialize for ReadyText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Bytes<'a>(&'a [u8]);

        impl Serialize for Bytes<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(self.0)
            }
        }
        serializer.serialize_newtype_struct(Self::NAME, &Bytes(self.0))
    }
}

struct Writer<'a> {
    output: &'a mut Vec<u8>,
    /// Whether the value at hand is a [`ReadyText`].
    is_ready: bool,
}

impl Writer<'_> {
    /// As code points are, of which a line has about 60. Each length has a copy of its own, which takes no call.
    #[inline]
    fn write_small(&mut self, number: u16) {
        let digit = |unit: u16| b'0' + (number / unit % 10) as u8;
        let output = &mut *self.output;
        match number {
            0..10 => output.push(digit(1)),
            10..100 => output.extend_from_slice(&[digit(10), digit(1)]),
            100..1_000 => output.extend_from_slice(&[digit(100), digit(10), digit(1)]),
            1_000..10_000 => {
                output.extend_from_slice(&[digit(1_000), digit(100), digit(10), digit(1)]);
            }
            10_000.. => output.extend_from_slice(&[
                digit(10_000),
                digit(1_000),
                digit(100),
                digit(10),
                digit(1),
            ]),
        }
    }

    /// Other numbers are left to `serde_json`, which is fast at them.
    fn write_number(&mut self, number: &impl Serialize) -> Result<(), Error> {
        serde_json::to_writer(&mut *self.output, number)
    }

    fn write_string(&mut self, text: &str) {
        self.output.push(b'"');
        write_escaped(self.output, text);
        self.output.push(b'"');
    }

    /// A word of our sources: there is nothing in it to escape.
    ///
    /// Inlined into what is derived for each line, where the word is a constant: then its bytes are stored, and not copied by a call.
    #[inline(always)]
    fn write_word(&mut self, word: &'static str) {
        debug_assert!(is_plain(word.as_bytes()), "{word}");
        self.output.push(b'"');
        self.output.extend_from_slice(word.as_bytes());
        self.output.push(b'"');
    }

    /// A key, which is such a word, with the comma before it. Its text is put together when the program is compiled, and stored at once.
    #[inline(always)]
    fn write_name(&mut self, name: &'static str, is_first: bool) {
        /// All keys but those of counters are shorter.
        const LONGEST: usize = 32;
        debug_assert!(is_plain(name.as_bytes()), "{name}");
        let (length, mut text) = (name.len(), [0; LONGEST + 4]);
        if length > LONGEST {
            if !is_first {
                self.output.push(b',');
            }
            self.write_word(name);
            self.output.push(b':');
            return;
        }
        (text[0], text[1]) = (b',', b'"');
        text[2..length + 2].copy_from_slice(name.as_bytes());
        (text[length + 2], text[length + 3]) = (b'"', b':');
        if is_first {
            self.output.extend_from_slice(&text[1..length + 4]);
        } else {
            self.output.extend_from_slice(&text[..length + 4]);
        }
    }

    /// Writes a number with at most six decimals, as durations and shares are, if it is one and neither large nor small: those are
    /// written in other ways.
    ///
    /// Its digits are the shortest that mean this number, which is what `serde_json` writes: no two decimals of at most 15 digits
    /// have the same binary fraction (DBL_DIG).
    fn write_decimal(&mut self, number: f64) -> bool {
        const UNIT: u64 = 1_000_000;
        if !(1e-3..1e9).contains(&number) {
            return false;
        }
        let millionths = (number * UNIT as f64 + 0.5) as u64;
        if millionths as f64 / UNIT as f64 != number {
            return false;
        }
        let mut text = *b"0000000000.000000";
        // Both are below a billion.
        let (mut whole, rest) = ((millionths / UNIT) as u32, (millionths % UNIT) as u32);
        put_pair(&mut text, 11, rest / 10_000);
        put_pair(&mut text, 13, rest / 100);
        put_pair(&mut text, 15, rest);
        let mut end = text.len();
        while end > 12 && text[end - 1] == b'0' {
            end -= 1; // but for one: `3.0`
        }
        let mut start = 10;
        while whole >= 100 {
            start -= 2;
            put_pair(&mut text, start, whole);
            whole /= 100;
        }
        if whole >= 10 {
            start -= 2;
            put_pair(&mut text, start, whole);
        } else {
            start -= 1;
            text[start] = b'0' + whole as u8;
        }
        self.output.extend_from_slice(&text[start..end]);
        true
    }
}

/// Bytes that [`is_plain`] looks at together: the compiler makes a few vector operations of them.
const WIDTH: usize = 16;

/// Whether all of a text can stand in a string as it is.
fn is_plain(text: &[u8]) -> bool {
    let is_plain_byte = |byte: u8| matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\');
    // Without an early end, which the compiler could not make vector operations of.
    let are_plain = |bytes: &[u8; WIDTH]| {
        let all = |plain, byte: &u8| plain & is_plain_byte(*byte);
        bytes.iter().fold(true, all)
    };
    if let Some(last) = text.last_chunk() {
        return are_plain(last) && text.as_chunks().0.iter().all(are_plain);
    }
    // The first and the last bytes of a shorter one, which overlap.
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        let [first, last] = [first, last].map(|bytes| u64::from_ne_bytes(*bytes));
        return are_eight_plain(first) & are_eight_plain(last);
    }
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        let [first, last] = [first, last].map(|bytes| u64::from(u32::from_ne_bytes(*bytes)));
        return are_eight_plain(first << 32 | last);
    }
    text.iter().all(|byte| is_plain_byte(*byte))
}

/// The same for eight bytes in a register.
const fn are_eight_plain(bytes: u64) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EACH;
    // Bytes below a number of at most 0x80 get their highest bit by the subtraction. A borrow may set that of the byte above as well, but
    // only where there is such a byte.
    const fn below(bytes: u64, number: u64) -> u64 {
        bytes.wrapping_sub(number * EACH) & !bytes
    }
    let (quote, backslash) = (b'"' as u64 * EACH, b'\\' as u64 * EACH);
    let special = below(bytes ^ quote, 1) | below(bytes ^ backslash, 1) | below(bytes, b' ' as u64);
    // 0x7f and all above have it after the addition, or before.
    (special | bytes | bytes.wrapping_add(EACH)) & HIGH == 0
}

/// Writes a piece of a string.
fn write_escaped(output: &mut Vec<u8>, text: &str) {
    if is_plain(text.as_bytes()) {
        output.extend_from_slice(text.as_bytes()); // nearly always
        return;
    }
    let mut bytes = [0; 4];
    for c in text.chars() {
        match c {
            '"' => output.extend_from_slice(b"\\\""),
            '\\' => output.extend_from_slice(b"\\\\"),
            '\u{8}' => output.extend_from_slice(b"\\b"),
            '\t' => output.extend_from_slice(b"\\t"),
            '\n' => output.extend_from_slice(b"\\n"),
            '\u{c}' => output.extend_from_slice(b"\\f"),
            '\r' => output.extend_from_slice(b"\\r"),
            c if is_unsafe(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let written = write!(output, "\\u{unit:04x}");
                    debug_assert!(written.is_ok(), "a Vec takes all");
                }
            }
            c => output.extend_from_slice(c.encode_utf8(&mut bytes).as_bytes()),
        }
    }
}

/// Takes what [`Display`] writes, as it is.
struct Pieces<'a>(&'a mut Vec<u8>);

impl fmt::Write for Pieces<'_> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        self.0.extend_from_slice(piece.as_bytes());
        Ok(())
    }
}

/// Writes each kind of number.
macro_rules! numbers {
    ($($method:ident($number:ty))*) => {$(
        fn $method(self, number: $number) -> Result<(), Error> {
            self.write_number(&number)
        }
    )*};
}

impl<'a, 'b> Serializer for &'b mut Writer<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Elements<'a, 'b>;
    type SerializeTuple = Elements<'a, 'b>;
    type SerializeTupleStruct = Elements<'a, 'b>;
    type SerializeTupleVariant = Elements<'a, 'b>;
    type SerializeMap = Elements<'a, 'b>;
    type SerializeStruct = Elements<'a, 'b>;
    type SerializeStructVariant = Elements<'a, 'b>;

    numbers! {
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
        serialize_f32(f32)
    }

    fn serialize_f64(self, number: f64) -> Result<(), Error> {
        if self.write_decimal(number) {
            return Ok(());
        }
        self.write_number(&number)
    }

    fn serialize_u16(self, number: u16) -> Result<(), Error> {
        self.write_small(number);
        Ok(())
    }

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        let text: &[u8] = if value { b"true" } else { b"false" };
        self.output.extend_from_slice(text);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.write_string(value);
        Ok(())
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.output.push(b'"');
        let start = self.output.len();
        write!(Pieces(self.output), "{value}").map_err(Error::custom)?;
        if !is_plain(&self.output[start..]) {
            let text = self.output.split_off(start);
            write_escaped(self.output, &String::from_utf8_lossy(&text));
        }
        self.output.push(b'"');
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        if self.is_ready {
            self.output.extend_from_slice(value);
            return Ok(());
        }
        self.collect_seq(value)
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.output.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.write_word(variant);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.is_ready = name == ReadyText::NAME;
        value.serialize(&mut *self)?;
        self.is_ready = false;
        Ok(())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.output.push(b'{');
        self.write_name(variant, true);
        value.serialize(&mut *self)?;
        self.output.push(b'}');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Elements<'a, 'b>, Error> {
        Ok(Elements::open(self, b'[', b"]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Elements<'a, 'b>, Error> {
        Ok(Elements::open(self, b'[', b"]"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Elements<'a, 'b>, Error> {
        Ok(Elements::open(self, b'[', b"]"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Elements<'a, 'b>, Error> {
        self.output.push(b'{');
        self.write_name(variant, true);
        Ok(Elements::open(self, b'[', b"]}"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Elements<'a, 'b>, Error> {
        Ok(Elements::open(self, b'{', b"}"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Elements<'a, 'b>, Error> {
        Ok(Elements::open(self, b'{', b"}"))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Elements<'a, 'b>, Error> {
        self.output.push(b'{');
        self.write_name(variant, true);
        Ok(Elements::open(self, b'{', b"}}"))
    }
}

/// An array or object that has been opened.
struct Elements<'a, 'b> {
    writer: &'b mut Writer<'a>,
    is_empty: bool,
    close: &'static [u8],
}

impl<'a, 'b> Elements<'a, 'b> {
    fn open(writer: &'b mut Writer<'a>, open: u8, close: &'static [u8]) -> Self {
        writer.output.push(open);
        Self {
            writer,
            is_empty: true,
            close,
        }
    }

    /// Separates an element from the one before it.
    fn separate(&mut self) {
        if !self.is_empty {
            self.writer.output.push(b',');
        }
        self.is_empty = false;
    }

    fn write_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.separate();
        value.serialize(&mut *self.writer)
    }

    #[inline(always)]
    fn write_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let is_first = std::mem::replace(&mut self.is_empty, false);
        self.writer.write_name(name, is_first);
        value.serialize(&mut *self.writer)
    }

    fn close(self) {
        self.writer.output.extend_from_slice(self.close);
    }
}

impl ser::SerializeMap for Elements<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.separate();
        let start = self.writer.output.len();
        key.serialize(&mut *self.writer)?;
        if self.writer.output.get(start) != Some(&b'"') {
            return Err(Error::custom("a key is not a string"));
        }
        self.writer.output.push(b':');
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<(), Error> {
        self.close();
        Ok(())
    }
}

/// Implements what has elements without names, and what has fields.
macro_rules! elements {
    ($($kind:ident: $method:ident($($name:ident)?) -> $write:ident)*) => {$(
        impl ser::$kind for Elements<'_, '_> {
            type Ok = ();
            type Error = Error;

            #[inline(always)]
            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($name: &'static str,)?
                value: &T,
            ) -> Result<(), Error> {
                self.$write($($name,)? value)
            }

            fn end(self) -> Result<(), Error> {
                self.close();
                Ok(())
            }
        }
    )*};
}

elements! {
    SerializeSeq: serialize_element() -> write_element
    SerializeTuple: serialize_element() -> write_element
    SerializeTupleStruct: serialize_field() -> write_element
    SerializeTupleVariant: serialize_field() -> write_element
    SerializeStruct: serialize_field(name) -> write_field
    SerializeStructVariant: serialize_field(name) -> write_field
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;

    use super::*;
    use crate::escape::SafeJson;
    use crate::sink::machine::json::lines::{Line, StatsLine};
    use crate::sink::test_events;
    use crate::stats::Stats;

    /// What is written, which must be what `serde_json` writes.
    fn written(value: &impl Serialize) -> String {
        let mut output = b"before".to_vec();
        write(&mut output, value).unwrap();
        let mut expected = Vec::new();
        serde_json::to_writer(SafeJson(&mut expected), value).unwrap();
        let [written, expected] = [&output[6..], &expected].map(String::from_utf8_lossy);
        assert_eq!(written, expected);
        written.into_owned()
    }

    #[test]
    fn lines_are_those_of_serde_json() {
        for event in &test_events::all() {
            let line = written(&Line::Handshake(&event.into()));
            assert!(line.starts_with("{\"type\":\"handshake\",\"time\":"));
        }
        written(&Line::Stats(StatsLine(&Stats::default())));
    }

    #[test]
    fn every_character_is_escaped_as_by_serde_json_wherever_it_stands() {
        let special = (0..0x100).chain([0x200b, 0x2028, 0x202e, 0xfeff, 0xe0041, 0x4f8b, 0x1f600]);
        for c in special.filter_map(char::from_u32) {
            for before in [0, 1, 7, 8, 15, 16, 17, 31, 32, 40] {
                let text = format!("{}{c}{}", "a".repeat(before), "b".repeat(40 - before));
                written(&text);
                written(&&text[..before + c.len_utf8()]);
            }
        }
    }

    #[test]
    fn every_kind_of_value_is_written_as_by_serde_json() {
        #[derive(Serialize)]
        struct Unit;
        #[derive(Serialize)]
        struct Newtype(u8);
        #[derive(Serialize)]
        struct Tuple(i8, f32);
        #[derive(Serialize)]
        enum Kind {
            Unit,
            Newtype(Option<u8>),
            Tuple(char, bool),
            Struct { list: Vec<u8>, nothing: () },
        }
        written(&(Unit, Newtype(1), Tuple(-1, 0.1), [0_u8; 0]));
        written(&[Kind::Unit, Kind::Newtype(None), Kind::Newtype(Some(3))]);
        let nested = Kind::Struct {
            list: vec![1, 2],
            nothing: (),
        };
        written(&(Kind::Tuple('"', false), nested));
        written(&(0..=u16::MAX).step_by(7).collect::<Vec<u16>>());
        written(&[0_u16, 9, 10, 99, 100, 999, 1_000, 9_999, 10_000, u16::MAX]);
        written(&(i64::MIN, u64::MAX, i128::MAX, 1e300, f64::NAN));
        written(&BTreeMap::from([("a\"", Some(1)), ("b", None)]));
    }

    #[test]
    fn decimals_are_those_of_serde_json() {
        for millionths in (0..3_000_000).step_by(7).chain([999, 1_000, 1_001]) {
            written(&(f64::from(millionths) / 1e6));
        }
        for nanoseconds in (0..54).map(|shift| 9_007_199_254_740_991_u64 >> shift) {
            for nanoseconds in [nanoseconds, nanoseconds / 1_000 * 1_000, nanoseconds ^ 1] {
                written(&(nanoseconds as f64 / 1e6));
                written(&-(nanoseconds as f64 / 1e6));
            }
        }
        let mut bits = 0x1234_5678_9abc_def0_u64;
        for _ in 0..100_000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            written(&f64::from_bits(bits));
            // Of the numbers that may be decimals, too.
            let number = (bits >> 11) as f64 / 9e6;
            written(&number);
            written(&((number * 1e4).round() / 1e4));
        }
        for number in [
            0.0,
            -0.0,
            1e-3,
            1.0,
            0.1 + 0.2,
            999_999_999.999_999,
            1e9,
            1e15,
            1e16,
        ] {
            written(&number);
        }
    }

    #[test]
    fn long_keys_are_written_as_by_serde_json() {
        #[derive(Serialize)]
        struct Long {
            this_key_has_thirty_two_letters_: u8,
            this_key_has_thirty_three_letters: u8,
            this_key_is_longer_than_any_key_of_a_line_may_be: u8,
        }
        written(&Long {
            this_key_has_thirty_two_letters_: 1,
            this_key_has_thirty_three_letters: 2,
            this_key_is_longer_than_any_key_of_a_line_may_be: 3,
        });
    }

    #[test]
    fn what_is_displayed_is_escaped_wherever_its_pieces_end() {
        struct Displayed(Vec<&'static str>);
        impl Display for Displayed {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|piece| f.write_str(piece))
            }
        }
        impl Serialize for Displayed {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        for pieces in [
            vec!["a", "b\"c", "\n"],
            vec![],
            vec!["\u{202e}", "a\u{1b}"],
            vec!["é", "例"],
        ] {
            written(&Displayed(pieces));
        }
    }

    #[test]
    fn what_is_ready_is_copied() {
        #[derive(Serialize)]
        struct Line<'a>(ReadyText<'a>, Vec<u8>);
        let mut output = Vec::new();
        write(&mut output, &Line(ReadyText(b"{\"a\":[]}"), vec![1])).unwrap();
        assert_eq!(output, b"[{\"a\":[]},[1]]");
    }

    #[test]
    fn a_map_whose_keys_are_not_strings_is_an_error() {
        assert!(write(&mut Vec::new(), &BTreeMap::from([(1, 2)])).is_err());
    }
}
