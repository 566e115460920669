//! Names and descriptions of the steps that `cargo xtask test` and `cargo xtask bench` accept, as clap holds them.

use clap::ValueEnum;

/// The name of a step on the command line.
pub(crate) fn name(step: &impl ValueEnum) -> String {
    step.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// The description of a step in the help.
pub(crate) fn about(step: &impl ValueEnum) -> String {
    let value = step.to_possible_value();
    value.and_then(|value| value.get_help().map(ToString::to_string)).unwrap_or_default()
}
