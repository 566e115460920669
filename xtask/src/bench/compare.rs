//! `cargo xtask bench --against DIR`: the same cases by two builds, in alternation.
//!
//! Both builds read the inputs that this checkout has prepared. Other work on the machine only ever slows a round down, so
//! the smallest figure of all rounds counts.

use super::{Bench, Step, build_native, build_wasm};
use crate::cli::{about, name};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;

/// The percentiles that are compared.
const FIGURES: [&str; 3] = ["p50", "p90", "p99"];

/// The figures of one step by both builds.
pub(super) struct Comparison {
    step: Step,
    new: Value,
    old: Value,
}

impl Comparison {
    /// Measures a step with this checkout and with the one in `other`, `rounds` times each.
    ///
    /// # Errors
    /// A build fails, or the other build cannot read the inputs of this one.
    pub(super) fn measure(bench: &Bench<'_>, other: &Path, step: Step, rounds: u32) -> Result<Self> {
        let (new, old) = match step {
            Step::Native => (bench.program.clone(), build_native(bench.steps, other)?),
            _ => (bench.wasm()?, build_wasm(bench.steps, other)?),
        };
        let (mut new_best, mut old_best) = (Value::Null, Value::Null);
        for round in 0..rounds {
            let mut sides = [("new", &new, &mut new_best), ("old", &old, &mut old_best)];
            // Neither build always runs on the cache and the clock frequency that the other one left.
            if round % 2 == 1 {
                sides.reverse();
            }
            for (side, build, best) in sides {
                let label = format!("{} {side} {}", name(&step), round + 1);
                let figures = match step {
                    Step::Native => bench.native(&label, build)?,
                    _ => bench.in_wasm(&label, &name(&step), build)?,
                };
                keep_smallest(best, figures);
            }
        }
        Ok(Self { step, new: new_best, old: old_best })
    }

    /// Name and figures, for `--json`.
    pub(super) fn to_json(&self) -> (String, Value) {
        (name(&self.step), json!({"new": self.new, "old": self.old}))
    }

    /// Prints a table with the ratio new/old of each percentile.
    ///
    /// # Errors
    /// The builds have no case in common.
    pub(super) fn print(&self) -> Result<()> {
        println!("\n{}: {}. µs per call, old → new and new/old.", name(&self.step), about(&self.step));
        println!("  {:<34}{:>24}{:>24}{:>24}", "", "p50", "p90", "p99");
        let mut worst: Option<(f64, String)> = None;
        for (case, new, old) in common_cases(&self.new, &self.old) {
            print!("  {case:<34}");
            for figure in FIGURES {
                let (Some(new), Some(old)) = (new[figure].as_f64(), old[figure].as_f64()) else {
                    print!("{:>24}", "–");
                    continue;
                };
                let ratio = new / old;
                print!("{:>24}", format!("{:.2} → {:.2}  {ratio:.3}", old / 1e3, new / 1e3));
                if worst.as_ref().is_none_or(|(largest, _)| ratio > *largest) {
                    worst = Some((ratio, format!("{figure} of {case}")));
                }
            }
            println!();
        }
        let (ratio, place) = worst.context("the two builds have no case in common")?;
        println!("  Largest ratio: {ratio:.3}, {place}");
        Ok(())
    }
}

/// Lowers each figure of `best` to that of `figures`.
fn keep_smallest(best: &mut Value, figures: Value) {
    let Some(cases) = best.as_array_mut() else {
        *best = figures;
        return;
    };
    for (case, new) in cases.iter_mut().zip(figures.as_array().into_iter().flatten()) {
        for figure in FIGURES.into_iter().chain(["mean"]) {
            if new[figure].as_f64() < case[figure].as_f64() {
                case[figure] = new[figure].clone();
            }
        }
    }
}

/// The cases that both builds have, by name.
fn common_cases<'a>(new: &'a Value, old: &'a Value) -> impl Iterator<Item = (&'a str, &'a Value, &'a Value)> {
    let cases = new.as_array().into_iter().flatten();
    cases.filter_map(|case| {
        Some((case["name"].as_str()?, case, super::tables::named(old, case["name"].as_str()?)?))
    })
}

/// Checks that `dir` is another checkout of Verge.
///
/// # Errors
/// It has no benchmarks, or is this checkout.
pub(super) fn check_checkout(dir: &Path) -> Result<()> {
    let manifest = dir.join("snapshots/bench/Cargo.toml");
    ensure!(
        manifest.is_file(),
        "{} is no checkout of Verge: {} is missing",
        dir.display(),
        manifest.display()
    );
    ensure!(dir != xtask::root(), "{} is this checkout; name another one", dir.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_figure_of_all_rounds_counts() {
        let mut best = Value::Null;
        keep_smallest(&mut best, json!([{"name": "a", "p50": 3.0, "p99": null, "mean": 4.0}]));
        keep_smallest(&mut best, json!([{"name": "a", "p50": 2.0, "p99": null, "mean": 5.0}]));
        assert_eq!(best, json!([{"name": "a", "p50": 2.0, "p99": null, "mean": 4.0}]));
    }

    #[test]
    fn cases_are_matched_by_name() {
        let new = json!([{"name": "added"}, {"name": "a"}]);
        let old = json!([{"name": "a"}, {"name": "removed"}]);
        assert_eq!(common_cases(&new, &old).map(|(name, ..)| name).collect::<Vec<_>>(), ["a"]);
    }
}
