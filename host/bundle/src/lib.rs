//! A hostile archive in, a checked bundle out.
//!
//! A bundle is a tar (plain, gzip or zstd) with a `model.toml`, a WebAssembly component and the
//! model's files, or a recording of what a service answered. [`Store::unpack`] streams one through every check into a content-addressed
//! store; what comes out is a [`CheckedBundle`], which no other code can make, and which
//! becomes visible with [`CheckedBundle::commit`]. [`pack`] makes bundles, and [`check`] runs
//! the same code without a store.
//!
//! ```
//! use belljar_bundle::pack::{Content, Parts, pack_parts};
//! use belljar_bundle::{ArchiveLimits, SignaturePolicy, Store};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let component = Content::Bytes(b"\0asm\x0d\0\x01\0".to_vec());
//! let mut tar = Vec::new();
//! pack_parts(&Parts::new("echo".parse()?, "1.0.0".parse()?, component), None, &mut tar)?;
//!
//! let store = Store::temporary()?;
//! let checked = store.unpack(&tar[..], &ArchiveLimits::default(), &SignaturePolicy::default())?;
//! let stored = checked.commit()?;
//! assert_eq!(stored.manifest().id().to_string(), "echo@1.0.0");
//! # Ok(())
//! # }
//! ```
//!
//! This package knows no HTTP, no async and no wasmtime: it says who is to blame for a failure
//! ([`BundleError::is_host_fault`]) and leaves it to others to say so on the wire.

#![forbid(unsafe_code)]

mod archive;
mod base;
mod decode;
mod digest;
mod error;
#[cfg(any(test, feature = "hostile"))]
pub mod hostile;
mod limits;
mod manifest;
mod names;
pub mod pack;
mod path;
mod signature;
mod store;
mod text;
mod units;
mod unpack;

pub use archive::{Archive, Entry};
pub use base::{Base, BaseError, BaseName};
pub use digest::{Digest, DigestError, Hasher};
pub use error::{BundleError, Place};
pub use limits::ArchiveLimits;
pub use manifest::{
    MANIFEST_PATH, Manifest, ManifestKey, ManifestValue, Payload, Presence, RequestedLimits,
    manifest_example, manifest_keys,
};
pub use names::{ModelId, ModelName, ModelVersion, NameError};
pub use path::{AssetName, PathError, PathRule};
pub use signature::{
    PublicKey, Signature, SignaturePolicy, SignatureValue, SigningKey, TrustedKey,
};
pub use store::{Compiled, Placement, Store, StoredBundle, StoredFile};
pub use units::{ByteSize, DurationText, Fuel, UnitError};
pub use unpack::{CheckedBundle, FindBase, check};
