//! A client of `GET /v1/live`.

use crate::edge::Edge;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::net::TcpStream;
use std::time::Duration;
use tungstenite::client::IntoClientRequest;
use tungstenite::http::{HeaderName, HeaderValue};
use tungstenite::{Error, Message, WebSocket};

/// Time limit for a message.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A WebSocket connection. Dropping it closes the socket without a close frame, like a client that loses its network.
pub struct Live {
    socket: WebSocket<TcpStream>,
}

impl Live {
    /// Connects to `path` with these headers.
    ///
    /// # Errors
    /// The Worker refuses; the message contains status and body.
    pub fn open(edge: &Edge, path: &str, headers: &[(&str, &str)]) -> Result<Self> {
        let authority = edge.address().trim_start_matches("http://").to_owned();
        let mut request = format!("ws://{authority}{path}").into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(name.parse::<HeaderName>()?, HeaderValue::from_str(value)?);
        }
        let stream = TcpStream::connect(&authority)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(tungstenite::HandshakeError::Failure(Error::Http(reply))) => {
                let body = reply.body().as_deref().unwrap_or_default();
                bail!("{} {}", reply.status(), String::from_utf8_lossy(body))
            }
            Err(error) => bail!("{error}"),
        }
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// The connection is closed.
    pub fn send(&mut self, text: impl ToString) -> Result<()> {
        Ok(self.socket.send(Message::text(text.to_string()))?)
    }

    /// Receives a text message.
    ///
    /// # Errors
    /// The connection is closed, or no message arrives in time.
    pub fn receive_text(&mut self) -> Result<String> {
        loop {
            match self.socket.read().context("no message")? {
                Message::Text(text) => return Ok(text.to_string()),
                Message::Close(frame) => bail!("the connection was closed: {frame:?}"),
                _ => {}
            }
        }
    }

    /// Receives a JSON message.
    ///
    /// # Errors
    /// The same as [`Live::receive_text`], and text that is not valid JSON.
    pub fn receive(&mut self) -> Result<Value> {
        let text = self.receive_text()?;
        serde_json::from_str(&text).with_context(|| text)
    }

    /// Waits for the Worker to close the connection, ignoring other messages. Returns the close code.
    ///
    /// # Errors
    /// It does not close the connection.
    pub fn close_code(mut self) -> Result<u16> {
        for _ in 0..10_000 {
            if let Message::Close(frame) = self.socket.read().context("the connection stays open")? {
                return Ok(frame.map_or(0, |frame| frame.code.into()));
            }
        }
        bail!("the connection stays open")
    }

    /// Sends a binary message.
    ///
    /// # Errors
    /// The connection is closed.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        ensure!(self.socket.can_write(), "the connection is closed");
        Ok(self.socket.send(Message::binary(bytes.to_vec()))?)
    }
}
