//! PostgreSQL for comparison: `INSERT` of the same events, durable when acknowledged, with unique ids.

use anyhow::{Context, Result, ensure};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TABLE: &str = "CREATE TABLE events (id text PRIMARY KEY, at timestamptz NOT NULL, kind smallint NOT NULL, \
    item text NOT NULL, visitor bigint NOT NULL, session bigint NOT NULL, area text NOT NULL)";

/// The newest installation in Debian's path.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> = versions.flatten().map(|entry| entry.path().join("bin")).collect();
    found.retain(|path| path.join("initdb").exists());
    found.sort();
    found.pop()
}

/// Runs the comparison, or prints why it is skipped.
pub fn run(dir: &Path, seconds: f64) -> Result<()> {
    let Some(programs) = programs() else {
        println!("PostgreSQL: skipped, as it is not installed (apt-get install postgresql)");
        return Ok(());
    };
    let dir = std::path::absolute(dir)?.join("postgres");
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir)?;
    let server = Server { programs, dir };
    // PostgreSQL does not run as root; Debian's package creates a user.
    if Command::new("id").arg("-u").output()?.stdout == b"0\n" {
        ensure!(
            Command::new("chown").arg("postgres").arg(&server.dir).status()?.success(),
            "no user postgres"
        );
    }
    server.call("initdb", &["-D", "data", "-A", "trust", "-U", "verge"])?;
    let options =
        format!("-k {} -c listen_addresses= -c synchronous_commit=on -c fsync=on", server.dir.display());
    server.call("pg_ctl", &["-D", "data", "-w", "-l", "log", "-o", &options, "start"])?;
    server.call("psql", &["-q", "-c", TABLE, "postgres"])?;
    for (name, rows, clients) in [("single events", 1, "64"), ("batches of 500", 500, "8")] {
        let script = server.dir.join("insert.sql");
        std::fs::write(&script, insert(rows))?;
        let time = format!("{:.0}", seconds.ceil());
        let script = script.to_string_lossy();
        let arguments = ["-n", "-M", "prepared", "-c", clients, "-j", "1", "-T", &time, "-f", &script, "-l"];
        let printed =
            server.call("pgbench", &[&arguments[..], &["--log-prefix=times", "postgres"]].concat())?;
        let rate = printed
            .lines()
            .find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse::<f64>().ok());
        let mut times = server.times()?;
        times.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
        println!(
            "PostgreSQL, {name}: {:.0} events/s from {clients} connections; p50 {:.1} ms, p99 {:.1}, p99.9 {:.1}",
            rate.context("pgbench printed no rate")? * rows as f64,
            at(0.5),
            at(0.99),
            at(0.999),
        );
    }
    Ok(())
}

/// A pgbench script with one row of random values per event; ids practically never repeat.
fn insert(rows: usize) -> String {
    let mut script = String::from("\\set n random(1, 9000000000000000)\n");
    script += "INSERT INTO events SELECT md5((:n::bigint + row)::text), now(), row % 5, 'item-' || (:n::bigint + row * 7919) % 65536, \
               :n::bigint + row / 40, :n::bigint + row / 8, 'gb' FROM generate_series(1, ";
    // Writing into a String does not fail.
    let _ = writeln!(script, "{rows}) AS row ON CONFLICT DO NOTHING;");
    script
}

struct Server {
    programs: PathBuf,
    dir: PathBuf,
}

impl Server {
    fn call(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let program = self.programs.join(program);
        let root = Command::new("id").arg("-u").output()?.stdout == b"0\n";
        let mut command = if root { Command::new("runuser") } else { Command::new(&program) };
        if root {
            command.args(["-u", "postgres", "--"]).arg(&program);
        }
        let output = command
            .args(arguments)
            .current_dir(&self.dir)
            .env("PGHOST", &self.dir)
            .env("PGUSER", "verge")
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "{}: {printed}{}",
            program.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(printed)
    }

    /// Reads and removes pgbench's files; returns latencies in milliseconds.
    fn times(&self) -> Result<Vec<f64>> {
        let mut times = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("times.")) {
                let text = std::fs::read_to_string(&path)?;
                let micros = text.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<f64>().ok());
                times.extend(micros.map(|micros| micros / 1e3));
                std::fs::remove_file(path)?;
            }
        }
        Ok(times)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.call("pg_ctl", &["-D", "data", "-m", "immediate", "stop"]);
    }
}
