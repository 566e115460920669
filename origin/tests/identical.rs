//! Builds are reproducible: the same log gives the same snapshots, byte for byte, in any store and on any number of threads.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

fn verge(data_dir: &Path, threads: &str, args: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_verge"))
        .env("RAYON_NUM_THREADS", threads)
        .arg("--data-dir")
        .arg(data_dir)
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// All files below a directory: relative path → content.
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
fn the_same_log_gives_the_same_snapshots() {
    let dir = tempfile::tempdir().unwrap();
    let generate = ["generate", "--items", "300", "--sessions", "3000", "--seed", "7", "--into-store"];
    let build = ["build", "--no-judge", "--min-events", "100"];
    let builds: Vec<_> = [("first", "1"), ("second", "2"), ("third", "2")]
        .map(|(name, threads)| {
            // Each store hashes visitors with its own key.
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
    let (snapshots, models) = &builds[0];
    assert!(snapshots.len() > 6 && models.len() == 1, "{:?} {models:?}", snapshots.keys());
    for (other_snapshots, other_models) in &builds[1..] {
        let (paths, other_paths) = (snapshots.keys(), other_snapshots.keys());
        assert!(paths.clone().eq(other_paths.clone()), "{paths:?} {other_paths:?}");
        for (path, bytes) in snapshots {
            assert!(bytes == &other_snapshots[path], "{} differs", path.display());
        }
        assert_eq!(models, other_models);
    }
}

/// `--train` names where the sessions come from, not where the recipe does.
#[test]
fn evaluation_and_tuning_of_files_read_the_recipe_of_the_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    let sessions = dir.path().join("sessions.txt");
    std::fs::write(&sessions, "a b c\nb c a\nc a b\n".repeat(50)).unwrap();
    std::fs::write(dir.path().join("recipe.toml"), "[coview]\nlamda = 1.0\n").unwrap();
    for command in [
        &["evaluate", "--train", "sessions.txt", "--test", "sessions.txt"][..],
        &["tune", "--train", "sessions.txt"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_verge"))
            .current_dir(dir.path())
            .args(["--data-dir", "."])
            .args(command)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && error.contains("recipe.toml") && error.contains("lamda"),
            "{error}"
        );
    }
}
