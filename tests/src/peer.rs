//! A peer that the parts under test talk to, and that tests watch: an origin, or a way through to KV.

use anyhow::{Result, anyhow};
use std::sync::{Arc, Mutex};
use std::thread;
use tiny_http::{Response, Server};

/// A request that a peer has received.
#[derive(Clone, Debug)]
pub struct Received {
    /// `GET`, `PUT`, …
    pub method: String,
    /// Path and query, as they came.
    pub path: String,
    /// The `Authorization` header; empty when it is absent.
    pub authorization: String,
    /// The body.
    pub body: Vec<u8>,
    /// The status that it was answered with; 0 while it is not.
    pub status: u16,
}

/// An HTTP server on a free port. Dropping it ends it.
pub struct Peer {
    server: Arc<Server>,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Peer {
    /// Serves every request in a thread of its own by `answer`, which gives status and body. It may wait.
    ///
    /// # Errors
    /// When no port is free.
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
                    let authorization =
                        request.headers().iter().find(|header| header.field.equiv("authorization"));
                    let one = Received {
                        method: request.method().to_string(),
                        path: request.url().to_owned(),
                        authorization: authorization
                            .map(|header| header.value.to_string())
                            .unwrap_or_default(),
                        body,
                        status: 0,
                    };
                    let place = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(one.clone());
                        seen.len() - 1
                    };
                    let (status, body) = answer(&one);
                    seen.lock().unwrap()[place].status = status;
                    let _ = request.respond(Response::from_data(body).with_status_code(status));
                });
            }
        });
        Ok(Self { server, received })
    }

    /// A peer that hands those requests that `pass` on to `to`, and the answers back; the others get a 502.
    ///
    /// # Errors
    /// When no port is free.
    pub fn in_front_of(to: String, pass: impl Fn(&Received) -> bool + Send + Sync + 'static) -> Result<Self> {
        let agent = xtask::wrangler::agent(std::time::Duration::from_secs(30));
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

    /// Its address, without a slash at the end.
    pub fn address(&self) -> String {
        format!("http://{}", self.server.server_addr())
    }

    /// What it has received so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.server.unblock();
    }
}
