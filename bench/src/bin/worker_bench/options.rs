//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use postern_bench::traffic::tokens::Algorithm;

/// Measures what the Worker costs a request in a real workerd, beside one with npm's `jose`.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench worker", bin_name = "cargo xtask bench worker")]
pub(crate) struct Options {
    /// The runtime.
    #[arg(long, hide = true)]
    pub(crate) workerd: PathBuf,
    /// The folder of Workers that are not ours.
    #[arg(long, hide = true)]
    pub(crate) peers: PathBuf,
    /// The folder of the Worker that is measured. Without one, the others are.
    #[arg(long, hide = true)]
    pub(crate) ours: Option<PathBuf>,
    /// Where requests go in the end.
    #[arg(long, value_delimiter = ',', default_value = "network")]
    pub(crate) origins: Vec<Place>,
    /// The algorithms whose tokens are sent.
    #[arg(long, value_delimiter = ',', default_value = "HS256,RS256,ES256,EdDSA")]
    pub(crate) algorithms: Vec<Algorithm>,
    /// How the tokens come.
    #[arg(long, value_delimiter = ',', default_value = "hot,new")]
    pub(crate) loads: Vec<Load>,
    /// How often each Worker is measured, in turns. The median counts.
    #[arg(long, default_value_t = 15)]
    pub(crate) rounds: usize,
    /// How long each Worker is measured in a round; `new` ends with its 2,500 tokens.
    #[arg(long, default_value_t = 0.5)]
    pub(crate) seconds: f64,
}

/// Where the origin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Place {
    /// A server on the loopback interface
    Network,
    /// A Worker in the same process
    Inside,
}

impl Place {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Inside => "inside",
        }
    }
}

/// In which order tokens come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Load {
    /// One token
    Hot,
    /// Each token once
    New,
}

impl Load {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hot => "hot",
            Self::New => "new",
        }
    }
}
