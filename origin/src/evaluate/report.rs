//! The report of an evaluation: a table for people, JSON for tools.

use crate::evaluate::{
    measures::{CUTOFFS, MEASURES, SCARCE, Sums, bootstrap, interval},
    protocol::{ReplayOutcome, Variant},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, io::Write};

/// The results of an evaluation.
#[derive(Debug, Serialize)]
pub struct EvaluationReport {
    /// Training events.
    pub training_events: usize,
    /// Test sessions, or visitors with orders.
    pub sessions: usize,
    /// Test clicks left out because their item is not in the catalogue.
    pub dropped: usize,
    /// One result per model and variant.
    pub results: Vec<VariantResult>,
}

/// The result of one model under one variant.
#[derive(Debug, Serialize)]
pub struct VariantResult {
    /// Name of the model.
    pub model: String,
    /// What was predicted.
    pub variant: Variant,
    /// Number of predictions.
    pub predictions: usize,
    /// Measure, as `HR@20` → mean and 95 % interval.
    pub measures: BTreeMap<String, Measure>,
    /// Share of the known items shown at least once.
    pub coverage: f64,
    /// Mean popularity of the items shown; 1 is that of the most popular item.
    pub popularity: f64,
    /// Class of scarce targets → their share of the predictions and the hit rate at 20 on them.
    pub scarce: BTreeMap<&'static str, Scarce>,
    /// Microseconds per prediction: the 50th, 90th and 99th percentile.
    pub latency_us: [f64; 3],
    #[serde(skip)]
    draws: Vec<Sums>,
}

/// A mean with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// Over all predictions.
    pub mean: f64,
    /// Its 95 % interval, by bootstrap over the sessions.
    pub interval: [f64; 2],
}

/// Targets with few training events.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Scarce {
    /// Their number.
    pub targets: f64,
    /// As a share of the predictions.
    pub share: f64,
    /// Hit rate at 20 on them.
    pub hit_rate: f64,
    /// Its 95 % interval.
    pub interval: [f64; 2],
}

impl VariantResult {
    /// Summarises an outcome; `seed` is that of the bootstrap.
    pub fn new(model: String, variant: Variant, outcome: &ReplayOutcome, seed: u64) -> Self {
        let total: Sums = outcome.sessions.iter().sum();
        let draws = bootstrap(&outcome.sessions, seed);
        let mut measures = BTreeMap::new();
        for (measure, name) in MEASURES.iter().enumerate() {
            for (cutoff, length) in CUTOFFS.iter().enumerate() {
                let mean = |sums: &Sums| sums.mean(measure, cutoff);
                let found = Measure { mean: mean(&total), interval: interval(draws.iter().map(mean)) };
                measures.insert(format!("{name}@{length}"), found);
            }
        }
        let scarce = SCARCE.iter().enumerate().map(|(class, (name, _))| {
            let (targets, hit_rate) = total.scarce(class);
            let interval = interval(draws.iter().map(|sums| sums.scarce(class).1));
            let share = targets / total.predictions().max(1.0);
            (*name, Scarce { targets, share, hit_rate, interval })
        });
        Self {
            model,
            variant,
            predictions: total.predictions() as usize,
            measures,
            coverage: outcome.coverage,
            popularity: total.popularity(),
            scarce: scarce.collect(),
            latency_us: [0.5, 0.9, 0.99].map(|share| outcome.latency(share)),
            draws,
        }
    }

    /// The mean of a measure by its name, as `HR@20`.
    pub fn mean(&self, name: &str) -> f64 {
        self.measures.get(name).map_or(0.0, |measure| measure.mean)
    }

    /// The 95 % interval of this model's lead over another in a measure (its place in [`MEASURES`]) at 20, by paired
    /// bootstrap.
    pub fn ahead(&self, other: &Self, measure: usize) -> [f64; 2] {
        let last = CUTOFFS.len() - 1;
        let pairs = self.draws.iter().zip(&other.draws);
        interval(pairs.map(|(mine, theirs)| mine.mean(measure, last) - theirs.mean(measure, last)))
    }
}

