//! The tables that `cargo xtask bench` prints.

use super::Step;
use crate::cli::{about, name};
use serde_json::Value;

/// Prints a table for each step.
pub(super) fn print(results: &[(Step, Value)]) {
    let native = results.iter().find(|(step, _)| *step == Step::Native).map(|(_, figures)| figures);
    for (step, figures) in results {
        match step {
            Step::Cache => cache_table(figures),
            Step::Http => http_table(figures),
            Step::Native => table(*step, figures, None),
            Step::V8 | Step::Workerd => table(*step, figures, native),
        }
    }
}

/// Formats ns as µs with three significant digits or so.
fn micros(ns: &Value) -> String {
    match ns.as_f64().map(|ns| ns / 1e3) {
        None => "–".to_owned(),
        Some(us) if us < 10.0 => format!("{us:.2}"),
        Some(us) => format!("{us:.0}"),
    }
}

/// The case of this name.
pub(super) fn named<'a>(figures: &'a Value, name: &str) -> Option<&'a Value> {
    figures.as_array()?.iter().find(|case| case["name"] == name)
}

/// The ratio of two cases: of the medians, or of the means if there are no medians.
fn ratio(case: &Value, other: &Value) -> Option<f64> {
    let figure = if case["p50"].is_null() || other["p50"].is_null() { "mean" } else { "p50" };
    Some(case[figure].as_f64()? / other[figure].as_f64()?)
}

fn table(step: Step, figures: &Value, native: Option<&Value>) {
    println!("\n{}: {}. µs per call, the fastest of five passes.", name(&step), about(&step));
    let last = if native.is_some() { "÷ native" } else { "" };
    println!("  {:<34}{:>9}{:>9}{:>9}{:>9}{last:>10}", "", "p50", "p90", "p99", "mean");
    for case in figures.as_array().into_iter().flatten() {
        let times = native
            .and_then(|native| named(native, case["name"].as_str()?))
            .and_then(|native| ratio(case, native));
        let times = times.map_or(String::new(), |times| format!("{times:.2}"));
        let [p50, p90, p99, mean] = ["p50", "p90", "p99", "mean"].map(|figure| micros(&case[figure]));
        let name = case["name"].as_str().unwrap_or_default();
        println!("  {name:<34}{p50:>9}{p90:>9}{p99:>9}{mean:>9}{times:>10}");
    }
    for (slow, fast) in [
        ("baseline: score prefixes", "score prefixes"),
        ("score prefixes", "only read the prefixes' rows"),
        ("baseline: look up an index by id", "look up an index by id"),
        ("baseline: deserialise the shop", "open 2.5 MiB"),
        ("read 25 MiB once", "open 25 MiB"),
    ] {
        let times = named(figures, slow).zip(named(figures, fast)).and_then(|(slow, fast)| ratio(slow, fast));
        if let Some(times) = times {
            println!("  {slow} ÷ {fast}: {times:.2}");
        }
    }
}

fn cache_table(figures: &Value) {
    println!(
        "\ncache: {}. Share of cached shards / of requests with all shards cached.",
        about(&Step::Cache)
    );
    println!("      items  skew     tables  order            shard   cache        cached");
    for case in figures.as_array().into_iter().flatten() {
        let percent = |figure: &str| 100.0 * case[figure].as_f64().unwrap_or_default();
        let whole = |figure: &str| case[figure].as_u64().unwrap_or_default();
        println!(
            "  {:>9}  {:>4.1}  {:>5} MiB  {:<14}{:>5} KiB{:>4} MiB{:>7.1} / {:>4.1} %",
            whole("items"),
            case["skew"].as_f64().unwrap_or_default(),
            whole("tables_mib"),
            case["order"].as_str().unwrap_or_default(),
            whole("shard_kib"),
            whole("cache_mib"),
            percent("shards"),
            percent("requests"),
        );
    }
}

fn http_table(figures: &Value) {
    println!("\nhttp: {}, alternately, on 8 connections.", about(&Step::Http));
    println!("  {:<12}{:>10}{:>9}{:>9}{:>9}{:>9}", "", "requests/s", "p50 ms", "p99 ms", "CPU µs", "bytes");
    let number = |value: &Value, digits: usize| {
        value.as_f64().map_or("–".to_owned(), |value| format!("{value:.digits$}"))
    };
    for case in figures.as_array().into_iter().flatten() {
        println!(
            "  {:<12}{:>10}{:>9}{:>9}{:>9}{:>9}",
            case["name"].as_str().unwrap_or_default(),
            number(&case["per_second"], 0),
            number(&case["p50"], 2),
            number(&case["p99"], 2),
            number(&case["cpu"], 0),
            number(&case["bytes"], 0),
        );
    }
    if let (Some(constant), Some(verge)) = (named(figures, "constant"), named(figures, "verge")) {
        let share = |figure: &str| Some(100.0 * verge[figure].as_f64()? / constant[figure].as_f64()?);
        if let Some(share) = share("per_second") {
            println!("  verge answers {share:.0} % of the requests per second of the constant Worker");
        }
        if let Some(share) = share("cpu") {
            println!(
                "  and uses {share:.0} % of its CPU, a figure that depends less on other work on the machine"
            );
        }
    }
}
