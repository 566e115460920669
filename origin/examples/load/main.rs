//! Load test of event ingestion: `cargo xtask load`, which builds this and the `verge` that it starts.
//!
//! The loop is open: requests are scheduled at fixed times whether or not earlier ones were answered, and latencies count from
//! the scheduled time (no coordinated omission). Client and service share the machine. For comparison, the same run inserts
//! the same events into PostgreSQL with equal durability, as fast as possible.

mod client;
mod postgres;
mod service;

use anyhow::{Context, Result};
use client::{Load, LoadResult};
use origin_log::Reader;
use service::Service;
use std::collections::HashSet;
use std::path::PathBuf;

/// Targets: events per second one by one, and in batches.
const SINGLE: f64 = 20_000.0;
const BATCHED: f64 = 300_000.0;
/// Events per batch.
const BATCH: usize = 500;
const OVERLOAD: f64 = 10.0;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [verge, dir, seconds] = &arguments[..] else {
        anyhow::bail!("usage: load VERGE DIRECTORY SECONDS; run it with `cargo xtask load`")
    };
    let (verge, dir, seconds) = (PathBuf::from(verge), PathBuf::from(dir), seconds.parse()?);
    let idle = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load before: {}", idle.trim());
    let service = Service::start(&verge, &dir)?;
    let mut acknowledged = HashSet::new();
    let mut run = |name: &str, load: Load| -> Result<LoadResult> {
        let before = service.cpu_seconds()?;
        let outcome = load.run(&service.address, &service.key)?;
        let cpu = (service.cpu_seconds()? - before) * 1e6 / (outcome.events.max(1) as f64);
        println!(
            "{name}: {outcome}, {cpu:.2} µs CPU per event in the service, {} MiB resident",
            service.resident_mib()?
        );
        acknowledged.extend(outcome.acknowledged.iter().copied());
        Ok(outcome)
    };
    run("warm-up", Load { run: 0, rate: SINGLE / 10.0, batch: 1, connections: 64, seconds: 2.0 })?;
    run("single events", Load { run: 1, rate: SINGLE, batch: 1, connections: 256, seconds })?;
    let batches = BATCHED / BATCH as f64;
    run("batches of 500", Load { run: 2, rate: batches, batch: BATCH, connections: 32, seconds })?;
    let flood = Load { run: 3, rate: batches * OVERLOAD, batch: BATCH, connections: 512, seconds };
    run("overload, ten times the batches", flood)?;
    println!("peak memory: {} MiB", service.peak_mib()?);

    let mut stored = HashSet::new();
    let (mut events, mut twice) = (0u64, 0u64);
    Reader::new(&service.log(), 0).read(|record, _| {
        events += 1;
        twice += u64::from(!stored.insert(client::number(record.id)));
    })?;
    let lost = acknowledged.iter().filter(|number| !stored.contains(*number)).count();
    println!(
        "{events} events in the log; of {} acknowledged ones {lost} lost, {twice} duplicated",
        acknowledged.len()
    );
    anyhow::ensure!(lost == 0 && twice == 0, "the log differs from what was acknowledged");
    drop(service);
    postgres::run(&dir, seconds).context("PostgreSQL")
}
