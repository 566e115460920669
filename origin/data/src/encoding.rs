//! Text in the encodings that shops send, as UTF-8.
//!
//! The encoding is that of the byte order mark, else UTF-16 if there are zero bytes, else the one that an XML
//! declaration names, else UTF-8. Bytes that are not valid UTF-8 are read as windows-1252, which includes ISO-8859-1;
//! other text is not affected.

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use std::io::{self, BufRead, Cursor, Read};

/// Bytes that are examined to find the encoding.
const HEAD: usize = 1024;
const BLOCK: usize = 64 << 10;

/// `raw` as UTF-8, without a byte order mark.
///
/// # Errors
/// The beginning cannot be read, or an XML declaration names an encoding that is not known.
pub fn utf8<'a>(mut raw: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut head = Vec::new();
    raw.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    let (encoding, mark) = match Encoding::for_bom(&head) {
        Some(found) => found,
        None => (declared(&head)?, 0),
    };
    head.drain(..mark);
    let all = Cursor::new(head).chain(raw);
    Ok(if encoding == UTF_8 {
        Box::new(Mended { raw: all, bytes: Vec::new(), out: Cursor::default(), ended: false })
    } else {
        let decoder = encoding.new_decoder_without_bom_handling();
        Box::new(Decoded { raw: all, decoder, out: Cursor::default(), ended: false })
    })
}

/// A line of text in UTF-8; bytes that are not valid UTF-8 are read as windows-1252.
pub fn text(line: &[u8]) -> std::borrow::Cow<'_, str> {
    match std::str::from_utf8(line) {
        Ok(text) => text.into(),
        Err(_) => {
            let mut text = String::with_capacity(line.len() + 16);
            mend(line, true, &mut text);
            text.into()
        }
    }
}

fn declared(head: &[u8]) -> io::Result<&'static Encoding> {
    let utf16 = match head {
        [0, second, 0, fourth, ..] if *second != 0 && *fourth != 0 => Some(UTF_16BE),
        [first, 0, third, 0, ..] if *first != 0 && *third != 0 => Some(UTF_16LE),
        _ => None,
    };
    if let Some(utf16) = utf16 {
        return Ok(utf16);
    }
    let start = head.trim_ascii_start();
    let Some(end) = start.windows(2).position(|two| two == b"?>").filter(|_| start.starts_with(b"<?xml"))
    else {
        return Ok(UTF_8);
    };
    let declaration = String::from_utf8_lossy(&start[..end]);
    let label = declaration.split_once("encoding").and_then(|(_, rest)| {
        let rest = rest.trim_start().strip_prefix('=')?.trim_start();
        let quote = rest.chars().next().filter(|sign| matches!(sign, '"' | '\''))?;
        rest[1..].split_once(quote).map(|(label, _)| label.to_owned())
    });
    let Some(label) = label else { return Ok(UTF_8) };
    match Encoding::for_label(label.trim().as_bytes()) {
        // The bytes are not UTF-16, in spite of the declaration.
        Some(found) if found == UTF_16LE || found == UTF_16BE => Ok(UTF_8),
        Some(found) if found.is_ascii_compatible() => Ok(found),
        _ => {
            let label: String = label.chars().take(40).flat_map(char::escape_debug).collect();
            Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("line 1: the encoding '{label}' is not known"),
            ))
        }
    }
}

/// Appends `bytes` as text, those that are not UTF-8 as windows-1252, and returns how many were used. Unless `last`,
/// an incomplete character at the end is not used.
fn mend(bytes: &[u8], last: bool, out: &mut String) -> usize {
    let mut rest = bytes;
    loop {
        match std::str::from_utf8(rest) {
            Ok(text) => {
                out.push_str(text);
                return bytes.len();
            }
            Err(error) => {
                let (valid, after) = rest.split_at(error.valid_up_to());
                out.push_str(std::str::from_utf8(valid).unwrap_or_default());
                let bad = match error.error_len() {
                    None if !last => return bytes.len() - after.len(),
                    None => after.len(),
                    Some(length) => length,
                };
                let (bad, next) = after.split_at(bad.min(after.len()));
                out.push_str(&WINDOWS_1252.decode_without_bom_handling(bad).0);
                rest = next;
            }
        }
    }
}

struct Mended<R> {
    raw: R,
    bytes: Vec<u8>,
    out: Cursor<Vec<u8>>,
    ended: bool,
}

