//! A Worker in workerd with its own KV.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{env, fs, thread};
use tempfile::TempDir;
use ureq::http;
use xtask::steps::Steps;
use xtask::tools::npm_packages;
use xtask::wrangler::{Dev, NAMESPACE, Options, agent, free_port};

/// Time limit for the start of `wrangler dev`, which may have to compile the Worker.
const START_TIMEOUT: Duration = Duration::from_secs(600);
/// Time limit for the Worker to serve a published snapshot.
const UPDATE_TIMEOUT: Duration = Duration::from_secs(10);

/// A running Worker. Dropping it stops it.
pub struct Edge {
    dev: Dev,
    agent: ureq::Agent,
    _dir: TempDir,
}

impl Edge {
    /// Starts the Worker with an empty KV and these variables. It reads the manifest at every request.
    ///
    /// # Errors
    /// Tools are missing, or it does not start; the message contains wrangler's output.
    pub fn start(vars: &[(&str, &str)]) -> Result<Self> {
        Self::start_as(&[], vars)
    }

    /// Starts it with other configurations than `wrangler.demo.toml`: that of the Worker (see [`wrangler_config`]), then those of
    /// further Workers, each with its script.
    ///
    /// # Errors
    /// The same as [`Edge::start`].
    pub fn start_as(configs: &[(&str, &str)], vars: &[(&str, &str)]) -> Result<Self> {
        let dir = TempDir::new()?;
        let mut files = Vec::new();
        for (number, (config, script)) in configs.iter().enumerate() {
            let folder = dir.path().join(number.to_string());
            fs::create_dir(&folder)?;
            fs::write(folder.join("worker.js"), script)?;
            files.push(folder.join("wrangler.toml"));
            fs::write(folder.join("wrangler.toml"), config)?;
        }
        Self::start_in(dir, &files, vars)
    }

    /// Starts several Workers of the repository from the paths of their configurations. The first one receives the requests
    /// and the variables.
    ///
    /// # Errors
    /// The same as [`Edge::start`].
    pub fn start_with(configs: &[&str], vars: &[(&str, &str)]) -> Result<Self> {
        let files: Vec<_> = configs.iter().map(|config| xtask::root().join(config)).collect();
        Self::start_in(TempDir::new()?, &files, vars)
    }

    fn start_in(dir: TempDir, configs: &[PathBuf], vars: &[(&str, &str)]) -> Result<Self> {
        let steps = Steps::new(&xtask::root().join("target/test/log"))?;
        npm_packages(&steps)?;
        let vars: Vec<_> = [("MANIFEST_TTL_S", "0")].iter().chain(vars).copied().collect();
        let log: PathBuf = dir.path().join("wrangler.log");
        let persist_to = &dir.path().join("kv");
        let options = Options { port: free_port()?, persist_to, configs, vars: &vars, log };
        let mut dev = Dev::start(options)?;
        dev.wait_until_ready(START_TIMEOUT)?;
        Ok(Self { dev, agent: agent(Duration::from_secs(30)), _dir: dir })
    }

