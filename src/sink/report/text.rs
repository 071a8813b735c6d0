//! Text that the traffic chooses, made safe for the page and bounded.

use std::borrow::Cow;

use crate::escape::printable;

/// Most bytes of a text: a DNS name has at most 253, a distinguished name rarely more than this.
const MAX_TEXT: usize = 512;

/// Most bytes of a list: browsers offer some 1,500 bytes of names.
const MAX_LIST: usize = 4096;

/// `text` with control and invisible characters escaped, and cut if it is long.
///
/// This is not what keeps the page safe from markup: every text is written as text, by templates that escape it or by
/// scripts that cannot parse markup. It keeps one name from looking like another.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    cut(text, MAX_TEXT)
}

/// As [`shown`], with room for a list.
pub(super) fn shown_list(text: &str) -> Cow<'_, str> {
    cut(text, MAX_LIST)
}

fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return printable(text);
    }
    let mut end = most;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Cow::Owned(format!("{}…", printable(&text[..end])))
}

/// The name of the file at `path`, without its folders.
pub(super) fn file_name(path: &str) -> Cow<'_, str> {
    shown(path.rsplit(['/', '\\']).next().unwrap_or(path))
}

/// `count` with a comma between thousands.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `count` with a noun, which gets an `s` unless there is one.
pub(super) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

/// The share of `count` in `total`, in percent with one decimal; never 0 or 100 unless that is exact.
pub(super) fn percent(count: u64, total: u64) -> String {
    if total == 0 {
        return "–".to_owned();
    }
    let share = count as f64 * 100.0 / total as f64;
    match share {
        _ if count == 0 || count == total => format!("{share:.0} %"),
        ..0.1 => "< 0.1 %".to_owned(),
        99.9.. => "> 99.9 %".to_owned(),
        _ => format!("{share:.1} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_between_characters() {
        let text = "é".repeat(MAX_TEXT);
        let cut = shown(&text);
        assert!(cut.len() <= MAX_TEXT + "…".len() && cut.ends_with('…'));
        assert_eq!(shown("a\u{202e}b"), "a\\u{202e}b");
    }

    #[test]
    fn thousands_have_commas() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345_678, "12,345,678"),
        ];
        for (count, text) in cases {
            assert_eq!(grouped(count), text);
        }
    }

    #[test]
    fn a_share_is_none_or_all_only_if_that_is_exact() {
        assert_eq!(percent(0, 3), "0 %");
        assert_eq!(percent(1, 3), "33.3 %");
        assert_eq!(percent(3, 3), "100 %");
        assert_eq!(percent(1, 1_000_000), "< 0.1 %");
        assert_eq!(percent(999_999, 1_000_000), "> 99.9 %");
        assert_eq!(percent(0, 0), "–");
    }
}
