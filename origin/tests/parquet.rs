//! `verge import` of a Parquet file, which pyarrow wrote.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Output};

fn import(dir: &std::path::Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_verge"))
        .current_dir(dir)
        .env_remove("VERGE_CONFIG")
        .env("VERGE_DATA_DIR", dir.join("data"))
        .args(["import", "--format", "parquet", "--json"])
        .args(args)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/parquet/tests/orders.parquet"))
        .output()
        .unwrap()
}

const MAP: [&str; 2] = ["--map", "item=sku,at=ts,kind=action,visitor=user,price=price"];

#[cfg(feature = "parquet")]
#[test]
fn a_parquet_file_is_imported_by_the_mapping_of_its_columns() {
    let dir = tempfile::tempdir().unwrap();
    let shown = import(dir.path(), &[&MAP[..], &["--dry-run"]].concat());
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("LAMP, small") && shown.contains("2026-11-26T13:15:58"), "{shown}");
    let output = import(dir.path(), &MAP);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    // The third row has no kind.
    assert_eq!(
        (&report["rows"], &report["imported"], &report["rejected"]),
        (&3.into(), &2.into(), &1.into()),
        "{report}"
    );
    let again = import(dir.path(), &MAP);
    let report: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!((&report["imported"], &report["already_there"]), (&0.into(), &2.into()), "{report}");
}

#[cfg(not(feature = "parquet"))]
#[test]
fn without_the_feature_a_parquet_file_is_recognised_and_refused() {
    let dir = tempfile::tempdir().unwrap();
    let output = import(dir.path(), &MAP);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("--features parquet"), "{error}");
}