/// The measures in the printed table, all at 20.
const SHOWN: [&str; 5] = ["HR@20", "MRR@20", "NDCG@20", "precision@20", "recall@20"];

impl EvaluationReport {
    /// Prints one table per variant.
    pub fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(
            out,
            "{} training events · {} {}{}",
            self.training_events,
            self.sessions,
            if self.results.iter().any(|row| row.variant.is_of_orders()) {
                "visitors with test orders"
            } else {
                "test sessions"
            },
            match self.dropped {
                0 => String::new(),
                dropped => format!(" · {dropped} clicks on unknown items left out"),
            }
        )?;
        for variant in Variant::ALL {
            let results: Vec<&VariantResult> =
                self.results.iter().filter(|row| row.variant == variant).collect();
            if !results.is_empty() {
                print_variant(out, variant, &results)?;
            }
        }
        Ok(())
    }
}

fn print_variant(out: &mut impl Write, variant: Variant, results: &[&VariantResult]) -> std::io::Result<()> {
    writeln!(
        out,
        "\n{}; {} predictions; at 20, ± half of the 95 % interval",
        variant.title(),
        results[0].predictions
    )?;
    let width = results.iter().map(|row| row.model.chars().count()).max().unwrap_or(0).max(17);
    writeln!(
        out,
        "{:<width$} {:>11} {:>11} {:>11} {:>6} {:>6} {:>5} {:>5} {:>11} {:>11} {:>8} {:>7} {:>7} {:>7}",
        "model",
        "HR",
        "MRR",
        "NDCG",
        "prec.",
        "recall",
        "cover",
        "popul",
        "HR <10 ev.",
        "HR <5 ev.",
        "HR cold",
        "p50 µs",
        "p90",
        "p99"
    )?;
    for row in results {
        write!(out, "{:<width$}", row.model)?;
        for name in &SHOWN[..3] {
            let Measure { mean, interval } = row.measures[*name];
            write!(out, " {mean:.4}±{:.3}", (interval[1] - interval[0]) / 2.0)?;
        }
        write!(out, " {:>6.4} {:>6.4}", row.mean(SHOWN[3]), row.mean(SHOWN[4]))?;
        write!(out, " {:>5.3} {:>5.3}", row.coverage, row.popularity)?;
        for (name, _) in &SCARCE[..2] {
            let Scarce { targets, hit_rate, interval, .. } = row.scarce[name];
            match targets > 0.0 {
                true => write!(out, " {hit_rate:.4}±{:.3}", (interval[1] - interval[0]) / 2.0)?,
                false => write!(out, " {:>11}", "–")?,
            }
        }
        let cold = row.scarce[SCARCE[2].0];
        let text = if cold.targets > 0.0 { format!("{:.4}", cold.hit_rate) } else { "–".to_owned() };
        write!(out, " {text:>8}")?;
        writeln!(out, " {:>7.2} {:>7.2} {:>7.2}", row.latency_us[0], row.latency_us[1], row.latency_us[2])?;
    }
    if !variant.is_of_orders() {
        let scarce = |class: usize| results[0].scarce[SCARCE[class].0];
        writeln!(
            out,
            "targets with < 10 training events: {:.1} % of the predictions; < 5: {:.1} %; cold, not counted above: {}",
            scarce(0).share * 100.0,
            scarce(1).share * 100.0,
            scarce(2).targets
        )?;
    }
    print_gain(out, results)
}

/// Prints the lead of the first model over the best of the others, with intervals.
fn print_gain(out: &mut impl Write, results: &[&VariantResult]) -> std::io::Result<()> {
    let Some((first, others)) = results.split_first() else { return Ok(()) };
    for (measure, name) in SHOWN.iter().enumerate().take(2) {
        let best = others.iter().max_by(|a, b| a.mean(name).total_cmp(&b.mean(name)));
        let Some(best) = best else { return Ok(()) };
        let [low, high] = first.ahead(best, measure);
        let gain = first.mean(name) - best.mean(name);
        writeln!(out, "{name}: {} is {gain:+.4} [{low:+.4}, {high:+.4}] from {}", first.model, best.model)?;
    }
    Ok(())
}
