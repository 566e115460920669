//! Measures the percentiles of a case.

use serde::Serialize;
use std::hint::black_box;

/// Number of passes. The fastest counts, because other work on the machine only slows a pass down.
const PASSES: usize = 5;
/// Above this resolution in ns, as in workerd, a clock can time whole passes only.
const COARSE: f64 = 20_000.0;

/// The clock of the host.
pub struct Clock {
    now: fn() -> f64,
    step: f64,
    cost: f64,
}

impl Clock {
    /// A clock from a function that returns nanoseconds.
    pub fn new(now: fn() -> f64) -> Self {
        let step = || {
            let began = now();
            loop {
                let passed = now() - began;
                if passed > 0.0 {
                    return passed;
                }
            }
        };
        let step = (0..3).map(|_| step()).fold(f64::INFINITY, f64::min);
        let mut costs: Vec<f64> = (0..1_000).map(|_| -(now() - now())).collect();
        costs.sort_by(f64::total_cmp);
        Self { now, step, cost: if step < COARSE { percentile(&costs, 0.5) } else { 0.0 } }
    }

    /// The cost of reading it in ns, which is subtracted from each sample.
    pub fn cost(&self) -> f64 {
        self.cost
    }
}

/// A benchmark.
pub struct Case {
    /// Its name.
    pub name: String,
    /// Number of different calls.
    pub inputs: usize,
    /// Calls per sample: more than one if a call is not much longer than the resolution of the clock.
    pub batch: usize,
    /// Makes a call. The return value depends on the result, so that the compiler cannot remove the work.
    pub call: Box<dyn FnMut(usize) -> u64>,
}

/// The duration of a call in ns.
#[derive(Serialize)]
pub struct Figures {
    /// The name of the case.
    pub name: String,
    /// Calls per pass.
    pub calls: usize,
    /// Calls per sample.
    pub batch: usize,
    /// The mean of all calls.
    pub mean: f64,
    /// The median of the samples; none if the clock is too coarse.
    pub p50: Option<f64>,
    /// The 90th percentile.
    pub p90: Option<f64>,
    /// The 99th percentile.
    pub p99: Option<f64>,
}

fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = (sorted.len() as f64 * share) as usize;
    sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0)
}

/// Measures a case in passes of about `pass` ns, after a warm-up of the same duration.
pub fn measure(clock: &Clock, case: &mut Case, pass: f64) -> Figures {
    let now = clock.now;
    let mut calls = case.batch;
    let per_call = loop {
        let began = now();
        for number in 0..calls {
            black_box((case.call)(number % case.inputs));
        }
        let took = now() - began;
        if took >= pass {
            break took / calls as f64;
        }
        calls *= 2;
    };
    // All inputs equally often if they fit, otherwise an evenly spread subset.
    let wanted = (pass / per_call.max(1.0)) as usize;
    let calls = if wanted >= case.inputs { wanted / case.inputs * case.inputs } else { wanted };
    let calls = calls.max(1).next_multiple_of(case.batch);
    let stride = (case.inputs as u64).div_ceil(calls as u64).max(1) as usize;

    let mut samples = Vec::with_capacity(calls / case.batch);
    let (mut best, mut fastest) = (Vec::new(), f64::INFINITY);
    for _ in 0..PASSES {
        samples.clear();
        let began = now();
        if clock.step >= COARSE {
            for number in 0..calls {
                black_box((case.call)(number * stride % case.inputs));
            }
        } else {
            for first in (0..calls).step_by(case.batch) {
                let began = now();
                for number in first..first + case.batch {
                    black_box((case.call)(number * stride % case.inputs));
                }
                samples.push((now() - began - clock.cost).max(0.0) / case.batch as f64);
            }
        }
        let took = match samples.len() {
            0 => (now() - began) / calls as f64,
            count => samples.iter().sum::<f64>() / count as f64,
        };
        if took < fastest {
            fastest = took;
            std::mem::swap(&mut best, &mut samples);
        }
    }
    best.sort_by(f64::total_cmp);
    let at = |share| (!best.is_empty()).then(|| percentile(&best, share));
    Figures {
        name: case.name.clone(),
        calls,
        batch: case.batch,
        mean: fastest,
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
    }
}