impl<R: Read> Read for Mended<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.out.fill_buf()?.is_empty() && !self.ended {
            let kept = self.bytes.len();
            self.bytes.resize(kept + BLOCK, 0);
            let read = self.raw.read(&mut self.bytes[kept..]);
            self.bytes.truncate(kept + *read.as_ref().unwrap_or(&0));
            self.ended = read? == 0;
            if std::str::from_utf8(&self.bytes).is_ok() {
                // The usual case copies nothing.
                let old = std::mem::take(&mut self.out).into_inner();
                self.out = Cursor::new(std::mem::replace(&mut self.bytes, old));
                self.bytes.clear();
                continue;
            }
            let mut text = String::with_capacity(self.bytes.len() + 64);
            let used = mend(&self.bytes, self.ended, &mut text);
            self.bytes.drain(..used);
            self.out = Cursor::new(text.into_bytes());
        }
        self.out.read(into)
    }
}

struct Decoded<R> {
    raw: R,
    decoder: Decoder,
    out: Cursor<Vec<u8>>,
    ended: bool,
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.out.fill_buf()?.is_empty() && !self.ended {
            let mut bytes = vec![0; BLOCK];
            let length = self.raw.read(&mut bytes)?;
            self.ended = length == 0;
            let mut text =
                String::with_capacity(self.decoder.max_utf8_buffer_length(length).unwrap_or(4 * BLOCK));
            let (result, used, _) = self.decoder.decode_to_string(&bytes[..length], &mut text, self.ended);
            debug_assert!(result == CoderResult::InputEmpty && used == length);
            self.out = Cursor::new(text.into_bytes());
        }
        self.out.read(into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> String {
        let mut text = String::new();
        utf8(bytes).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    fn utf16(text: &str, little: bool) -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() })
            .collect()
    }

    #[test]
    fn each_encoding_reads_as_the_same_text() {
        let text = "id;name\n1;Tür – 20 €\n";
        let (windows, _, lossy) = WINDOWS_1252.encode(text);
        assert!(!lossy);
        let marked = |mark: &[u8], bytes: Vec<u8>| [mark, &bytes].concat();
        for bytes in [
            text.as_bytes().to_vec(),
            marked(b"\xef\xbb\xbf", text.as_bytes().to_vec()),
            windows.to_vec(),
            marked(b"\xff\xfe", utf16(text, true)),
            marked(b"\xfe\xff", utf16(text, false)),
            utf16(text, true),
            utf16(text, false),
        ] {
            assert_eq!(read(&bytes), text);
        }
    }

    #[test]
    fn an_xml_declaration_names_the_encoding() {
        let declared = |label: &str, bytes: &[u8]| {
            [format!("<?xml version='1.0' encoding='{label}'?>").as_bytes(), bytes].concat()
        };
        assert!(read(&declared("windows-1252", b"D\x92A")).ends_with("D’A"));
        assert!(read(&declared("ISO-8859-15", b"\xa4")).ends_with('€'));
        assert!(read(&declared("Shift_JIS", b"\x8d\xdd\x8c\xc9")).ends_with("在庫"));
        assert!(read(&declared("UTF-16", "ü".as_bytes())).ends_with('ü'));
        assert!(read(&declared("utf-8", b"\xfc")).ends_with('ü'));
        let error = utf8(&*declared("klingon", b"")).err().unwrap().to_string();
        assert!(error.contains("klingon"), "{error}");
    }

    #[test]
    fn characters_are_whole_wherever_a_block_ends() {
        for ahead in BLOCK - 4..BLOCK + 4 {
            let text = format!("{}€ü", "x".repeat(ahead));
            assert_eq!(read(text.as_bytes()), text);
        }
        assert_eq!(text(b"\xa310 \xe2\x82\xac"), "£10 €");
    }

    proptest! {
        #[test]
        fn any_text_in_utf8_stays_as_it_is(text in "\\PC{0,40}") {
            prop_assume!(!text.as_bytes().contains(&0));
            prop_assert_eq!(read(text.as_bytes()), text.trim_start_matches('\u{feff}'));
        }

        #[test]
        fn any_bytes_become_text(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(mut reader) = utf8(&*bytes) {
                let mut text = String::new();
                prop_assert!(reader.read_to_string(&mut text).is_ok());
            }
        }
    }
}
