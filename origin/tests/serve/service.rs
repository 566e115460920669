//! A running `verge serve`, and clients of it.

use serde_json::Value;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{path::Path, thread};
use tempfile::TempDir;

const TIMEOUT: Duration = Duration::from_secs(30);

/// Waits until `check` is true.
pub(crate) fn until(what: &str, mut check: impl FnMut() -> bool) {
    let began = Instant::now();
    while !check() {
        assert!(began.elapsed() < TIMEOUT, "timed out waiting for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Starts a server that answers each request (head and body) with `answer`, and closes the connection.
pub(crate) fn peer(answer: impl Fn(&str) -> String + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut request, mut buffer) = (String::new(), [0; 4096]);
            let length = |request: &str| {
                let (head, body) = request.split_once("\r\n\r\n")?;
                let of =
                    |line: &str| line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok();
                Some(head.lines().find_map(of).unwrap_or(0).saturating_sub(body.len()))
            };
            while length(&request) != Some(0) {
                let read = stream.read(&mut buffer).unwrap();
                assert!(read > 0, "incomplete request: {request}");
                request.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
            }
            stream.write_all(answer(&request).as_bytes()).unwrap();
        }
    });
    address
}

/// A service with its own data directory, killed when it is dropped.
pub(crate) struct Service {
    dir: TempDir,
    child: Mutex<Child>,
    log: Arc<Mutex<Vec<Value>>>,
    address: String,
    keys: HashMap<&'static str, String>,
}

/// A client with one key.
pub(crate) struct Caller {
    base: String,
    key: String,
}

/// An answer of the service.
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

fn verge(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verge"));
    command.current_dir(dir).env_remove("VERGE_CONFIG").env_remove("VERGE_DATA_DIR").stdin(Stdio::null());
    command
}

fn run(dir: &Path, arguments: &[&str]) -> String {
    let output = verge(dir).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

impl Service {
    pub(crate) fn start() -> Self {
        Self::start_with("", &[])
    }

    /// Starts it with this `verge.toml` and these arguments.
    pub(crate) fn start_with(config: &str, arguments: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("verge.toml"), config).unwrap();
        Self::start_in(dir, arguments)
    }

    /// The error with which it does not start with this `verge.toml`.
    pub(crate) fn refused(config: &str) -> String {
        Self::refused_with(config, &["--listen", "127.0.0.1:0"])
    }

    /// The same with these arguments.
    pub(crate) fn refused_with(config: &str, arguments: &[&str]) -> String {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("verge.toml"), config).unwrap();
        let output = verge(dir.path()).arg("serve").args(arguments).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    }

    /// Starts it with a generated shop of 100 items and its model.
    pub(crate) fn start_shop(config: &str) -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("verge.toml"), config).unwrap();
        run(dir.path(), &["generate", "--items", "100", "--sessions", "1000", "--into-store"]);
        run(dir.path(), &["build", "--no-judge"]);
        Self::start_in(dir, &[])
    }

    /// Starts it in a directory that contains `verge.toml`.
    fn start_in(dir: TempDir, arguments: &[&str]) -> Self {
        let roles = ["events", "catalogue", "metrics", "admin"];
        let key = |role| run(dir.path(), &["keys", "add", role, "--role", role]).trim().to_owned();
        let keys = roles.map(|role| (role, key(role))).into();
        let mut child = verge(dir.path())
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let into = Arc::clone(&log);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let entry = serde_json::from_str(&line).unwrap_or(Value::String(line));
                into.lock().unwrap().push(entry);
            }
        });
        let mut service = Self { dir, child: Mutex::new(child), log, address: String::new(), keys };
        let began = Instant::now();
        while service.address.is_empty() {
            assert!(began.elapsed() < TIMEOUT, "it did not start: {:?}", service.log.lock().unwrap());
            let log = service.log.lock().unwrap();
            let listening = log.iter().find(|entry| entry["message"] == "listening");
            let address = listening.and_then(|entry| Some(entry["address"].as_str()?.to_owned()));
            drop(log);
            service.address = address.unwrap_or_default();
            thread::sleep(Duration::from_millis(5));
        }
        service
    }

    /// The directory of `verge.toml` and of the data directory `verge-data`.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The value of a metric, by its name and labels as printed.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        let text = self.with_key(&self.key("metrics")).get("/metrics").text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        line.parse().ok()
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The key of a role.
    pub(crate) fn key(&self, role: &str) -> String {
        self.keys[role].clone()
    }

    pub(crate) fn with_key(&self, key: &str) -> Caller {
        Caller { base: format!("http://{}", self.address), key: key.to_owned() }
    }

    /// Runs another command on the same data directory; returns its output.
    pub(crate) fn verge(&self, arguments: &[&str]) -> String {
        run(self.dir.path(), arguments)
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let id = self.child.lock().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// Waits until it has ended; returns its log.
    pub(crate) fn ended(&self) -> Vec<Value> {
        let began = Instant::now();
        while self.child.lock().unwrap().try_wait().unwrap().is_none() {
            assert!(began.elapsed() < TIMEOUT, "it did not stop");
            thread::sleep(Duration::from_millis(5));
        }
        // The reader of the log ends with the process.
        thread::sleep(Duration::from_millis(100));
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Caller {
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, Some(body.to_string().as_bytes()))
    }

    pub(crate) fn send(&self, method: &str, path: &str, body: Option<&[u8]>) -> Answer {
        self.send_with(method, path, body, &[("content-type", "application/json")])
    }

    pub(crate) fn send_with(
        &self,
        method: &str,
        path: &str,
        body: Option<&[u8]>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0);
        let agent: ureq::Agent =
            config.allow_non_standard_methods(true).timeout_global(Some(TIMEOUT)).build().into();
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        if !self.key.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.key));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = match body {
            Some(body) => agent.run(request.body(body).unwrap()),
            None => agent.run(request.body(()).unwrap()),
        }
        .unwrap();
        let header = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().iter().map(header).collect(),
            body: response.body_mut().read_to_vec().unwrap(),
        }
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(has, _)| has == name).map(|(_, value)| &**value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    /// The body, which must be a problem as in RFC 9457.
    pub(crate) fn problem(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.text());
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert!(["type", "title", "detail"].iter().all(|field| problem[field].is_string()), "{problem}");
        problem
    }
}
