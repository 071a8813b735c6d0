//! A DER reader for what x509-parser leaves raw: names, extensions and keys (X.690 §8.1).
//!
//! Why not `Any` of asn1-rs, which x509-parser brings along? It would save some
//! 40 lines here and cost as many at the callers: tags become a class, a bit and
//! a number, and `Any` does not keep the bytes of the whole element, which a name
//! of unknown type prints. Its object identifiers stop at 64 bits for an arc,
//! and UUIDs have 128. This reader does not recurse or allocate.

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// The context-specific primitive tag `[number]`.
pub(super) const fn context(number: u8) -> u8 {
    0x80 | number
}

/// The context-specific constructed tag `[number]`.
pub(super) const fn constructed_context(number: u8) -> u8 {
    0xa0 | number
}

/// One element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// The identifier octet: class, constructed bit and number.
    pub(super) tag: u8,
    /// The contents octets.
    pub(super) content: &'a [u8],
    /// All octets, identifier and length included.
    pub(super) raw: &'a [u8],
}

/// The consecutive elements in a slice; ends at the first malformed one.
#[derive(Clone, Debug)]
pub(super) struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    pub(super) const fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    /// The elements inside the first element of `input`, which must have this `tag`.
    pub(super) fn within(input: &'a [u8], tag: u8) -> Option<Self> {
        Self::new(input).content(tag).map(Self::new)
    }

    /// The contents of the next element, which must have this `tag`.
    pub(super) fn content(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next()
            .filter(|element| element.tag == tag)
            .map(|element| element.content)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let input = std::mem::take(&mut self.0);
        let (&tag, rest) = input.split_first()?;
        if tag & 0x1f == 0x1f {
            return None; // tag numbers above 30 do not occur in anything that is read here
        }
        let (length, rest) = length(rest)?;
        let (content, rest) = rest.split_at_checked(length)?;
        let (raw, _) = input.split_at_checked(input.len() - rest.len())?;
        self.0 = rest;
        Some(Element { tag, content, raw })
    }
}

/// A definite length in short or long form (X.690 §8.1.3), and the bytes after it.
fn length(input: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = input.split_first()?;
    if first < 0x80 {
        return Some((usize::from(first), rest));
    }
    let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
    if octets.is_empty() || octets.len() > size_of::<u32>() {
        return None; // indefinite, or longer than any message
    }
    let length = octets
        .iter()
        .fold(0, |length, &octet| length << 8 | usize::from(octet));
    Some((length, rest))
}

/// An object identifier's contents as text, as in `2.5.4.3`.
///
/// Arcs may have 128 bits, since those below `2.25` are UUIDs (X.667). Malformed
/// identifiers and longer arcs print as `#` and hexadecimal.
pub(super) fn dotted(content: &[u8]) -> String {
    arcs(content).unwrap_or_else(|| format!("#{}", hex(content)))
}

fn arcs(content: &[u8]) -> Option<String> {
    if content.last()? & 0x80 != 0 {
        return None; // the last arc is cut off
    }
    let mut text = String::new();
    let mut arc: u128 = 0;
    for &octet in content {
        if arc.leading_zeros() < 7 {
            return None;
        }
        arc = arc << 7 | u128::from(octet & 0x7f);
        if octet & 0x80 == 0 {
            push_arc(&mut text, arc);
            arc = 0;
        }
    }
    Some(text)
}

/// The first number encodes two arcs: X.690 §8.19.4.
fn push_arc(text: &mut String, arc: u128) {
    if text.is_empty() {
        let root = (arc / 40).min(2);
        *text = format!("{root}.{}", arc - root * 40);
    } else {
        text.push_str(&format!(".{arc}"));
    }
}

/// An INTEGER's contents in hexadecimal without leading zero bytes; `00` for zero.
pub(super) fn integer_hex(integer: &[u8]) -> String {
    match integer.iter().position(|&octet| octet != 0) {
        Some(start) => hex(integer.get(start..).unwrap_or_default()),
        None => "00".to_owned(),
    }
}

/// Lower-case hexadecimal without separators.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0x0f])
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_have_short_and_long_lengths() {
        let mut input = vec![0x02, 0x01, 0x05, 0x04, 0x81, 0x80];
        input.extend([7; 128]);
        let elements: Vec<_> = Elements::new(&input).collect();
        assert_eq!(elements.len(), 2);
        assert_eq!((elements[0].tag, elements[0].content), (INTEGER, &[5][..]));
        assert_eq!(
            (elements[1].tag, elements[1].content),
            (OCTET_STRING, &[7; 128][..])
        );
        assert_eq!(elements[1].raw.len(), 131);
    }

    #[test]
    fn iteration_ends_at_a_malformed_element() {
        let cases: [&[u8]; 7] = [
            &[],
            &[0x02],
            &[0x02, 0x02, 0x00],                         // cut off
            &[0x30, 0x80, 0x00, 0x00],                   // indefinite length
            &[0x02, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00], // length beyond the input
            &[0x02, 0x89, 1, 1, 1, 1, 1, 1, 1, 1, 1],    // length of nine octets
            &[0x1f, 0x81, 0x00, 0x00],                   // high tag number
        ];
        for input in cases {
            assert_eq!(Elements::new(input).next(), None, "{input:02x?}");
        }
    }

    #[test]
    fn object_identifiers_print_dotted() {
        let cases: [(&[u8], &str); 6] = [
            (&[0x55, 0x04, 0x03], "2.5.4.3"),
            (
                &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b],
                "1.2.840.113549.1.1.11",
            ),
            (&[0x88, 0x37, 0x03], "2.999.3"),
            (&[0x00], "0.0"),
            (&[0x55, 0x84], "#5584"),
            (&[], "#"),
        ];
        for (content, text) in cases {
            assert_eq!(dotted(content), text);
        }
    }

    #[test]
    fn an_arc_has_at_most_128_bits() {
        let mut uuid = vec![0x69, 0x83];
        uuid.extend([0xff; 17]);
        uuid.push(0x7f);
        assert_eq!(dotted(&uuid), format!("2.25.{}", u128::MAX));
        uuid[1] = 0x84;
        assert!(dotted(&uuid).starts_with("#69"));
    }
}
