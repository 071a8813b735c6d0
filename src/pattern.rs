//! What people write for names and addresses: patterns, networks, and words with a letter wrong.

use std::net::IpAddr;
use std::str::FromStr;

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

    /// As [`Glob::matches`], for a Calling-Station-Id: hardware addresses are equal however they are separated, as in
    /// `02-00-5E-10-00-01`, `02:00:5e:10:00:01` and `0200.5e10.0001` (RFC 3580 §3.21 asks for the first form).
    #[must_use]
    pub fn matches_station(&self, station: &str) -> bool {
        let is_separator = |c: &char| matches!(c, '-' | ':' | '.');
        let bare: String = station.chars().filter(|c| !is_separator(c)).collect();
        let is_address = bare.len() == 12 && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
        let pattern: Vec<char> = self
            .0
            .iter()
            .copied()
            .filter(|c| !is_separator(c))
            .collect();
        self.matches(station) || is_address && Self(pattern).matches(&bare)
    }
}

/// Whether a text is a hardware address with separators.
#[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "only `show` asks"))]
pub(crate) fn is_hardware_address(text: &str) -> bool {
    let groups: Vec<&str> = match text.contains('.') {
        true => text.split('.').collect(),
        false => text.split(['-', ':']).collect(),
    };
    let digits = match groups.len() {
        6 => 2,
        3 => 4,
        _ => return false,
    };
    let is_group =
        |group: &&str| group.len() == digits && group.bytes().all(|byte| byte.is_ascii_hexdigit());
    groups.iter().all(is_group)
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

/// A network in CIDR notation (RFC 4632), or a single address.
///
/// # Example
///
/// ```
/// use tlscope::pattern::IpNetwork;
///
/// let network: IpNetwork = "192.0.2.0/24".parse().unwrap();
/// assert!(network.contains("192.0.2.77".parse().unwrap()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpNetwork {
    address: IpAddr,
    prefix: u32,
}

impl IpNetwork {
    /// Whether it contains `address`; IPv6 networks contain no IPv4 addresses.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        let (own, ours) = bits(self.address);
        let (other, theirs) = bits(address);
        let differing = own ^ other;
        ours == theirs && differing.checked_shr(ours - self.prefix).unwrap_or(0) == 0
    }
}

/// An address as a number, and how many bits that has.
fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (address.to_bits().into(), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

impl FromStr for IpNetwork {
    type Err = String;

    /// Refuses bits beyond the prefix: `192.0.2.1/24` could also mean that one address.
    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address
            .parse()
            .map_err(|_| "not an address, nor a network as in `192.0.2.0/24`".to_owned())?;
        let (value, length) = bits(address);
        let prefix = match prefix {
            None => length,
            Some(prefix) => prefix
                .parse()
                .ok()
                .filter(|prefix| *prefix <= length)
                .ok_or_else(|| format!("a prefix has 0 to {length} bits"))?,
        };
        let host_bits = value & !u128::MAX.checked_shl(length - prefix).unwrap_or(0);
        if host_bits != 0 {
            return Err(format!("bits are set beyond the prefix of {prefix}"));
        }
        Ok(Self { address, prefix })
    }
}

/// The word that was probably meant, if one is near: a letter in four may be wrong, and one; of a short word, one alone.
///
/// # Example
///
/// ```
/// use tlscope::pattern::nearest;
///
/// assert_eq!(nearest("near_expiry", &["near-expiry", "format"]), Some("near-expiry"));
/// assert_eq!(nearest("p256", &["secp256r1", "secp384r1"]), Some("secp256r1"));
/// assert_eq!(nearest("colour", &["near-expiry", "format"]), None);
/// assert_eq!(nearest("srot", &["sort", "time"]), Some("sort"));
/// assert_eq!(nearest("name", &["sort", "time"]), None);
/// ```
#[must_use]
pub fn nearest<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    let distances = known.iter().map(|known| (distance(written, known), *known));
    let (distance, nearest) = distances.min()?;
    let allowed = match nearest.len() {
        ..SHORT => 1, // any word of four letters is two changes away from many others
        length => 1 + length / 4,
    };
    if distance <= allowed {
        return Some(nearest);
    }
    // A part of a name is meant for it if it is no part of another one.
    let mut holders = known.iter().filter(|known| known.contains(written));
    let holder = holders.next().filter(|_| written.len() >= MIN_PART)?;
    holders.next().is_none().then_some(holder)
}

/// Characters of a part that is taken for a name: shorter ones are in many by chance.
const MIN_PART: usize = 4;
/// Characters of a word from which more than one may be wrong.
const SHORT: usize = 6;

/// How many characters to insert, remove, replace, or swap with the next one (optimal string alignment).
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let replaced = above[j] + usize::from(from != to);
            let mut least = replaced.min(row[j] + 1).min(above[j + 1] + 1);
            if i > 0 && j > 0 && *from == b[j - 1] && a[i - 1] == *to {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or_default()
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

    fn contains(network: &str, address: &str) -> bool {
        let network: IpNetwork = network.parse().unwrap();
        network.contains(address.parse().unwrap())
    }

    #[test]
    fn a_network_contains_the_addresses_with_its_prefix() {
        assert!(contains("0.0.0.0/0", "255.255.255.255"));
        assert!(contains("192.0.2.0/24", "192.0.2.77"));
        assert!(!contains("192.0.2.0/24", "192.0.3.1"));
        assert!(contains("192.0.2.128/25", "192.0.2.255"));
        assert!(!contains("192.0.2.128/25", "192.0.2.127"));
        assert!(contains("192.0.2.1", "192.0.2.1"));
        assert!(!contains("192.0.2.1", "192.0.2.0"));
        assert!(contains("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(!contains("2001:db8::/32", "2001:db9::"));
        assert!(contains("::/0", "::1"));
        assert!(!contains("::/0", "192.0.2.1"));
        assert!(!contains("0.0.0.0/0", "::"));
    }

    #[test]
    fn rejects_text_that_is_not_a_network() {
        for wrong in [
            "",
            "192.0.2",
            "192.0.2.0/33",
            "::/129",
            "192.0.2.0/-1",
            "192.0.2.0/",
            "192.0.2.1/24",
            "example.org",
        ] {
            assert!(wrong.parse::<IpNetwork>().is_err(), "{wrong}");
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
            ("jsno", "json", 1),
            ("abcd", "badc", 2),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
