//! The native program of `cargo xtask bench`.
//!
//! ```text
//! bench prepare SNAPSHOTS OUT [SESSIONS]            generate OUT/inputs and OUT/cookies.txt from built snapshots
//! bench run INPUTS MS [NAME]                        measure all cases, or those whose name starts with NAME, in passes of MS; JSON
//! bench cache                                       simulate the hit rate of the shard cache; JSON
//! bench load COOKIES MS ROUNDS PID NAME=PORT/PATH.. load Workers alternately; JSON; PID is that of workerd
//! ```

mod load;

use anyhow::{Context, Result, bail};
use bench::cases::cases;
use bench::inputs::Inputs;
use bench::measure::{Clock, measure};
use snapshots::Bytes;
use snapshots::manifest::{Manifest, WORLD, blob_key, manifest_key};
use snapshots::recents::Recents;
use snapshots::time::Timestamp;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime};
use std::{env, fs};

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(|argument| &**argument).collect();
    match arguments.as_slice() {
        ["prepare", snapshots, out] => prepare(snapshots, out, None),
        ["prepare", snapshots, out, sessions] => prepare(snapshots, out, Some(sessions)),
        ["run", inputs, ms] => run(inputs, ms.parse()?, ""),
        ["run", inputs, ms, name] => run(inputs, ms.parse()?, name),
        ["cache"] => {
            println!("{}", serde_json::to_string(&bench::cache::simulations()?)?);
            Ok(())
        }
        ["load", cookies, ms, rounds, pid, targets @ ..] => {
            let cookies = fs::read_to_string(cookies).with_context(|| format!("cannot read {cookies}"))?;
            let targets = targets.iter().map(|target| load::Target::parse(target, &cookies));
            let targets: Vec<_> = targets.collect::<Result<_>>()?;
            println!("{}", load::run(&targets, ms.parse()?, rounds.parse()?, pid.parse()?)?);
            Ok(())
        }
        _ => bail!(
            "unknown arguments; see the head of snapshots/bench/src/main.rs, or use `cargo xtask bench`"
        ),
    }
}

fn prepare(snapshots: &str, out: &str, sessions: Option<&str>) -> Result<()> {
    let dir = Path::new(snapshots);
    let read = |key: String| {
        let path = dir.join(key);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let manifest = Manifest::parse(&read(manifest_key(WORLD))?)?;
    let blobs = manifest.blobs.iter().map(|blob| Ok(Bytes::from(read(blob_key(&blob.hash))?)));
    let sessions = match sessions {
        Some(file) => {
            let text = fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
            Some(text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect())
        }
        None => None,
    };
    let inputs = Inputs::new(&blobs.collect::<Result<Vec<_>>>()?, sessions)?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis();
    let now = Timestamp(i64::try_from(now)?);
    let cookie =
        |recents: &Vec<String>| Recents::from_ids(recents.iter().map(|id| &**id), now).encode() + "\n";
    let out = Path::new(out);
    fs::create_dir_all(out)?;
    fs::write(out.join("cookies.txt"), inputs.prefixes.iter().map(cookie).collect::<String>())?;
    fs::write(out.join("inputs"), rmp_serde::to_vec(&inputs)?)?;
    println!("{} prefixes", inputs.prefixes.len());
    Ok(())
}

fn run(inputs: &str, ms: f64, name: &str) -> Result<()> {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let inputs = fs::read(inputs).with_context(|| format!("cannot read {inputs}"))?;
    let clock = Clock::new(|| BEGAN.get_or_init(Instant::now).elapsed().as_nanos() as f64);
    let mut cases = cases(rmp_serde::from_slice(&inputs)?)?;
    cases.retain(|case| case.name.starts_with(name));
    let figures: Vec<_> = cases.iter_mut().map(|case| measure(&clock, case, ms * 1e6)).collect();
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}