    /// Creates a request.
    pub fn request<'a>(&'a self, method: &'a str, path: &'a str) -> Request<'a> {
        let headers = vec![("accept-encoding".to_owned(), b"identity".to_vec())];
        Request { edge: self, method, path, headers, body: Vec::new(), chunked: false }
    }

    /// Sends a `GET` request.
    ///
    /// # Errors
    /// There is no answer.
    pub fn get(&self, path: &str) -> Result<Reply> {
        self.request("GET", path).send()
    }

    /// Repeats a request until the answer meets a condition.
    ///
    /// # Errors
    /// It does not in time; the message contains the last answer.
    pub fn until(&self, path: &str, condition: impl Fn(&Reply) -> bool) -> Result<Reply> {
        let deadline = Instant::now() + UPDATE_TIMEOUT;
        loop {
            let reply = self.get(path)?;
            if condition(&reply) {
                return Ok(reply);
            }
            if Instant::now() > deadline {
                bail!("{path} does not meet the condition; the last answer was {reply:?}\n{}", self.log());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The version of the snapshot that a region is served from.
    ///
    /// # Errors
    /// There is none.
    pub fn version(&self, region: &str) -> Result<String> {
        let reply = self.get(&format!("/v1/popular?limit=1&region={region}"))?;
        let version = reply.json()["snapshot"]["version"].as_str().map(str::to_owned);
        version.with_context(|| format!("no version in {reply:?}"))
    }

    /// The base URL of the Worker, without a trailing slash.
    pub fn address(&self) -> String {
        self.dev.address()
    }

    /// The URL of the Worker's KV, for `VERGE_KV_BASE`.
    pub fn kv_api(&self) -> String {
        self.dev.kv_api()
    }

    fn kv_url(&self, key: &str) -> String {
        let key = key.replace('/', "%2F");
        format!("{}/storage/kv/namespaces/{NAMESPACE}/values/{key}", self.kv_api())
    }

    /// Writes a value.
    ///
    /// # Errors
    /// KV refuses.
    pub fn kv_put(&self, key: &str, value: &[u8]) -> Result<()> {
        let response = self.agent.put(&self.kv_url(key)).send(value)?;
        ensure!(response.status() == 200, "KV answered {} to writing {key}", response.status());
        Ok(())
    }

    /// Reads a value, if it exists.
    ///
    /// # Errors
    /// KV is unreachable.
    pub fn kv_get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let mut response = self.agent.get(&self.kv_url(key)).call()?;
        Ok(if response.status() == 200 { Some(response.body_mut().read_to_vec()?) } else { None })
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// KV refuses.
    pub fn kv_delete(&self, key: &str) -> Result<()> {
        let response = self.agent.delete(&self.kv_url(key)).call()?;
        ensure!(response.status() == 200, "KV answered {} to deleting {key}", response.status());
        Ok(())
    }

    /// The output of wrangler and the Worker.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.dev.log()).unwrap_or_default()).into_owned()
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        if thread::panicking() || env::var_os("VERGE_TEST_LOG").is_some() {
            eprintln!("── wrangler's output\n{}", self.log());
        }
    }
}

/// The repository's `wrangler.toml` with absolute paths. Enables each commented-out section that contains one of these
/// words.
///
/// # Errors
/// There is no such section.
pub fn wrangler_config(words: &[&str]) -> Result<String> {
    let root = xtask::root();
    let text = fs::read_to_string(root.join("wrangler.toml"))?;
    for word in words {
        ensure!(
            text.split("\n\n").any(|section| is_disabled(section) && section.contains(word)),
            "no commented-out section contains '{word}'"
        );
    }
    let enable = |section: &str| {
        let is_enabled = is_disabled(section) && words.iter().any(|word| section.contains(word));
        if is_enabled { section.replace("#: ", "") } else { section.to_owned() }
    };
    let text = text.split("\n\n").map(enable).collect::<Vec<_>>().join("\n\n");
    let at_root = |text: String, key: &str| {
        text.replace(&format!("{key} = \""), &format!("{key} = \"{}/", root.display()))
    };
    let text = ["main", "directory"].into_iter().fold(text, at_root);
    Ok(text.replace("[build]\n", &format!("[build]\ncwd = \"{}\"\n", root.display())))
}

/// Whether a section is commented out.
fn is_disabled(section: &str) -> bool {
    section.contains("\n#: ")
}

/// A request to the Worker.
pub struct Request<'a> {
    edge: &'a Edge,
    method: &'a str,
    path: &'a str,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    chunked: bool,
}

impl Request<'_> {
    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sets the `Cookie` header.
    #[must_use]
    pub fn cookie(self, cookies: impl Into<Vec<u8>>) -> Self {
        self.header("cookie", cookies)
    }

    /// Sets the visitor's location in Cloudflare's format.
    #[must_use]
    pub fn place(self, cf: &Value) -> Self {
        let mut cf = cf.clone();
        cf["clientAcceptEncoding"] = "identity".into();
        self.cf(&cf)
    }

    /// Sets the visitor's country.
    #[must_use]
    pub fn country(self, code: &str) -> Self {
        self.cf(&serde_json::json!({"country": code, "clientAcceptEncoding": "identity"}))
    }

    /// Sets all of `request.cf`.
    #[must_use]
    pub fn cf(self, cf: &Value) -> Self {
        self.header("mf-cf-blob", cf.to_string())
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends the body chunked, without a Content-Length.
    #[must_use]
    pub fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// Sends the request.
    ///
    /// # Errors
    /// There is no answer.
    pub fn send(self) -> Result<Reply> {
        let Self { edge, method, path, headers, body, chunked } = self;
        let url = format!("{}{path}", edge.dev.address());
        let mut request = http::Request::builder().method(method).uri(&url);
        for (name, value) in &headers {
            request = request.header(name, value.as_slice());
        }
        let context = || format!("{method} {url}");
        let response = if body.is_empty() {
            edge.agent.run(request.body(()).with_context(context)?)
        } else if chunked {
            let mut reader = body.as_slice();
            let body = ureq::SendBody::from_reader(&mut reader);
            edge.agent.run(request.body(body).with_context(context)?)
        } else {
            edge.agent.run(request.body(body).with_context(context)?)
        };
        let mut response = response.with_context(context)?;
        let body = response.body_mut().read_to_vec().with_context(context)?;
        Ok(Reply { status: response.status().as_u16(), headers: response.headers().clone(), body })
    }
}

/// An answer.
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body: String = String::from_utf8_lossy(&self.body).chars().take(1_000).collect();
        write!(out, "{} {:?} {body}", self.status, self.headers)
    }
}

impl Reply {
    /// The body as JSON; null if it is not valid JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The text of a header; empty if it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The ids of the items.
    pub fn ids(&self) -> Vec<String> {
        let items = self.json()["items"].as_array().cloned().unwrap_or_default();
        items.iter().filter_map(|item| item["id"].as_str().map(str::to_owned)).collect()
    }

    /// `NAME=VALUE` of each `Set-Cookie` header.
    pub fn cookies(&self) -> Vec<String> {
        let set = self.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
        set.map(|value| value.split(';').next().unwrap_or_default().to_owned()).collect()
    }
}
