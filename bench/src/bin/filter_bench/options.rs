//! The command line.

use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use postern_bench::traffic::tokens::Algorithm;

/// Measures what the filter costs a request in a real Envoy, beside `jwt_authn`.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench filter", bin_name = "cargo xtask bench filter")]
pub(crate) struct Options {
    /// Envoy.
    #[arg(long, hide = true)]
    pub(crate) envoy: PathBuf,
    /// The filter that is measured.
    #[arg(long, hide = true)]
    pub(crate) module: PathBuf,
    /// Another build of the filter, measured in the same run; may be given several times.
    #[arg(long, value_name = "PATH")]
    pub(crate) filter: Vec<PathBuf>,
    /// What is measured.
    #[arg(long, value_delimiter = ',', default_value = "requests,scale,memory,start")]
    pub(crate) parts: Vec<Part>,
    /// The algorithms whose tokens are sent.
    #[arg(long, value_delimiter = ',', default_value = "HS256,RS256,ES256,EdDSA")]
    pub(crate) algorithms: Vec<Algorithm>,
    /// How the tokens come.
    #[arg(long, value_delimiter = ',', default_value = "hot,zipf,new")]
    pub(crate) loads: Vec<Load>,
    /// How often each listener is measured, in turns. The median counts.
    #[arg(long, default_value_t = 15)]
    pub(crate) rounds: usize,
    /// How long each listener is measured in a round; `new` ends with its 2,500 tokens.
    #[arg(long, default_value_t = 0.25)]
    pub(crate) seconds: f64,
}

impl Options {
    /// The builds of the filter, that of this checkout first.
    pub(crate) fn modules(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(&self.module).chain(&self.filter).map(PathBuf::as_path)
    }

    /// The same with what the report calls them.
    pub(crate) fn named_modules(&self) -> impl Iterator<Item = (String, &Path)> {
        self.modules().enumerate().map(|(index, module)| match index {
            0 => ("postern".to_owned(), module),
            _ => (format!("postern {}", module.display()), module),
        })
    }
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// What a request costs, by algorithm and load
    Requests,
    /// The same with a full cache, and with a large policy
    Scale,
    /// What a worker thread holds
    Memory,
    /// How long Envoy takes until it is ready
    Start,
}

/// In which order tokens come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Load {
    /// One token
    Hot,
    /// 10,000 tokens, by Zipf's law with exponent 1
    Zipf,
    /// Each token once
    New,
}

impl Load {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hot => "hot",
            Self::Zipf => "zipf",
            Self::New => "new",
        }
    }
}
