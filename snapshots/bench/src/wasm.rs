//! The exports for a JavaScript host. The host provides `host.now`, writes the packed inputs to the address from `input`,
//! calls `prepare`, then `run` for each case, and reads the figures of the case as JSON at the address from `run`.
#![allow(unsafe_code, reason = "exports and imports require unsafe attributes; the code itself is safe")]

use crate::cases::cases;
use crate::inputs::Inputs;
use crate::measure::{Case, Clock, measure};
use std::cell::RefCell;

#[link(wasm_import_module = "host")]
unsafe extern "C" {
    /// Nanoseconds since an arbitrary moment.
    safe fn now() -> f64;
}

#[derive(Default)]
struct State {
    input: Vec<u8>,
    cases: Vec<Case>,
    clock: Option<Clock>,
    output: String,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

fn clock() -> f64 {
    now()
}

#[unsafe(no_mangle)]
extern "C" fn input(length: usize) -> *mut u8 {
    STATE.with_borrow_mut(|state| {
        state.input = vec![0; length];
        state.input.as_mut_ptr()
    })
}

/// The number of cases; 0 if the inputs cannot be read.
#[unsafe(no_mangle)]
extern "C" fn prepare() -> usize {
    STATE.with_borrow_mut(|state| {
        let input = std::mem::take(&mut state.input);
        let read = rmp_serde::from_slice::<Inputs>(&input).map_err(anyhow::Error::from).and_then(cases);
        state.cases = read.unwrap_or_default();
        state.clock = Some(Clock::new(clock));
        state.cases.len()
    })
}

/// Measures a case in passes of `pass` ns.
#[unsafe(no_mangle)]
extern "C" fn run(case: usize, pass: f64) -> *const u8 {
    STATE.with_borrow_mut(|state| {
        if let (Some(case), Some(clock)) = (state.cases.get_mut(case), &state.clock) {
            let figures = measure(clock, case, pass);
            state.output = serde_json::to_string(&figures).unwrap_or_default();
        }
        state.output.as_ptr()
    })
}

#[unsafe(no_mangle)]
extern "C" fn output_length() -> usize {
    STATE.with_borrow(|state| state.output.len())
}
