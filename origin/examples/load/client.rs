//! The load generator: one thread, many connections, requests scheduled by the clock.

use anyhow::{Context, Result};
use std::cell::RefCell;
use std::fmt;
use std::io::ErrorKind;
use std::io::Write as _;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// Timeout of responses after the last scheduled request.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A load: what to send, and how fast.
pub struct Load {
    /// Distinguishes the event ids of runs.
    pub run: u64,
    /// Requests per second.
    pub rate: f64,
    /// Events per request.
    pub batch: usize,
    /// Connections; a request waits for a free one.
    pub connections: usize,
    /// Duration in seconds.
    pub seconds: f64,
}

/// The result of a load.
pub struct LoadResult {
    /// Number of acknowledged events.
    pub events: usize,
    /// Their numbers.
    pub acknowledged: Vec<u64>,
    /// Latencies of acknowledged requests from their scheduled time, in seconds, sorted.
    latencies: Vec<f64>,
    refused: usize,
    failed: usize,
    unsent: usize,
    seconds: f64,
}

impl fmt::Display for LoadResult {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |share: f64| {
            let place = ((self.latencies.len() as f64 * share) as usize).min(self.latencies.len().max(1) - 1);
            self.latencies.get(place).copied().unwrap_or(f64::NAN) * 1e3
        };
        write!(
            out,
            "{:.0} events/s in {:.0} requests/s; p50 {:.1} ms, p99 {:.1}, p99.9 {:.1}; {} refused (429 or 503), {} failed, \
             {} not sent",
            self.events as f64 / self.seconds,
            self.latencies.len() as f64 / self.seconds,
            at(0.5),
            at(0.99),
            at(0.999),
            self.refused,
            self.failed,
            self.unsent,
        )
    }
}

/// The number in an event id.
pub fn number(id: &str) -> u64 {
    id.rsplit('-').next().and_then(|number| u64::from_str_radix(number, 36).ok()).unwrap_or(u64::MAX)
}

struct Shared {
    load: Load,
    start: Instant,
    next: RefCell<u64>,
    outcome: RefCell<LoadResult>,
    head: String,
    stamp: String,
}

impl Load {
    /// Sends the load.
    pub fn run(self, address: &str, key: &str) -> Result<LoadResult> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let outcome = LoadResult {
            events: 0,
            acknowledged: Vec::new(),
            latencies: Vec::new(),
            refused: 0,
            failed: 0,
            unsent: 0,
            seconds: 0.0,
        };
        let shared = Rc::new(Shared {
            start: Instant::now(),
            next: RefCell::new(0),
            outcome: RefCell::new(outcome),
            head: format!(
                "POST /v1/events HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\ncontent-type: \
                 application/json\r\ncontent-length: "
            ),
            stamp: jiff::Timestamp::now().to_string(),
            load: self,
        });
        let work = LocalSet::new();
        let tasks: Vec<_> = (0..shared.load.connections)
            .map(|_| {
                let (shared, address) = (Rc::clone(&shared), address.to_owned());
                work.spawn_local(async move { connection(&shared, &address).await })
            })
            .collect();
        runtime.block_on(work.run_until(async {
            for task in tasks {
                task.await??;
            }
            Ok::<_, anyhow::Error>(())
        }))?;
        drop(work);
        let seconds = shared.start.elapsed().as_secs_f64();
        let shared = Rc::into_inner(shared).context("a connection is still open")?;
        let mut outcome = shared.outcome.into_inner();
        outcome.seconds = seconds;
        outcome.latencies.sort_unstable_by(f64::total_cmp);
        Ok(outcome)
    }
}

async fn connection(shared: &Shared, address: &str) -> Result<()> {
    let load = &shared.load;
    let end = shared.start + Duration::from_secs_f64(load.seconds);
    let total = (load.rate * load.seconds) as u64;
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut body, mut request, mut answer) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let number = {
            let mut next = shared.next.borrow_mut();
            *next += 1;
            *next - 1
        };
        if number >= total {
            return Ok(());
        }
        let due = shared.start + Duration::from_secs_f64(number as f64 / load.rate);
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        } else if Instant::now() > end + TIMEOUT {
            shared.outcome.borrow_mut().unsent += 1;
            continue;
        }
        let first = (load.run << 48) + number * load.batch as u64;
        events(shared, first, &mut body);
        request.clear();
        write!(request, "{}{}\r\n\r\n", shared.head, body.len())?;
        request.extend_from_slice(&body);
        let status = match exchange(&stream, &request, &mut answer).await {
            Ok(status) => status,
            Err(_) => {
                shared.outcome.borrow_mut().failed += 1;
                stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                continue;
            }
        };
        let mut outcome = shared.outcome.borrow_mut();
        match status {
            202 => {
                outcome.events += load.batch;
                outcome.acknowledged.extend(first..first + load.batch as u64);
                outcome.latencies.push(due.elapsed().as_secs_f64());
            }
            429 | 503 => outcome.refused += 1,
            _ => outcome.failed += 1,
        }
    }
}

/// Writes events as the edge sends them.
fn events(shared: &Shared, first: u64, body: &mut Vec<u8>) {
    body.clear();
    body.push(b'[');
    for number in first..first + shared.load.batch as u64 {
        if number > first {
            body.push(b',');
        }
        let kind = ["view", "view", "view", "click", "cart", "purchase"][number as usize % 6];
        let item = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
        // Writing into memory does not fail.
        let _ = write!(
            body,
            "{{\"id\":\"01JD0000000000-{}\",\"kind\":\"{kind}\",\"item\":\"item-{:05}\",\"visitor\":\"Vh3kQ8v{:015x}\",\
             \"session\":\"s{:015x}\",\"at\":\"{}\",\"region\":\"gb\"}}",
            Base36(number),
            (item * item) >> 16,
            number / 40,
            number / 8,
            shared.stamp,
        );
    }
    body.push(b']');
}

struct Base36(u64);

impl fmt::Display for Base36 {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut digits, mut number) = ([b'0'; 13], self.0);
        for digit in digits.iter_mut().rev() {
            *digit = b"0123456789abcdefghijklmnopqrstuvwxyz"[(number % 36) as usize];
            number /= 36;
        }
        out.write_str(str::from_utf8(&digits).unwrap_or_default())
    }
}

/// Sends a request and reads the response; returns its status.
async fn exchange(stream: &TcpStream, request: &[u8], answer: &mut Vec<u8>) -> std::io::Result<u16> {
    let mut sent = 0;
    while sent < request.len() {
        stream.writable().await?;
        match stream.try_write(&request[sent..]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    answer.clear();
    loop {
        stream.readable().await?;
        let mut chunk = [0; 4096];
        match stream.try_read(&mut chunk) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => answer.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        }
        if let Some(status) = status(answer) {
            return Ok(status);
        }
    }
}

/// The status of a complete response.
fn status(answer: &[u8]) -> Option<u16> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = str::from_utf8(&answer[..end]).ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    })?;
    (answer.len() >= end + length).then(|| head.get(9..12)?.parse().ok())?
}
