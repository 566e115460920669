//! A load generator for Workers on loopback: a few persistent connections with one request at a time on each.

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use snapshots::recents::COOKIE;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use std::{fs, thread};

/// Number of connections, enough to saturate the one thread of workerd.
const CONNECTIONS: usize = 8;
/// Time limit for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Ticks per second in /proc, the same on all common Linux systems.
const TICKS: f64 = 100.0;

/// A Worker and the requests of many visitors to it.
pub(crate) struct Target {
    name: String,
    port: u16,
    requests: Vec<Vec<u8>>,
}

impl Target {
    /// Parses `NAME=PORT/PATH`; each line of `cookies` is a visitor.
    ///
    /// # Errors
    /// The format is different, or there are no cookies.
    pub(crate) fn parse(text: &str, cookies: &str) -> Result<Self> {
        let (name, address) = text.split_once('=').context("expected NAME=PORT/PATH")?;
        let (port, path) = address.split_once('/').context("expected NAME=PORT/PATH")?;
        let request = |cookie: &str| {
            format!("GET /{path} HTTP/1.1\r\nHost: localhost\r\nCF-IPCountry: GB\r\nCookie: {COOKIE}={cookie}\r\n\r\n")
                .into_bytes()
        };
        let requests: Vec<_> = cookies.lines().map(request).collect();
        ensure!(!requests.is_empty(), "there are no visitors");
        Ok(Self { name: name.to_owned(), port: port.parse()?, requests })
    }
}

/// The results for a target.
#[derive(Serialize)]
struct Figures {
    name: String,
    /// Requests per second, the median of the rounds.
    per_second: f64,
    /// Requests per second of each round.
    rounds: Vec<f64>,
    /// ms from request to answer, over all rounds.
    p50: f64,
    p99: f64,
    /// µs of workerd's CPU time per answer; none without /proc.
    cpu: Option<f64>,
    /// Average size of a body in bytes.
    bytes: f64,
}

#[derive(Default)]
struct Round {
    latencies: Vec<f64>,
    bytes: usize,
    seconds: f64,
    cpu: Option<f64>,
}

/// Loads the targets alternately for `rounds` rounds of `ms` each, after one warm-up round. Returns JSON.
pub(crate) fn run(targets: &[Target], ms: u64, rounds: usize, pid: u32) -> Result<String> {
    let mut all: Vec<Vec<Round>> = targets.iter().map(|_| Vec::new()).collect();
    for number in 0..=rounds {
        for (target, done) in targets.iter().zip(&mut all) {
            let round = round(target, Duration::from_millis(ms), pid)
                .with_context(|| format!("{} on port {}", target.name, target.port))?;
            if number > 0 {
                done.push(round);
            }
        }
    }
    let figures: Vec<_> = targets.iter().zip(all).map(|(target, rounds)| summary(target, rounds)).collect();
    Ok(serde_json::to_string(&figures)?)
}

fn summary(target: &Target, rounds: Vec<Round>) -> Figures {
    let mut per_second: Vec<f64> =
        rounds.iter().map(|round| round.latencies.len() as f64 / round.seconds).collect();
    let in_order = per_second.clone();
    per_second.sort_by(f64::total_cmp);
    let answers = rounds.iter().map(|round| round.latencies.len()).sum::<usize>() as f64;
    let cpu: Option<f64> = rounds.iter().map(|round| round.cpu).sum();
    let bytes = rounds.iter().map(|round| round.bytes).sum::<usize>() as f64;
    let mut latencies: Vec<f64> = rounds.into_iter().flat_map(|round| round.latencies).collect();
    latencies.sort_by(f64::total_cmp);
    let at = |sorted: &[f64], share: f64| {
        sorted.get((sorted.len() as f64 * share) as usize).copied().unwrap_or_default()
    };
    Figures {
        name: target.name.clone(),
        per_second: at(&per_second, 0.5),
        rounds: in_order,
        p50: at(&latencies, 0.5),
        p99: at(&latencies, 0.99),
        cpu: cpu.map(|seconds| seconds * 1e6 / answers),
        bytes: bytes / answers,
    }
}

fn round(target: &Target, length: Duration, pid: u32) -> Result<Round> {
    let (before, began) = (cpu_seconds(pid), Instant::now());
    let mut round = thread::scope(|scope| {
        let visitors =
            (0..CONNECTIONS).map(|number| scope.spawn(move || connection(target, number, began + length)));
        let visitors: Vec<_> = visitors.collect();
        let mut round = Round::default();
        for visitor in visitors {
            let (latencies, bytes) =
                visitor.join().map_err(|_| anyhow::anyhow!("a connection panicked"))??;
            round.latencies.extend(latencies);
            round.bytes += bytes;
        }
        anyhow::Ok(round)
    })?;
    round.seconds = began.elapsed().as_secs_f64();
    round.cpu = before.zip(cpu_seconds(pid)).map(|(before, after)| after - before);
    Ok(round)
}

/// Sends requests until `end`. Returns the latency of each answer in ms and the total size of the bodies in bytes.
fn connection(target: &Target, number: usize, end: Instant) -> Result<(Vec<f64>, usize)> {
    let mut stream = TcpStream::connect(("127.0.0.1", target.port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut answers = BufReader::with_capacity(1 << 16, stream.try_clone()?);
    let (mut latencies, mut bytes, mut body) = (Vec::new(), 0, Vec::new());
    // Each connection starts with another visitor.
    let visitors = target.requests.iter().cycle().skip(number * target.requests.len() / CONNECTIONS);
    for request in visitors {
        let began = Instant::now();
        if began >= end {
            break;
        }
        stream.write_all(request)?;
        let length = head(&mut answers)?;
        body.resize(length, 0);
        answers.read_exact(&mut body)?;
        latencies.push(began.elapsed().as_secs_f64() * 1e3);
        bytes += length;
    }
    Ok((latencies, bytes))
}

/// Reads the head of an answer and returns the length of its body.
fn head(answers: &mut impl BufRead) -> Result<usize> {
    let (mut line, mut length, mut first) = (String::new(), None, true);
    loop {
        line.clear();
        answers.read_line(&mut line)?;
        if first && !line.starts_with("HTTP/1.1 200") {
            bail!("the answer is {line:?}");
        }
        first = false;
        if line == "\r\n" {
            return length.context("an answer without content-length");
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = Some(value.trim().parse()?);
        }
    }
}

fn cpu_seconds(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // utime and stime are fields 14 and 15. Field 2, the name, may contain anything and ends with the last parenthesis.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS)
}
