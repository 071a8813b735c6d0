//! Packet numbers: a packet has only the low bytes of its own (RFC 9000 §17.1, Appendix A.3).

/// The largest packet number of one sender in one space that was opened so far; `None` before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LargestNumber(Option<u64>);

/// Packet numbers have 62 bits.
#[cfg(any(feature = "quic", test))]
const END: u64 = 1 << 62;

impl LargestNumber {
    /// The whole number of a packet that has only the `length` low bytes of it, in `truncated`.
    #[cfg(any(feature = "quic", test))]
    pub(crate) fn expand(self, truncated: u32, length: usize) -> u64 {
        let expected = self.0.map_or(0, |largest| largest + 1);
        let window = 1_u64 << (8 * length.clamp(1, 4));
        let half = window / 2;
        let candidate = (expected & !(window - 1)) | u64::from(truncated);
        if candidate + half <= expected && candidate < END - window {
            candidate + window
        } else if candidate > expected + half && candidate >= window {
            candidate - window
        } else {
            candidate
        }
    }

    /// Notes that a packet with this number was opened.
    pub(crate) fn note(&mut self, number: u64) {
        self.0 = Some(self.0.map_or(number, |largest| largest.max(number)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_9000_appendix_a3_is_decoded() {
        let largest = LargestNumber(Some(0xa82f_30ea));
        assert_eq!(largest.expand(0x9b32, 2), 0xa82f_9b32);
    }

    #[test]
    fn the_nearest_number_to_the_next_one_counts() {
        let after = |largest, truncated| LargestNumber(Some(largest)).expand(truncated, 1);
        assert_eq!(LargestNumber::default().expand(5, 1), 5);
        assert_eq!(after(254, 1), 257);
        assert_eq!(after(256, 255), 255);
        assert_eq!(after(0, 200), 200); // there are no numbers below 0
        assert_eq!(after(END - 2, 0xff), END - 1);
    }

    #[test]
    fn older_numbers_do_not_lower_the_largest() {
        let mut largest = LargestNumber::default();
        largest.note(9);
        largest.note(3);
        assert_eq!(largest, LargestNumber(Some(9)));
    }
}
