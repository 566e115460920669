//! The client's side of a live connection.

use crate::edge::Edge;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::net::TcpStream;
use std::time::Duration;
use tungstenite::client::IntoClientRequest;
use tungstenite::http::{HeaderName, HeaderValue};
use tungstenite::{Error, Message, WebSocket};

/// How long the Worker may be silent.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to `GET /v1/live`. Dropping it ends it without a farewell, as a phone in a tunnel does.
pub struct Live {
    socket: WebSocket<TcpStream>,
}

impl Live {
    /// Connects to `path` with these headers.
    ///
    /// # Errors
    /// The status and body that the Worker refuses with.
    pub fn open(edge: &Edge, path: &str, headers: &[(&str, &str)]) -> Result<Self> {
        let authority = edge.address().trim_start_matches("http://").to_owned();
        let mut request = format!("ws://{authority}{path}").into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(name.parse::<HeaderName>()?, HeaderValue::from_str(value)?);
        }
        let stream = TcpStream::connect(&authority)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(tungstenite::HandshakeError::Failure(Error::Http(reply))) => {
                let body = reply.body().as_deref().unwrap_or_default();
                bail!("{} {}", reply.status(), String::from_utf8_lossy(body))
            }
            Err(error) => bail!("{error}"),
        }
    }

    /// Sends a text.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn say(&mut self, text: impl ToString) -> Result<()> {
        Ok(self.socket.send(Message::text(text.to_string()))?)
    }

    /// The next text.
    ///
    /// # Errors
    /// When the connection ends before, or nothing comes in time.
    pub fn hear_text(&mut self) -> Result<String> {
        loop {
            match self.socket.read().context("nothing to hear")? {
                Message::Text(text) => return Ok(text.to_string()),
                Message::Close(frame) => bail!("the connection ends: {frame:?}"),
                _ => {}
            }
        }
    }

    /// The next message.
    ///
    /// # Errors
    /// Those of [`Live::hear_text`], and a text that is no JSON.
    pub fn hear(&mut self) -> Result<Value> {
        let text = self.hear_text()?;
        serde_json::from_str(&text).with_context(|| text)
    }

    /// The code that the Worker ends the connection with, whatever it says before.
    ///
    /// # Errors
    /// When it does not end it.
    pub fn end(mut self) -> Result<u16> {
        for _ in 0..10_000 {
            if let Message::Close(frame) = self.socket.read().context("it does not end")? {
                return Ok(frame.map_or(0, |frame| frame.code.into()));
            }
        }
        bail!("it does not end")
    }

    /// Sends bytes in place of a text.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn say_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        ensure!(self.socket.can_write(), "the connection has ended");
        Ok(self.socket.send(Message::binary(bytes.to_vec()))?)
    }
}
