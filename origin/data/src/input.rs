//! Input files: decompression by content, lines of bounded length.

use crate::encoding;
use anyhow::{Context, Result};
use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::rc::Rc;

/// The bytes at the start of a file that identify it.
pub const PREFIX: usize = 1024;
/// Longest line, in bytes. It bounds memory; a longer line is not a row of a log.
const MAX_LINE: u64 = 4 << 20;

/// Largest window of a zstd frame as a power of two: 128 MiB, which is also the limit of the command `zstd`. A frame of
/// 100 KB may otherwise request gigabytes of memory.
const MAX_WINDOW_LOG: u32 = 27;

/// An open log.
pub struct Input<'a> {
    lines: Box<dyn BufRead + 'a>,
    read: Rc<Cell<u64>>,
    unterminated: bool,
    /// Size of the file, compressed if it is; `None` for standard input.
    pub size: Option<u64>,
    /// Its first KiB, decompressed, in its own encoding.
    pub prefix: Vec<u8>,
}

/// The result of [`Input::next_line`].
pub enum Line {
    /// A line is in the buffer.
    Full,
    /// The beginning of a line of more than 4 MiB is in the buffer.
    TooLong,
    /// The end of the input.
    End,
}

impl Input<'static> {
    /// Opens a file, or standard input for `-`.
    pub fn open(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Self::over(io::stdin().lock(), None).context("cannot read standard input");
        }
        let open = || -> Result<Self> {
            let file = File::open(path)?;
            let size = file.metadata()?.len();
            Self::over(file, Some(size))
        };
        open().with_context(|| format!("cannot read {}", path.display()))
    }
}

impl<'a> Input<'a> {
    /// Reads from `raw`, of `size` bytes.
    pub fn over(raw: impl Read + 'a, size: Option<u64>) -> Result<Self> {
        let read = Rc::new(Cell::new(0));
        let mut content = decompressed(CountingReader { inner: raw, read: Rc::clone(&read) })?;
        let mut prefix = Vec::new();
        content.by_ref().take(PREFIX as u64).read_to_end(&mut prefix)?;
        let mut text =
            BufReader::with_capacity(256 << 10, encoding::utf8(Cursor::new(prefix.clone()).chain(content))?);
        let start = text.fill_buf()?;
        // The last byte may be one half of `\r\n`.
        let is_old_mac = start.iter().rev().skip(1).any(|byte| *byte == b'\r') && !start.contains(&b'\n');
        let lines: Box<dyn BufRead + 'a> = if is_old_mac {
            Box::new(BufReader::with_capacity(256 << 10, OldMac(text)))
        } else {
            Box::new(text)
        };
        Ok(Self { lines, read, unterminated: false, size, prefix })
    }

    /// Bytes taken from the file so far.
    pub fn position(&self) -> u64 {
        self.read.get()
    }

    /// Reads the next line, without its end, into `line`.
    pub fn next_line(&mut self, line: &mut Vec<u8>) -> io::Result<Line> {
        line.clear();
        if self.lines.by_ref().take(MAX_LINE).read_until(b'\n', line)? == 0 {
            return Ok(Line::End);
        }
        if line.last() != Some(&b'\n') && line.len() as u64 == MAX_LINE {
            line.truncate(200);
            self.lines.skip_until(b'\n')?;
            return Ok(Line::TooLong);
        }
        self.unterminated = line.last() != Some(&b'\n');
        while let Some(b'\n' | b'\r') = line.last() {
            line.pop();
        }
        Ok(Line::Full)
    }

    /// Whether the last line has no line end: the file ends there, or was cut.
    pub fn is_unterminated(&self) -> bool {
        self.unterminated
    }
}

/// The content of `raw`, decompressed if it is gzip or zstd.
///
/// # Errors
/// Its beginning cannot be read.
pub fn decompressed<'a>(mut raw: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut magic = Vec::new();
    raw.by_ref().take(4).read_to_end(&mut magic)?;
    let kind = magic.clone();
    let raw = BufReader::with_capacity(256 << 10, Cursor::new(magic).chain(raw));
    Ok(match kind.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(raw)),
        [0x28, 0xb5, 0x2f, 0xfd] => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(raw)?;
            decoder.window_log_max(MAX_WINDOW_LOG)?;
            Box::new(decoder)
        }
        _ => Box::new(raw),
    })
}

/// Text with lines that end with `\r`, as spreadsheets save it for old Macintosh systems.
struct OldMac<R>(R);

impl<R: Read> Read for OldMac<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.0.read(buffer)?;
        let (read, _) = buffer.split_at_mut(length);
        read.iter_mut().filter(|byte| **byte == b'\r').for_each(|byte| *byte = b'\n');
        Ok(length)
    }
}

struct CountingReader<R> {
    inner: R,
    read: Rc<Cell<u64>>,
}

impl<R: Read> Read for CountingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.read.set(self.read.get() + length as u64);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn lines(bytes: Vec<u8>) -> Vec<String> {
        let mut input = Input::over(Cursor::new(bytes), None).unwrap();
        let (mut line, mut lines) = (Vec::new(), Vec::new());
        loop {
            match input.next_line(&mut line).unwrap() {
                Line::Full => lines.push(encoding::text(&line).into_owned()),
                Line::TooLong => lines.push(format!("too long, begins {}", line.len())),
                Line::End => return lines,
            }
        }
    }

    #[test]
    fn plain_gzip_and_zstd_read_alike_whatever_their_name() {
        let plain = "\u{feff}one\r\ntwo\n\nthree £".repeat(300).into_bytes();
        let expected = lines(plain.clone());
        assert_eq!(expected[..3], ["one", "two", ""]);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&plain).unwrap();
        assert_eq!(lines(gzip.finish().unwrap()), expected);
        assert_eq!(lines(zstd::encode_all(&*plain, 1).unwrap()), expected);
        // Two files, each compressed, joined by `cat`.
        let half = plain.len() / 2;
        let mut joined = zstd::encode_all(&plain[..half], 1).unwrap();
        joined.extend(zstd::encode_all(&plain[half..], 1).unwrap());
        assert_eq!(lines(joined), expected);
    }

    #[test]
    fn lines_may_end_with_a_carriage_return_alone() {
        assert_eq!(lines(b"id,name\r1,Cup\r\r2,Jug".to_vec()), ["id,name", "1,Cup", "", "2,Jug"]);
        assert_eq!(lines(b"a\rb\nc".to_vec()), ["a\rb", "c"]);
    }

    #[test]
    fn an_endless_line_is_cut_and_the_next_one_read() {
        let mut bytes = vec![b'x'; MAX_LINE as usize + 5];
        bytes.extend(b"\nnext");
        assert_eq!(lines(bytes), ["too long, begins 200", "next"]);
        assert!(lines(Vec::new()).is_empty());
    }

    #[test]
    fn bytes_that_are_not_utf8_are_windows_1252() {
        assert_eq!(lines(b"\xa310 D\x92A".to_vec()), ["£10 D’A"]);
    }

    #[test]
    fn a_cut_archive_is_an_error() {
        let whole = zstd::encode_all(&*b"line\n".repeat(100_000), 1).unwrap();
        let mut input = Input::over(Cursor::new(whole[..whole.len() - 4].to_vec()), None).unwrap();
        let mut line = Vec::new();
        let error = loop {
            match input.next_line(&mut line) {
                Ok(Line::End) => panic!("a cut archive was taken as whole"),
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
