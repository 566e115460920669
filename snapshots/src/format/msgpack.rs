//! A MessagePack reader that borrows from its input (<https://github.com/msgpack/msgpack/blob/master/spec.md>).
//!
//! rmp-serde writes, but does not read: derived readers are compiled anew for every type, and made up a third of the
//! Worker's code. This reader does not copy, allocate or recurse.

/// A value, or the header of an array or map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Token<'a> {
    /// `nil`.
    Nil,
    /// A boolean.
    Bool(bool),
    /// A non-negative integer.
    Unsigned(u64),
    /// A negative integer.
    Negative(i64),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Text(&'a str),
    /// Bytes, or the data of an extension.
    Bytes(&'a [u8]),
    /// The number of values that follow.
    Array(u32),
    /// The number of key-value pairs that follow.
    Map(u32),
}

/// The input not read yet. Every method gives `None` at the end of the input or for a value of another type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// A big-endian number of 1, 2, 4 or 8 bytes.
    fn number(&mut self, length: usize) -> Option<u64> {
        Some(self.take(length)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn length(&mut self, width: usize) -> Option<usize> {
        usize::try_from(self.number(width)?).ok()
    }

    fn text(&mut self, length: usize) -> Option<Token<'a>> {
        core::str::from_utf8(self.take(length)?).ok().map(Token::Text)
    }

    /// The next value.
    pub(crate) fn token(&mut self) -> Option<Token<'a>> {
        let marker = self.number(1)? as u8;
        // The three widths of a kind follow each other.
        let width = |first: u8| 1usize << (marker - first);
        let signed = |number: i64| u64::try_from(number).map_or(Token::Negative(number), Token::Unsigned);
        Some(match marker {
            0x00..=0x7f => Token::Unsigned(marker.into()),
            0x80..=0x8f => Token::Map((marker & 0x0f).into()),
            0x90..=0x9f => Token::Array((marker & 0x0f).into()),
            0xa0..=0xbf => self.text((marker & 0x1f).into())?,
            0xc0 => Token::Nil,
            0xc1 => return None,
            0xc2 | 0xc3 => Token::Bool(marker == 0xc3),
            0xc4..=0xc6 => {
                let length = self.length(width(0xc4))?;
                Token::Bytes(self.take(length)?)
            }
            0xc7..=0xc9 => {
                let length = self.length(width(0xc7))?;
                Token::Bytes(self.take(length.checked_add(1)?)?)
            }
            0xca => Token::Float(f32::from_bits(self.number(4)? as u32).into()),
            0xcb => Token::Float(f64::from_bits(self.number(8)?)),
            0xcc..=0xcf => Token::Unsigned(self.number(width(0xcc))?),
            0xd0 => signed((self.number(1)? as i8).into()),
            0xd1 => signed((self.number(2)? as i16).into()),
            0xd2 => signed((self.number(4)? as i32).into()),
            0xd3 => signed(self.number(8)?.cast_signed()),
            0xd4..=0xd8 => Token::Bytes(self.take(1 + width(0xd4))?),
            0xd9..=0xdb => {
                let length = self.length(width(0xd9))?;
                self.text(length)?
            }
            0xdc | 0xdd => Token::Array(self.number(2 * width(0xdc))? as u32),
            0xde | 0xdf => Token::Map(self.number(2 * width(0xde))? as u32),
            0xe0..=0xff => Token::Negative((marker as i8).into()),
        })
    }

    /// Skips the next value with all nested values.
    pub(crate) fn skip(&mut self) -> Option<()> {
        let mut left = 1u64;
        // Terminates, since every value takes at least a byte.
        while left > 0 {
            left = left - 1
                + match self.token()? {
                    Token::Array(values) => values.into(),
                    Token::Map(pairs) => 2 * u64::from(pairs),
                    _ => 0,
                };
        }
        Some(())
    }

    /// Calls `field` with every key of a map. `field` reads the value or calls [`Reader::skip`].
    ///
    /// Takes a `dyn` closure, so that it is compiled once for all types of maps.
    pub(crate) fn map(&mut self, field: &mut dyn FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        let Token::Map(pairs) = self.token()? else { return None };
        for _ in 0..pairs {
            let key = self.str()?;
            field(self, key)?;
        }
        Some(())
    }

    /// The length of an array.
    pub(crate) fn array(&mut self) -> Option<u32> {
        let Token::Array(values) = self.token()? else { return None };
        Some(values)
    }

    /// Text.
    pub(crate) fn str(&mut self) -> Option<&'a str> {
        let Token::Text(text) = self.token()? else { return None };
        Some(text)
    }

    /// Bytes.
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let Token::Bytes(bytes) = self.token()? else { return None };
        Some(bytes)
    }

    /// A non-negative integer.
    pub(crate) fn u64(&mut self) -> Option<u64> {
        let Token::Unsigned(number) = self.token()? else { return None };
        Some(number)
    }

    /// An integer.
    pub(crate) fn i64(&mut self) -> Option<i64> {
        match self.token()? {
            Token::Unsigned(number) => i64::try_from(number).ok(),
            Token::Negative(number) => Some(number),
            _ => None,
        }
    }

    /// A number, rounded to `f32`.
    pub(crate) fn f32(&mut self) -> Option<f32> {
        match self.token()? {
            Token::Unsigned(number) => Some(number as f32),
            Token::Negative(number) => Some(number as f32),
            Token::Float(number) => Some(number as f32),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// A value as JSON, bytes as an array.
    fn read(reader: &mut Reader<'_>) -> Option<Value> {
        Some(match reader.token()? {
            Token::Nil => Value::Null,
            Token::Bool(value) => json!(value),
            Token::Unsigned(value) => json!(value),
            Token::Negative(value) => json!(value),
            Token::Float(value) => json!(value),
            Token::Text(value) => json!(value),
            Token::Bytes(value) => json!(value),
            Token::Array(values) => (0..values).map(|_| read(reader)).collect::<Option<_>>()?,
            Token::Map(pairs) => {
                let pair = |_| Some((reader.str()?.to_owned(), read(reader)?));
                Value::Object((0..pairs).map(pair).collect::<Option<_>>()?)
            }
        })
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i8>().prop_map(Value::from),
            (-1e300..1e300f64).prop_map(Value::from),
            "\\PC{0,300}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 20, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
                prop::collection::btree_map("\\PC{0,40}", inner, 0..20)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_written_by_rmp_serde_are_read(value in any_json()) {
            let bytes = rmp_serde::to_vec_named(&value).unwrap();
            let mut reader = Reader(&bytes);
            prop_assert_eq!(read(&mut reader), Some(value));
            prop_assert!(reader.0.is_empty());
            let mut reader = Reader(&bytes);
            prop_assert_eq!(reader.skip(), Some(()));
            prop_assert!(reader.0.is_empty());
            prop_assert_eq!(Reader(&bytes[..bytes.len() - 1]).skip(), None);
        }

        #[test]
        fn any_bytes_are_skipped_or_rejected(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            Reader(&bytes).skip();
        }
    }

    #[test]
    fn all_widths_and_extensions_are_skipped() {
        // Encodings from the specification that JSON values do not produce.
        let cases: [&[u8]; 7] = [
            &[0xc4, 2, 1, 2],
            &[0xc5, 0, 1, 9],
            &[0xc7, 1, 5, 9],
            &[0xd4, 5, 9],
            &[0xd8, 5, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
            &[0xdd, 0, 0, 0, 1, 0xc0],
            &[0xdf, 0, 0, 0, 1, 0xa1, b'a', 0xca, 0, 0, 0, 0],
        ];
        for bytes in cases {
            let mut reader = Reader(bytes);
            assert_eq!((reader.skip(), reader.0.len()), (Some(()), 0), "{bytes:?}");
            assert_eq!(Reader(&bytes[..bytes.len() - 1]).skip(), None, "{bytes:?}");
        }
    }
}
