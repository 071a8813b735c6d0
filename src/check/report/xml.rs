//! The part of XML that a report needs: elements, attributes and text.
//!
//! A crate would replace forty simple lines, and would leave the characters that XML 1.0
//! cannot contain even escaped (most control characters) to us anyway.

use std::fmt::Write;

use crate::escape::is_unsafe;

/// An XML document that grows element by element.
#[derive(Debug)]
pub(super) struct Xml {
    text: String,
    depth: usize,
}

impl Xml {
    pub(super) fn new() -> Self {
        Self {
            text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(),
            depth: 0,
        }
    }

    /// Adds an element with the children that `inside` adds.
    pub(super) fn element(
        &mut self,
        name: &str,
        attributes: &[(&str, &str)],
        inside: impl FnOnce(&mut Self),
    ) {
        self.open(name, attributes);
        self.text.push_str(">\n");
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        self.indent();
        let _ = writeln!(self.text, "</{name}>"); // a String takes all
    }

    /// Adds an element with text, or an empty element.
    pub(super) fn leaf(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        self.open(name, attributes);
        if text.is_empty() {
            self.text.push_str("/>\n");
            return;
        }
        self.text.push('>');
        escape(text, &mut self.text);
        let _ = writeln!(self.text, "</{name}>");
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.indent();
        self.text.push('<');
        self.text.push_str(name);
        for (name, value) in attributes {
            let _ = write!(self.text, " {name}=\"");
            escape(value, &mut self.text);
            self.text.push('"');
        }
    }

    fn indent(&mut self) {
        self.text.extend(std::iter::repeat_n("  ", self.depth));
    }
}

/// Keeps line feeds. Parsers read those in attributes as spaces, but our attributes have none.
fn escape(text: &str, output: &mut String) {
    for c in text.chars() {
        match c {
            '&' => output.push_str("&amp;"),
            '<' => output.push_str("&lt;"),
            '>' => output.push_str("&gt;"),
            '"' => output.push_str("&quot;"),
            '\n' => output.push('\n'),
            // XML cannot contain them, or a reader should not see them: escaped as in the other formats.
            c if is_unsafe(c) || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                output.extend(c.escape_default());
            }
            c => output.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_control_and_invisible_characters_are_escaped() {
        let mut xml = Xml::new();
        xml.element("a", &[("b", "\"<&>'")], |xml| {
            xml.leaf("c", &[], "]]>\u{0}\u{1b}\u{202e}\nü");
            xml.leaf("d", &[], "");
        });
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
                        <a b=\"&quot;&lt;&amp;&gt;'\">\n  <c>]]&gt;\\u{0}\\u{1b}\\u{202e}\nü</c>\n  <d/>\n</a>\n";
        assert_eq!(xml.finish(), expected);
    }
}
