//! Runs `verge` commands and `verge serve` on a directory.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

pub fn verge(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verge"));
    command.current_dir(dir).env_remove("VERGE_CONFIG").env_remove("VERGE_DATA_DIR").stdin(Stdio::null());
    command.args(arguments);
    command
}

pub fn run(dir: &Path, arguments: &[&str]) -> String {
    let output = output(dir, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub fn output(dir: &Path, arguments: &[&str]) -> Output {
    verge(dir, arguments).output().unwrap()
}

/// The service, killed when it is dropped.
pub struct Service {
    child: Child,
    pub address: String,
    /// Its log from the start until it listened.
    pub startup_log: String,
}

impl Service {
    pub fn start(dir: &Path) -> Self {
        let mut child =
            verge(dir, &["serve", "--listen", "127.0.0.1:0"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut startup_log = String::new();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let entry: Value = serde_json::from_str(&line).unwrap_or_default();
            startup_log += &line;
            (entry["message"] == "listening").then(|| entry["address"].as_str().unwrap().to_owned())
        });
        thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let address = address.unwrap_or_else(|| panic!("the service did not start: {startup_log}"));
        Self { child, address, startup_log }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a JSON request. Returns the response's status, its header `Retry-After` and its body.
    pub fn send(&self, key: &str, method: &str, path: &str, body: &Value) -> (u16, Option<String>, Value) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("authorization", format!("Bearer {key}"))
            .body(body.to_string().into_bytes())
            .unwrap();
        let mut response = agent.run(request).unwrap();
        let retry_after =
            response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        let body = serde_json::from_slice(&response.body_mut().read_to_vec().unwrap()).unwrap_or_default();
        (response.status().as_u16(), retry_after, body)
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
