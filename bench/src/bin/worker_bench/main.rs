//! What the Worker costs in a real workerd, beside one that checks nothing and one that checks with
//! npm's `jose`: `cargo xtask bench worker`.
//!
//! Each of them has a workerd of its own; [`measure`] sends the same requests to each in turns.

mod measure;
mod options;
mod report;
mod workerd;
mod workers;

use anyhow::Result;
use clap::Parser;

use crate::options::Options;

fn main() -> Result<()> {
    let options = Options::parse();
    let series = measure::all(&options)?;
    println!("{}", report::tables(&series));
    Ok(())
}
