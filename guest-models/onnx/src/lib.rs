//! Serves models over tensors from ONNX files.
//!
//! A bundle with this component has one asset that ends in `.onnx`. Its inputs and outputs are
//! those of the file; what computes is the library `rten`. All that can be done before the first
//! request is done in `load`: the file is checked, its graph is optimised, its weights lie where
//! they are used.
//!
//! - `window`, `wire`, `file`, `weights`: from bytes that may lie to a graph and its weights
//! - `check`: what must hold of a graph
//! - `unsupported`: all that the library does not have, with the names of the nodes
//! - `hot`, `product`, `convolution`, `winograd`: the nodes that are computed here, and how
//! - `plan`: a graph as steps, the library's and those
//! - `port`: from a request's bytes to the library's tensors and back
//! - `runtime`: from a file to what answers requests
//!
//! The stack has 4 MiB, of which [`check::CHAIN_MAX`] nodes in a row take half.

pub mod check;
mod convolution;
pub mod file;
mod hot;
mod plan;
pub mod port;
mod product;
pub mod runtime;
mod unsupported;
pub mod weights;
mod window;
mod winograd;
mod wire;

use std::sync::OnceLock;

#[cfg(target_family = "wasm")]
use belljar_guest::log;
use belljar_guest::tensors::{Metadata, Request, Response};
use belljar_guest::{Error, Lifecycle, Tensors, assets};

use runtime::Runtime;

/// The component.
#[derive(Debug)]
pub struct Onnx;

/// What `load` makes.
static RUNTIME: OnceLock<Runtime> = OnceLock::new();

impl Lifecycle for Onnx {
    fn load() -> Result<(), Error> {
        let names = assets::list();
        let mut files = names.iter().filter(|name| name.ends_with(".onnx"));
        let (Some(name), None) = (files.next(), files.next()) else {
            return Err(Error::failed(format!(
                "a bundle of this model has one asset that ends in `.onnx`, and this one has: {}",
                names.join(", ")
            )));
        };
        let runtime = Runtime::read(name)
            .map_err(|problem| Error::failed(format!("asset `{name}`: {problem}")))?;
        RUNTIME
            .set(runtime)
            .map_err(|_| Error::failed("the model is loaded twice"))?;
        #[cfg(target_family = "wasm")]
        let message = format!(
            "asset `{name}`: {} MiB of memory before the first request",
            (core::arch::wasm32::memory_size(0) << 16).div_ceil(1 << 20)
        );
        #[cfg(target_family = "wasm")]
        log::write(log::Level::Info, &message);
        Ok(())
    }
}

impl Tensors for Onnx {
    fn metadata() -> Metadata {
        let runtime = RUNTIME.get();
        runtime.map_or_else(|| Metadata::new([], []), Runtime::metadata)
    }

    fn infer(request: Request) -> Result<Response, Error> {
        let runtime = RUNTIME.get();
        runtime
            .ok_or_else(|| Error::failed("the model was not loaded"))?
            .infer(&request)
    }
}

belljar_guest::export!(Onnx: lifecycle, tensors);
