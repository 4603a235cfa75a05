//! A month in the life of a gateway, in a minute: gateway and emulator in this process, on a clock that is moved when both are
//! at rest.
//!
//! A month is decided by its seed. `TIDINGS_MONTH=17 cargo nextest run -p tidings-tests asked_for` plays that of 17 once
//! more, `TIDINGS_MONTH=20-60` those of 41 others.
#![expect(clippy::print_stdout, reason = "tests show what they measured")]

mod gateway;
mod judge;
mod month;
mod skewed;
mod still;
mod storm;
mod world;

use std::env;

#[test]
fn g6_a_month_without_faults_is_told_once_and_nothing_is_looked_for() {
    month::fair(1);
}

/// Those of `TIDINGS_MONTH`, else one, or in the long form ten.
#[test]
fn g6_months_of_faults_by_the_seeds_asked_for() {
    let default = if env::var_os("TIDINGS_LONG").is_some() {
        "1-10"
    } else {
        "4"
    };
    let asked = env::var_os("TIDINGS_MONTH").unwrap_or_else(|| default.into());
    for seed in month::seeds(&asked.to_string_lossy()) {
        month::stormy(seed);
    }
}
