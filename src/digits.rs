//! Decimal digits two at a time: half as many divisions as one at a time.

/// The digits of 0 to 99.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number as usize] = [b'0' + number / 10, b'0' + number % 10];
        number += 1;
    }
    pairs
};

/// Writes the last two digits of a number at this place of a text, which has room for them.
#[inline]
pub(crate) fn put_pair(text: &mut [u8], at: usize, number: u32) {
    let pair = &PAIRS[(number % 100) as usize];
    text[at..at + 2].copy_from_slice(pair);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_two_digits() {
        let mut text = *b"......";
        put_pair(&mut text, 0, 7);
        put_pair(&mut text, 2, 99);
        put_pair(&mut text, 4, 1_230);
        assert_eq!(&text, b"079930");
    }
}
