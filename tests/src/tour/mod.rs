//! The tour: the issuer, a real Envoy and an upstream, shown by the HTTP that they speak.
//!
//! Every step states what it expects; the first surprise ends the tour.

mod options;
mod stage;
mod stay;
mod steps;
mod transcript;

pub use options::Options;

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
        let mut transcript = Transcript::to_stdout();
        let stage = Stage::open(options, &mut transcript).await?;
        let mut tour = Self { stage, transcript };
        tour.show().await?;
        if options.once {
            return Ok(());
        }
        tour.stay(options).await
    }
}
