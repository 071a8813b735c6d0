//! Patterns for server names.

/// A pattern in which `*` stands for any characters and `?` for one; upper and lower case are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob(Vec<char>);

impl Glob {
    pub(super) fn new(pattern: &str) -> Self {
        Self(pattern.chars().map(|c| c.to_ascii_lowercase()).collect())
    }

    /// Whether the whole of `name` fits.
    ///
    /// Takes at most pattern times name steps: the last `*` alone is tried again,
    /// for what an earlier one could take, the last can.
    pub(super) fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().map(|c| c.to_ascii_lowercase()).collect();
        let (mut at, mut next) = (0, 0); // in the name, in the pattern
        let mut retry = None; // after the last `*`: where in the name it ends, and what follows it
        loop {
            match (self.0.get(next), name.get(at)) {
                (None, None) => return true,
                (Some('*'), _) => {
                    next += 1;
                    retry = Some((at, next));
                }
                (Some(expected), Some(c)) if expected == c || *expected == '?' => {
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
}
