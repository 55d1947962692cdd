//! What is wrong with the input: all of it is told at once, up to a point.

use std::fmt;

use super::{Place, members::Fault};
use crate::administration::AdministrationError;

const TOLD: usize = 20;

/// What was found wrong so far.
#[derive(Debug, Default)]
pub(super) struct Problems {
    told: Vec<String>,
    count: usize,
}

/// Why nothing, or not all, was moved in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrationError {
    /// The input is wrong: nothing was written. Has a line for each of up to 20 problems.
    #[error("nothing was written, because the input is wrong:{0}")]
    Invalid(String),
    /// The storage failed before anything was written.
    #[error("nothing was written: {0}")]
    Unchecked(#[source] AdministrationError),
    /// The storage failed in between.
    #[error(
        "stopped after {domains} domains and {users} users were created; the same command goes on \
         from there: {source}"
    )]
    Stopped {
        /// How many domains were created.
        domains: u64,
        /// How many users were created.
        users: u64,
        /// What failed.
        source: AdministrationError,
    },
}

impl Problems {
    pub(super) fn add(&mut self, place: &Place, fault: &Fault) {
        self.count += 1;
        if self.told.len() < TOLD {
            self.told.push(format!("\n  {place}: {fault}"));
        }
    }

    pub(super) fn result(&self) -> Result<(), MigrationError> {
        if self.count == 0 { Ok(()) } else { Err(MigrationError::Invalid(self.to_string())) }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.told.concat())?;
        match self.count.saturating_sub(self.told.len()) {
            0 => Ok(()),
            more => write!(formatter, "\n  and {more} more"),
        }
    }
}
