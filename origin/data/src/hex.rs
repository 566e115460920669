//! Hexadecimal text: lower-case, two digits for each byte.

use std::fmt::Write as _;

/// Encodes bytes as lower-case hexadecimal digits.
///
/// ```
/// assert_eq!(origin_data::hex::encode(&[0, 0xab, 0xff]), "00abff");
/// ```
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Decodes exactly `2 * N` lower-case hexadecimal digits; `None` for any other text.
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_round_trips() {
        for byte in 0..=u8::MAX {
            assert_eq!(decode(&encode(&[byte, 7])), Some([byte, 7]));
        }
        assert_eq!((encode(&[]), decode("")), (String::new(), Some([])));
    }

    #[test]
    fn other_text_is_rejected() {
        for text in ["", "0", "000", "0A", "g0", "+1", "é"] {
            assert_eq!(decode::<1>(text), None, "{text}");
        }
    }
}
