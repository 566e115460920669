//! An HTTP/1.1 client that sends arbitrary bytes, which client libraries refuse to do.

use super::generate::{Class, GeneratedRequest};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// Time limit for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit for an answer to a malformed request, after which workerd may wait for more bytes.
const MALFORMED_TIMEOUT: Duration = Duration::from_millis(200);
/// Size limit of a line in the head of an answer, in bytes.
const MAX_LINE: u64 = 64 << 10;
/// Size limit of the body of an answer, in bytes.
const MAX_BODY: usize = 64 << 20;

/// An answer.
pub(super) struct Answer {
    /// The status.
    pub(super) status: u16,
    /// `Content-Type`.
    pub(super) content_type: String,
    /// The body.
    pub(super) body: Vec<u8>,
    keep_alive: bool,
}

/// A connection to workerd, opened on demand.
pub(super) struct Connection {
    port: u16,
    stream: Option<BufReader<TcpStream>>,
}

impl Connection {
    /// A connection to a port of 127.0.0.1.
    pub(super) const fn new(port: u16) -> Self {
        Self { port, stream: None }
    }

    /// Sends a valid request. Retries once on a new connection if a reused one was closed.
    ///
    /// # Errors
    /// There is no answer, or it is not HTTP.
    pub(super) fn send(&mut self, request: &GeneratedRequest) -> Result<Answer> {
        let was_reused = self.stream.is_some();
        match self.exchange(request, TIMEOUT) {
            Err(_) if was_reused => self.exchange(request, TIMEOUT),
            answer => answer,
        }
    }

    /// Sends a request on its own connection. There may be no answer.
    pub(super) fn send_alone(&mut self, request: &GeneratedRequest) -> Option<Answer> {
        self.stream = None;
        let timeout = if request.class == Class::Malformed { MALFORMED_TIMEOUT } else { TIMEOUT };
        let answer = self.exchange(request, timeout).ok();
        self.stream = None;
        answer
    }

    fn exchange(&mut self, request: &GeneratedRequest, timeout: Duration) -> Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(("127.0.0.1", self.port)).context("cannot connect")?;
                stream.set_nodelay(true)?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                BufReader::new(stream)
            }
        };
        stream.get_ref().set_read_timeout(Some(timeout))?;
        // workerd may answer a request that is too large before it has read all of it.
        let sent = stream.get_mut().write_all(&request.bytes);
        let mut answer =
            read_answer(&mut stream, request.is_head).with_context(|| format!("sending: {sent:?}"))?;
        while (100..=199).contains(&answer.status) && answer.status != 101 {
            answer = read_answer(&mut stream, request.is_head)?;
        }
        if answer.status == 101 {
            let _ = stream.get_ref().shutdown(Shutdown::Both);
        } else if answer.keep_alive && sent.is_ok() {
            self.stream = Some(stream);
        }
        Ok(answer)
    }
}

fn read_line(stream: &mut impl BufRead) -> Result<String> {
    let mut line = Vec::new();
    stream.take(MAX_LINE).read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        bail!("the connection was closed within the head of an answer");
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

fn read_answer(stream: &mut impl BufRead, is_head: bool) -> Result<Answer> {
    let first = read_line(stream)?;
    let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let status: u16 = status.with_context(|| format!("no status in '{first}'"))?;
    let (mut length, mut chunked, mut keep_alive, mut content_type) = (None, false, true, String::new());
    loop {
        let header = read_line(stream)?;
        let Some((name, value)) = header.split_once(':') else { break };
        let value = value.trim();
        match &*name.to_ascii_lowercase() {
            "content-length" => length = Some(value.parse::<usize>().context("invalid Content-Length")?),
            "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
            "connection" => keep_alive = !value.eq_ignore_ascii_case("close"),
            "content-type" => content_type = value.to_owned(),
            _ => {}
        }
    }
    let mut body = Vec::new();
    if is_head || status < 200 || matches!(status, 204 | 304) {
    } else if chunked {
        loop {
            let size = usize::from_str_radix(&read_line(stream)?, 16).context("invalid chunk size")?;
            read_body(stream, size, &mut body)?;
            read_line(stream)?;
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = length {
        read_body(stream, length, &mut body)?;
    } else {
        keep_alive = false;
        stream.read_to_end(&mut body)?;
    }
    Ok(Answer { status, content_type, body, keep_alive })
}

fn read_body(stream: &mut impl BufRead, length: usize, body: &mut Vec<u8>) -> Result<()> {
    if body.len() + length > MAX_BODY {
        bail!("an answer has more than {MAX_BODY} bytes");
    }
    let start = body.len();
    body.resize(start + length, 0);
    stream.read_exact(&mut body[start..]).context("the connection was closed within the body of an answer")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(bytes: &str, is_head: bool) -> Result<Answer> {
        read_answer(&mut bytes.as_bytes(), is_head)
    }

    #[test]
    fn both_body_framings_are_read() {
        let plain =
            answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: a/b\r\n\r\nhix", false).unwrap();
        assert_eq!((plain.status, &*plain.body, &*plain.content_type), (200, &b"hi"[..], "a/b"));
        let chunks = "HTTP/1.1 404 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n";
        assert_eq!(answer(chunks, false).unwrap().body, b"hi!");
        assert_eq!(answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", true).unwrap().body, b"");
        assert!(!answer("HTTP/1.1 400 X\r\nConnection: close\r\n\r\nrest", false).unwrap().keep_alive);
        for broken in
            ["", "HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", "HTTP/1.1 200"]
        {
            assert!(answer(broken, false).is_err(), "{broken}");
        }
    }
}
