//! Hexadecimal digits of a fixed width, in upper case. The server writes them for each reply, so the functions process
//! eight digits at a time.

/// Fills `digits` with the hexadecimal digits of `number`, with leading zeros. If `number` has too many digits, its
/// first digits are omitted.
pub(super) fn write(digits: &mut [u8], number: u64) {
    let all: [u8; 16] = {
        let (high, low) = (eight_digits(number >> 32), eight_digits(number & 0xFFFF_FFFF));
        let mut all = [0; 16];
        all[..8].copy_from_slice(&high);
        all[8..].copy_from_slice(&low);
        all
    };
    let width = digits.len().min(16);
    let (zeros, rest) = digits.split_at_mut(digits.len() - width);
    zeros.fill(b'0');
    rest.copy_from_slice(&all[16 - width..]);
}

/// Parses hexadecimal digits in upper case. Returns `None` if `digits` contains another byte, or if the number does not
/// fit into 64 bits.
pub(super) fn parse(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'A'..=b'F' => digit - b'A' + 10,
            _ => return None,
        };
        (number >> 60 == 0).then_some(number << 4 | u64::from(value))
    })
}

/// The eight digits of a number below 2³². Each step moves the upper half of each group of digits into a group of its
/// own, until each byte contains one digit.
fn eight_digits(number: u64) -> [u8; 8] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let pairs = (number | number << 16) & 0x0000_FFFF_0000_FFFF;
    let bytes = (pairs | pairs << 8) & 0x00FF_00FF_00FF_00FF;
    let digits = (bytes | bytes << 4) & (0x0F * ONES);
    // 1 for each digit above 9: adding 6 to such a digit sets bit 4.
    let letters = (digits + 6 * ONES) >> 4 & ONES;
    let to_letter = u64::from(b'A' - b'0' - 10);
    (digits + u64::from(b'0') * ONES + letters * to_letter).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_upper_case_digits_of_64_bits_are_valid() {
        assert_eq!(parse(b"00FF"), Some(255));
        assert_eq!(parse(b"00ff"), None);
        assert_eq!(parse(b"00G0"), None);
        assert_eq!(parse(b"0FFFFFFFFFFFFFFFF"), Some(u64::MAX));
        assert_eq!(parse(b"10000000000000000"), None);
    }

    proptest! {
        #[test]
        fn digits_equal_those_of_the_standard_library(number: u64, width in 1_usize..=20) {
            let mut digits = vec![b'x'; width];
            write(&mut digits, number);
            let expected = format!("{number:020X}");
            prop_assert_eq!(&digits[..], &expected.as_bytes()[20 - width..]);
            if width >= 16 {
                prop_assert_eq!(parse(&digits), Some(number));
            }
        }
    }
}
