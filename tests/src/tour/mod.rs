//! The tour: the issuer, a real Envoy and an upstream, shown by the HTTP that they speak.
//!
//! Every step states what it expects; the first surprise ends the tour.

mod aws;
mod options;
mod stage;
mod stay;
mod steps;
mod transcript;

pub use options::Options;

use std::cell::Cell;

use tokio::signal::unix::{SignalKind, signal};

use crate::Failure;
use stage::Stage;
use transcript::Transcript;

/// Everything that the steps act on.
pub struct Tour {
    stage: Stage,
    transcript: Transcript,
}

impl Tour {
    /// Starts the programs, shows the tour and, unless asked for it once only, stays until a
    /// signal ends it.
    ///
    /// # Errors
    /// At the first surprise.
    pub async fn run(options: &Options) -> Result<(), Failure> {
        let failed = || Failure::while_doing("waiting for a signal");
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed())?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed())?;
        let shown = Cell::new(false);
        // Whichever way this ends, the programs that were started are dropped, and so ended.
        tokio::select! {
            outcome = Self::perform(options, &shown) => return outcome,
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if shown.get() { Ok(()) } else { Err(Failure::new("interrupted")) }
    }

    async fn perform(options: &Options, shown: &Cell<bool>) -> Result<(), Failure> {
        let mut transcript = Transcript::to_stdout();
        if options.aws {
            aws::show(transcript).await?;
            shown.set(true);
            return Ok(());
        }
        let stage = Stage::open(options, &mut transcript).await?;
        let mut tour = Self { stage, transcript };
        tour.show().await?;
        shown.set(true);
        if options.once { Ok(()) } else { tour.stay(options).await }
    }
}
