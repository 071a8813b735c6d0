//! What people write for names: patterns, and words with a letter wrong.

/// A pattern in which `*` stands for any characters and `?` for one; upper and lower case are the same.
///
/// # Example
///
/// ```
/// use tlscope::pattern::Glob;
///
/// assert!(Glob::new("*.example.org").matches("API.example.org"));
/// assert!(!Glob::new("*.example.org").matches("example.org"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Vec<char>);

impl Glob {
    /// Takes any text: what is neither `*` nor `?` stands for itself.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self(pattern.chars().map(|c| c.to_ascii_lowercase()).collect())
    }

    /// Whether the whole of `name` fits.
    ///
    /// Takes at most pattern times name steps: the last `*` alone is tried again,
    /// for what an earlier one could take, the last can.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().map(|c| c.to_ascii_lowercase()).collect();
        fits(&self.0, &name, ['*', '?'])
    }
}

/// Whether the whole of `name` fits `pattern`, in which the first of `wild` stands for any run and the second for any one.
pub(crate) fn fits<T: Copy + Eq>(pattern: &[T], name: &[T], [any, one]: [T; 2]) -> bool {
    let (mut at, mut next) = (0, 0); // in the name, in the pattern
    let mut retry = None; // after the last `any`: where in the name it ends, and what follows it
    loop {
        match (pattern.get(next), name.get(at)) {
            (None, None) => return true,
            (Some(expected), _) if *expected == any => {
                next += 1;
                retry = Some((at, next));
            }
            (Some(expected), Some(c)) if expected == c || *expected == one => {
                at += 1;
                next += 1;
            }
            _ => match retry {
                Some((end, after)) if end < name.len() => {
                    (at, next) = (end + 1, after);
                    retry = Some((at, next));
                }
                _ => return false,
            },
        }
    }
}

/// The word that was probably meant, if one is near: a letter in four may be wrong, and one.
///
/// # Example
///
/// ```
/// use tlscope::pattern::nearest;
///
/// assert_eq!(nearest("near_expiry", &["near-expiry", "format"]), Some("near-expiry"));
/// assert_eq!(nearest("colour", &["near-expiry", "format"]), None);
/// ```
#[must_use]
pub fn nearest<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    let distances = known.iter().map(|known| (distance(written, known), *known));
    let (distance, known) = distances.min()?;
    (distance <= 1 + known.len() / 4).then_some(known)
}

/// How many characters to insert, remove or replace (Levenshtein).
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        row[0] = left;
        for (to, above) in b.chars().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(from != to);
            diagonal = *above;
            left = replaced.min(left + 1).min(*above + 1);
            *above = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Glob::new(pattern).matches(name)
    }

    #[test]
    fn accepts_names_that_fit_as_a_whole() {
        for (pattern, name) in [
            ("example.org", "Example.ORG"),
            ("*.EXAMPLE.org", "api.example.org"),
            ("*", ""),
            ("**", "a"),
            ("a?c", "abc"),
            ("a?c", "aéc"),
            ("*a*b*", "xxaxxbxx"),
            ("*ab", "aab"),
            ("a*a", "aa"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn rejects_names_that_fit_in_part() {
        for (pattern, name) in [
            ("example.org", "example.org."),
            ("*.example.org", "example.org"),
            ("", "a"),
            ("a?c", "ac"),
            ("*ab", "aba"),
            ("a*a", "a"),
            ("?", ""),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        assert!(!matches(&("*a".repeat(50) + "b"), &"a".repeat(5_000)));
    }

    #[test]
    fn distance_counts_single_changes() {
        for (a, b, expected) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("kitten", "sitting", 3),
            ("", "ab", 2),
            ("ab", "", 2),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
