//! Numbers for people or for programs, and whether they are good.

use serde::Serialize;

use crate::drive::Outcome;
use crate::error::LoadError;

/// How numbers are printed.
#[derive(Clone, Copy)]
pub struct Show {
    /// As JSON.
    pub json: bool,
}

impl Show {
    /// Prints one thing that was measured: `text` for people.
    pub fn print(self, measured: &impl Serialize, text: &str) -> Result<(), LoadError> {
        if !self.json {
            println!("{text}");
            return Ok(());
        }
        let json = serde_json::to_string(measured)
            .map_err(|error| LoadError::Wrong(format!("could not write the numbers as JSON: {error}")))?;
        println!("{json}");
        Ok(())
    }

    /// Prints an outcome, which is an error if anything of it failed: numbers of what was lost are for looking at.
    pub fn outcome(self, outcome: &Outcome) -> Result<(), LoadError> {
        self.print(outcome, &outcome.to_string())?;
        none_failed(outcome)
    }
}

/// Whether everything was answered as it should be.
pub fn none_failed(outcome: &Outcome) -> Result<(), LoadError> {
    match outcome.failed() {
        0 => Ok(()),
        failed => Err(LoadError::Wrong(format!("{failed} operations failed"))),
    }
}
