//! Fits the weights of the model to the corpus and writes them.
//!
//!     cargo run -p belljar-screen --release --example train -- --corpus DIR > host/screen/src/weights.tsv

#![expect(
    clippy::print_stdout,
    reason = "the weights are what the command is for"
)]
#![allow(
    missing_docs,
    dead_code,
    clippy::indexing_slicing,
    reason = "a program for developers"
)]

mod support;

use std::error::Error;

use support::{corpus, fit, own};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = corpus::folder().ok_or("no corpus: name its folder with --corpus")?;
    let mut samples = corpus::read(&folder)?;
    samples.extend(corpus::read_everyday(&folder)?);
    samples.extend(own::samples());
    let model = fit::fit(&samples.iter().collect::<Vec<_>>());
    print!("{}", model.render());
    Ok(())
}
