//! One log gives one snapshot, byte for byte: whatever store it lies in, and on however many threads it is learnt.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

fn verge(data_dir: &Path, threads: &str, args: &[&str]) {
    let run = Command::new(env!("CARGO_BIN_EXE_verge"))
        .env("RAYON_NUM_THREADS", threads)
        .arg("--data-dir")
        .arg(data_dir)
        .args(args)
        .output()
        .unwrap();
    assert!(run.status.success(), "{args:?}: {}", String::from_utf8_lossy(&run.stderr));
}

/// Every file below a directory.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(dir).unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn one_log_gives_one_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let generate = ["generate", "--items", "300", "--sessions", "3000", "--seed", "7", "--into-store"];
    let build = ["build", "--no-judge", "--min-events", "100"];
    let built: Vec<_> = [("first", "1"), ("second", "2"), ("third", "2")]
        .map(|(name, threads)| {
            // Each store hashes visitors with a key of its own.
            let store = dir.path().join(name);
            verge(&store, threads, &generate);
            verge(&store, threads, &build);
            let snapshots = files(&store.join("snapshots"));
            let models: Vec<_> = std::fs::read_dir(store.join("models"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .filter(|name| name != "served.json")
                .collect();
            (snapshots, models)
        })
        .into();
    let (snapshots, models) = &built[0];
    assert!(snapshots.len() > 6 && models.len() == 1, "{:?} {models:?}", snapshots.keys());
    for (others, named) in &built[1..] {
        assert!(snapshots.keys().eq(others.keys()), "{:?} {:?}", snapshots.keys(), others.keys());
        for (path, bytes) in snapshots {
            assert!(bytes == &others[path], "{} differs", path.display());
        }
        assert_eq!(models, named);
    }
}
