//! Verge's side of `cargo xtask peers`, and the evaluation of both sides.
//!
//! ```text
//! peers prepare FOLDER TRAIN TEST      writes files of sessions into FOLDER
//! peers prepare FOLDER DATA_DIR        the same from a store, with its last tenth as the test
//! peers learn METHOD FOLDER            writes neighbours to FOLDER/verge-METHOD.rows, prints figures as JSON
//! peers judge FOLDER ROWS              evaluates a file of neighbours, prints HR and MRR as JSON
//! ```
//! A file of neighbours has one line per item: the item, then its neighbours, nearest first. The next click is predicted from
//! the row of the last click alone, without the last item itself (variant b).

use anyhow::{Context, Result, bail};
use origin::{
    evaluate::split::{Split, SplitAt},
    store::Store,
};
use origin_learn::{
    Table, als, item2vec, nearest, prune,
    replay::{CUTOFF, hit, replay},
    rows,
    sessions::Sessions,
    train::TrainingData,
};
use std::{collections::HashMap, fmt::Write as _, fs, path::Path, time::Instant};

/// Neighbours per item.
const KEPT: usize = 50;
/// Scale of the cosine in a logit; it does not change the order.
const SCALE: f32 = 12.0;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(|argument| &**argument).collect();
    match arguments[..] {
        ["prepare", folder, train, test] => {
            prepare(folder, &Split::from_files(Path::new(train), Path::new(test))?)
        }
        ["prepare", folder, store] => {
            let log = Store::open(Path::new(store))?.log()?;
            prepare(folder, &Split::by_time(log, SplitAt::Share(0.1))?)
        }
        ["learn", method, folder] => learn(method, folder),
        ["judge", folder, file] => judge(folder, file),
        _ => bail!(
            "peers prepare FOLDER TRAIN TEST | prepare FOLDER DATA_DIR | learn METHOD FOLDER | judge FOLDER ROWS"
        ),
    }
}

fn prepare(folder: &str, split: &Split) -> Result<()> {
    let folder = Path::new(folder);
    fs::create_dir_all(folder)?;
    let prepared = TrainingData::new(&split.train)?;
    let id = |item: u32| split.train.items[item as usize].id.as_str();
    let text = |sessions: &mut dyn Iterator<Item = Vec<&str>>| {
        sessions.fold(String::new(), |text, session| text + &session.join(" ") + "\n")
    };
    let known = |clicks: &[u32]| clicks.iter().map(|place| id(prepared.order[*place as usize])).collect();
    fs::write(
        folder.join("train.txt"),
        text(&mut prepared.sessions.iter().map(|session| known(session.clicks))),
    )?;
    let ids = |session: &Vec<u32>| session.iter().map(|item| id(*item)).collect();
    fs::write(folder.join("test.txt"), text(&mut split.test.iter().map(ids)))?;
    println!(
        "{} clicks in {} sessions, {} items",
        prepared.sessions.clicks(),
        prepared.sessions.len(),
        prepared.order.len()
    );
    Ok(())
}

fn read(folder: &str) -> Result<Split> {
    let folder = Path::new(folder);
    Split::from_files(&folder.join("train.txt"), &folder.join("test.txt"))
}

/// Cosine similarity of the sets of sessions that hold two items.
fn cosine(sessions: &Sessions, items: usize) -> Table {
    let mut holding: Vec<Vec<u32>> = vec![Vec::new(); items];
    for (place, session) in (0u32..).zip(sessions.iter()) {
        for item in session.clicks {
            let places = &mut holding[*item as usize];
            if places.last() != Some(&place) {
                places.push(place);
            }
        }
    }
    let distinct: Vec<Vec<u32>> = sessions
        .iter()
        .map(|session| {
            let mut items = session.clicks.to_vec();
            items.sort_unstable();
            items.dedup();
            items
        })
        .collect();
    let length: Vec<f32> = holding.iter().map(|places| (places.len() as f32).sqrt()).collect();
    rows(items, |item, row| {
        for place in &holding[item as usize] {
            for other in distinct[*place as usize].iter().filter(|other| **other != item) {
                row.add(*other, 1.0);
            }
        }
        prune(row.drain(|other, sum| sum / length[item as usize] / length[other as usize]), KEPT)
    })
}

fn learn(method: &str, folder: &str) -> Result<()> {
    let split = read(folder)?;
    let TrainingData { sessions, order, .. } = TrainingData::new(&split.train)?;
    let (items, trained) = (order.len(), vec![true; order.len()]);
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let table = match method {
        "cosine" => cosine(&sessions, items),
        "als" => {
            let model = als::learn(&sessions, items, &als::AlsParams::default());
            nearest::find(&model, SCALE, KEPT, &trained)
        }
        "item2vec" => {
            let model = item2vec::learn(&sessions, items, &item2vec::Item2vecParams::default());
            nearest::find(&model, SCALE, KEPT, &trained)
        }
        _ => bail!("no method '{method}'; cosine, als or item2vec"),
    };
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds().zip(cpu).map(|(now, then)| now - then));
    let id = |index: u32| &*split.train.items[order[index as usize] as usize].id;
    let mut text = String::new();
    for (item, row) in (0u32..).zip(&table) {
        text += id(item);
        row.iter().for_each(|(other, _)| write!(text, " {}", id(*other)).unwrap_or_default());
        text += "\n";
    }
    fs::write(Path::new(folder).join(format!("verge-{method}.rows")), text)?;
    println!("{}", serde_json::json!({"wall": wall, "cpu": cpu, "peak_mib": peak_mib()}));
    Ok(())
}

/// CPU time of this process, on Linux.
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    // Linux counts a hundred ticks per second.
    Some((fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?) / 100.0)
}

/// Peak memory of this process, on Linux.
fn peak_mib() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
}

fn judge(folder: &str, file: &str) -> Result<()> {
    let split = read(folder)?;
    let number: HashMap<&str, u32> = split.train.items.iter().map(|item| item.id.as_str()).zip(0..).collect();
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
    let mut table = vec![Vec::new(); number.len()];
    for line in text.lines() {
        let mut ids = line
            .split_whitespace()
            .map(|id| number.get(id).copied().with_context(|| format!("in {file}: no item '{id}'")));
        let Some(item) = ids.next().transpose()? else { continue };
        table[item as usize] = ids.collect::<Result<Vec<u32>>>()?;
    }
    let (mut predictions, mut hits, mut reciprocal) = (0.0, 0.0, 0.0);
    for session in &split.test {
        replay(
            session,
            |_| true,
            |step| {
                predictions += 1.0;
                let last = step.clicks[step.clicks.len() - 1];
                let mut others = table[last as usize].iter().filter(|item| **item != last);
                let rank = others.position(|item| *item == step.next).map(|place| place + 1);
                let [is_hit, reciprocal_rank] = hit(rank, CUTOFF);
                hits += is_hit;
                reciprocal += reciprocal_rank;
            },
        );
    }
    println!("{}", serde_json::json!({"hr": hits / predictions, "mrr": reciprocal / predictions}));
    Ok(())
}
