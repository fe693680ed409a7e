//! Write models for Belljar in Rust.
//!
//! A model is a type that implements the traits of what it can do, and a line that names them:
//!
//! ```
//! use belljar_guest::tensors::{Request, Response, Tensor, TensorView};
//! use belljar_guest::{Error, Tensors};
//!
//! struct Double;
//!
//! impl Tensors for Double {
//!     fn infer(request: Request) -> Result<Response, Error> {
//!         let x = request.input("x")?;
//!         let doubled: Vec<f32> = TensorView::<f32>::try_from(x)?.iter().map(|v| v * 2.0).collect();
//!         Ok(Response::from([Tensor::from_slice("y", x.shape.clone(), &doubled)]))
//!     }
//! }
//!
//! belljar_guest::export!(Double: tensors);
//! ```
//!
//! Build it with `cargo build --release --target wasm32-wasip2` as a `cdylib`, and pack it with
//! `belljar pack`. What is not named in [`export!`] is not exported, and the host serves a model
//! by its exports.
//!
//! Each request runs in a fresh instance: a `static` that one request changes is as it was
//! for the next. What should last is made in [`Lifecycle::load`], which runs once.
//!
//! Nothing here needs a host when a model is tested natively: [`log`] writes to stderr, and
//! [`assets`] serves what the test provided.
#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

pub mod assets;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod bare;
#[doc(hidden)]
pub mod bindings;
mod capabilities;
mod error;
mod export;
#[cfg(any(target_family = "wasm", test))]
mod heap;
pub mod kernels;
pub mod log;
pub mod state;
pub mod tensors;
pub mod text;

pub use bindings::base::belljar::model::types::{Error, Media, Parameter, Source, Value};
pub use capabilities::{
    Embeddings, Images, Lifecycle, Moderation, Ranking, Speech, Tensors, Text, Tokenizer,
    Transcription,
};

/// Requests and responses of [`Embeddings`].
pub mod embeddings {
    pub use crate::bindings::embeddings::exports::belljar::model::embeddings::{Input, Response};
}

/// Requests and responses of [`Moderation`].
pub mod moderation {
    pub use crate::bindings::moderation::exports::belljar::model::moderation::{
        Category, Input, Verdict,
    };
}

/// Requests and responses of [`Images`].
pub mod images {
    pub use crate::bindings::images::exports::belljar::model::images::{
        Picture, Request, Response,
    };
}

/// Requests of [`Speech`].
pub mod speech {
    pub use crate::bindings::speech::exports::belljar::model::speech::Request;
}

/// Requests and responses of [`Transcription`].
pub mod transcription {
    pub use crate::bindings::transcription::exports::belljar::model::transcription::{
        Request, Response, Segment,
    };
}

/// Responses of [`Ranking`].
pub mod ranking {
    pub use crate::bindings::ranking::exports::belljar::model::ranking::{Response, Score};
}

#[doc(hidden)]
pub mod __private {
    #[cfg(target_family = "wasm")]
    pub use crate::bare;
    pub use crate::export::Glue;
}
