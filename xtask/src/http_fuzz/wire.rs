//! One connection: bytes out, an answer back.

use super::made::{Class, Made};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// What cannot be understood may wait for more.
const SHORT_PATIENCE: Duration = Duration::from_millis(200);
/// The longest line of an answer's head, in bytes.
const MAX_LINE: u64 = 64 << 10;
/// The longest body of an answer, in bytes.
const MAX_BODY: usize = 64 << 20;

/// An answer.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
    stays_open: bool,
}

/// A connection to workerd, made when it is needed.
pub struct Line {
    port: u16,
    open: Option<BufReader<TcpStream>>,
}

impl Line {
    /// To a port of 127.0.0.1.
    pub const fn new(port: u16) -> Self {
        Self { port, open: None }
    }

    /// Sends a request that is understood in any case; once more on a fresh connection where a kept one was closed
    /// meanwhile.
    ///
    /// # Errors
    /// There is no answer, or one that is no HTTP.
    pub fn ask(&mut self, made: &Made) -> Result<Answer> {
        let was_kept = self.open.is_some();
        match self.exchange(made, PATIENCE) {
            Err(_) if was_kept => self.exchange(made, PATIENCE),
            answer => answer,
        }
    }

    /// Sends a request on a connection of its own, and nothing after it; none may come back.
    pub fn try_alone(&mut self, made: &Made) -> Option<Answer> {
        self.open = None;
        let patience = if made.class == Class::Broken { SHORT_PATIENCE } else { PATIENCE };
        let answer = self.exchange(made, patience).ok();
        self.open = None;
        answer
    }

    fn exchange(&mut self, made: &Made, patience: Duration) -> Result<Answer> {
        let mut stream = match self.open.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(("127.0.0.1", self.port)).context("cannot connect")?;
                stream.set_nodelay(true)?;
                stream.set_write_timeout(Some(PATIENCE))?;
                BufReader::new(stream)
            }
        };
        stream.get_ref().set_read_timeout(Some(patience))?;
        // What is too long may be answered before it is read to its end.
        let sent = stream.get_mut().write_all(&made.bytes);
        let mut answer = read(&mut stream, made.is_head).with_context(|| format!("sending: {sent:?}"))?;
        while (100..=199).contains(&answer.status) && answer.status != 101 {
            answer = read(&mut stream, made.is_head)?;
        }
        if answer.status == 101 {
            let _ = stream.get_ref().shutdown(Shutdown::Both);
        } else if answer.stays_open && sent.is_ok() {
            self.open = Some(stream);
        }
        Ok(answer)
    }
}

fn line(stream: &mut impl BufRead) -> Result<String> {
    let mut line = Vec::new();
    stream.take(MAX_LINE).read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        bail!("the connection ends within an answer's head");
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

fn read(stream: &mut impl BufRead, is_head: bool) -> Result<Answer> {
    let first = line(stream)?;
    let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let status: u16 = status.with_context(|| format!("no status in '{first}'"))?;
    let (mut length, mut chunked, mut stays_open, mut content_type) = (None, false, true, String::new());
    loop {
        let header = line(stream)?;
        let Some((name, value)) = header.split_once(':') else { break };
        let value = value.trim();
        match &*name.to_ascii_lowercase() {
            "content-length" => length = Some(value.parse::<usize>().context("Content-Length")?),
            "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
            "connection" => stays_open = !value.eq_ignore_ascii_case("close"),
            "content-type" => content_type = value.to_owned(),
            _ => {}
        }
    }
    let mut body = Vec::new();
    if is_head || status < 200 || matches!(status, 204 | 304) {
    } else if chunked {
        loop {
            let size = usize::from_str_radix(&line(stream)?, 16).context("the size of a chunk")?;
            take(stream, size, &mut body)?;
            line(stream)?;
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = length {
        take(stream, length, &mut body)?;
    } else {
        stays_open = false;
        stream.read_to_end(&mut body)?;
    }
    Ok(Answer { status, content_type, body, stays_open })
}

fn take(stream: &mut impl BufRead, length: usize, body: &mut Vec<u8>) -> Result<()> {
    if body.len() + length > MAX_BODY {
        bail!("an answer of more than {MAX_BODY} bytes");
    }
    let start = body.len();
    body.resize(start + length, 0);
    stream.read_exact(&mut body[start..]).context("the connection ends within an answer's body")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(bytes: &str, is_head: bool) -> Result<Answer> {
        read(&mut bytes.as_bytes(), is_head)
    }

    #[test]
    fn answers_are_read_in_either_framing() {
        let plain =
            answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: a/b\r\n\r\nhix", false).unwrap();
        assert_eq!((plain.status, &*plain.body, &*plain.content_type), (200, &b"hi"[..], "a/b"));
        let chunks = "HTTP/1.1 404 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n";
        assert_eq!(answer(chunks, false).unwrap().body, b"hi!");
        assert_eq!(answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", true).unwrap().body, b"");
        assert!(!answer("HTTP/1.1 400 X\r\nConnection: close\r\n\r\nrest", false).unwrap().stays_open);
        for broken in
            ["", "HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", "HTTP/1.1 200"]
        {
            assert!(answer(broken, false).is_err(), "{broken}");
        }
    }
}
