//! TCP sequence numbers, modulo 2³² (RFC 9293 §3.4).

/// A sequence number: the position of a byte in a stream, modulo 2³².
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SeqNumber(pub u32);

impl SeqNumber {
    /// The number `count` bytes later.
    #[must_use]
    pub const fn after(self, count: u32) -> Self {
        Self(self.0.wrapping_add(count))
    }

    /// Bytes from `origin` to `self`; negative if `self` comes before it.
    ///
    /// Of the two ways around the circle, the shorter one counts.
    #[must_use]
    pub const fn since(self, origin: Self) -> i32 {
        self.0.wrapping_sub(origin.0).cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_two_ways_around_the_circle_the_shorter_one_counts() {
        assert_eq!(SeqNumber(5).since(SeqNumber(u32::MAX - 4)), 10);
        assert_eq!(SeqNumber(u32::MAX).since(SeqNumber(4)), -5);
    }
}
