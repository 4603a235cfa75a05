//! Scenarios and truth.

use crate::{ControlError, Emulator, Fact, Run, Scenario};

impl Emulator {
    /// Keeps what is true from now on: every change, whoever makes it.
    pub fn keep_truth(&self) {
        self.world.truth.keep();
    }

    /// What is true of everything that has changed since truth is kept, by path.
    pub fn truth(&self) -> Vec<Fact> {
        self.world.truth.facts()
    }

    /// Makes the tenants and mailboxes of a scenario. Then the caller drives it, by its own clock.
    pub fn begin(&self, scenario: &Scenario) -> Result<Run, ControlError> {
        Run::begin(&self.world, scenario)
    }
}
