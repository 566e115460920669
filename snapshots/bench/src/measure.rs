//! Timing: from a case to its percentiles.

use serde::Serialize;
use std::hint::black_box;

/// Timed passes of a benchmark. The fastest counts, since other work of the machine slows down the rest.
const PASSES: usize = 5;
/// With longer clock steps (ns), as in workerd, only whole passes are timed.
const COARSE: f64 = 20_000.0;

/// The host's clock.
pub struct Clock {
    now: fn() -> f64,
    step: f64,
    cost: f64,
}

impl Clock {
    /// A clock in nanoseconds.
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

    /// What reading it takes, in ns: subtracted from every sample.
    pub fn cost(&self) -> f64 {
        self.cost
    }
}

/// Something to be measured.
pub struct Case {
    /// What it is.
    pub name: String,
    /// How many different calls there are.
    pub inputs: usize,
    /// Calls that make one sample: more than one where a call is not much longer than the clock's step.
    pub batch: usize,
    /// Makes one of the calls. What it returns depends on what it computed.
    pub call: Box<dyn FnMut(usize) -> u64>,
}

/// How long one call takes, in ns.
#[derive(Serialize)]
pub struct Figures {
    /// The case.
    pub name: String,
    /// Calls in a pass.
    pub calls: usize,
    /// Calls in a sample.
    pub batch: usize,
    /// The mean of all calls.
    pub mean: f64,
    /// The median of the samples; none where the clock is too coarse for them.
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

/// Times a case in passes of about `pass` ns, after as many calls to warm up.
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
    // Whole rounds of the inputs where they fit, otherwise some of them, evenly spread.
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
    let of = |share| (!best.is_empty()).then(|| percentile(&best, share));
    Figures {
        name: case.name.clone(),
        calls,
        batch: case.batch,
        mean: fastest,
        p50: of(0.5),
        p90: of(0.9),
        p99: of(0.99),
    }
}
