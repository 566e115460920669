//! An HTTP server that records its requests: a fake origin, or a proxy to KV.

use anyhow::{Result, anyhow, bail};
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tiny_http::{Response, Server};

/// A request that a [`Peer`] received.
#[derive(Clone, Debug)]
pub struct Received {
    /// `GET`, `PUT`, …
    pub method: String,
    /// Path and query, unchanged.
    pub path: String,
    /// The `Authorization` header; empty if it is absent.
    pub authorization: String,
    /// The `Verge-Door` header; empty if it is absent.
    pub door: String,
    /// The body.
    pub body: Vec<u8>,
    /// The status of the answer; 0 before it is sent.
    pub status: u16,
}

/// An HTTP server on a free port. Dropping it stops it.
pub struct Peer {
    server: Arc<Server>,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Peer {
    /// Starts a server that answers each request, in its own thread, with the status and body that `answer` returns.
    /// `answer` may block.
    ///
    /// # Errors
    /// No port is free.
    pub fn start(answer: impl Fn(&Received) -> (u16, Vec<u8>) + Send + Sync + 'static) -> Result<Self> {
        let server =
            Arc::new(Server::http("127.0.0.1:0").map_err(|error| anyhow!("no port is free: {error}"))?);
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let (listening, seen, answer) = (Arc::clone(&server), Arc::clone(&received), Arc::new(answer));
        thread::spawn(move || {
            for mut request in listening.incoming_requests() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                thread::spawn(move || {
                    let mut body = Vec::new();
                    let _ = request.as_reader().read_to_end(&mut body);
                    let header = |name: &'static str| {
                        let found = request.headers().iter().find(|header| header.field.equiv(name));
                        found.map(|header| header.value.to_string()).unwrap_or_default()
                    };
                    let one = Received {
                        method: request.method().to_string(),
                        path: request.url().to_owned(),
                        authorization: header("authorization"),
                        door: header("verge-door"),
                        body,
                        status: 0,
                    };
                    let index = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(one.clone());
                        seen.len() - 1
                    };
                    let (status, body) = answer(&one);
                    seen.lock().unwrap()[index].status = status;
                    let _ = request.respond(Response::from_data(body).with_status_code(status));
                });
            }
        });
        Ok(Self { server, received })
    }

    /// A proxy to the URL `to` for requests that `pass` accepts; others are answered with 502.
    ///
    /// # Errors
    /// No port is free.
    pub fn in_front_of(to: String, pass: impl Fn(&Received) -> bool + Send + Sync + 'static) -> Result<Self> {
        let agent = xtask::wrangler::agent(Duration::from_secs(30));
        Self::start(move |one| {
            if !pass(one) {
                return (502, Vec::new());
            }
            let url = format!("{to}{}", one.path);
            let answer = match &*one.method {
                "PUT" => agent.put(&url).send(&one.body),
                "DELETE" => agent.delete(&url).call(),
                _ => agent.get(&url).call(),
            };
            match answer {
                Ok(mut answer) => {
                    (answer.status().as_u16(), answer.body_mut().read_to_vec().unwrap_or_default())
                }
                Err(error) => (502, error.to_string().into_bytes()),
            }
        })
    }

    /// Its base URL, without a trailing slash.
    pub fn address(&self) -> String {
        format!("http://{}", self.server.server_addr())
    }

    /// The requests received so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

/// Waits until the origin has received `count` bodies that contain `text`.
///
/// # Errors
/// They do not arrive in time.
pub fn receipts(origin: &Peer, text: &str, count: usize) -> Result<Vec<Received>> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let mut received = origin.received();
        received.retain(|one| String::from_utf8_lossy(&one.body).contains(text));
        if received.len() >= count {
            return Ok(received);
        }
        if Instant::now() > deadline {
            bail!("the origin received {} bodies with '{text}', not {count}", received.len());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The events of a request to the origin.
///
/// # Errors
/// The body is not JSON.
pub fn events_of(received: &Received) -> Result<Vec<Value>> {
    let events = serde_json::Deserializer::from_slice(&received.body).into_iter::<Value>();
    Ok(events.collect::<Result<_, _>>()?)
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.server.unblock();
    }
}
