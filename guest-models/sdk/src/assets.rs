//! The model's own files, as named in the `[assets]` table of its manifest.
//!
//! The place to read them is [`Lifecycle::load`](crate::Lifecycle::load): what is read there is
//! paid for once. Natively, a test says what there is with [`provide`].

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::Error;
#[cfg(target_family = "wasm")]
use crate::bindings::base::belljar::model::assets as source;

/// How much [`read_all`] asks for at a time. The host gives at most 16 MiB; less keeps the peak
/// of the memory, all of which ends up in the snapshot, close to the asset's own size, and a
/// call for each MiB costs nothing that can be measured beside the copy.
const READ_BYTES: u64 = 1 << 20;

/// The names of all assets, in the byte order of their names.
pub fn list() -> Vec<String> {
    source::list()
}

/// The size of an asset in bytes.
///
/// # Errors
///
/// [`Error::Failed`] where there is no asset of that name.
pub fn size(name: &str) -> Result<u64, Error> {
    source::size(name).ok_or_else(|| missing(name))
}

/// Up to `length` bytes from `offset` on: fewer at the end of the asset and beyond 16 MiB.
///
/// # Errors
///
/// [`Error::Failed`] where there is no asset of that name.
pub fn read(name: &str, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
    source::read(name, offset, length).ok_or_else(|| missing(name))
}

/// A whole asset.
///
/// ```
/// # belljar_guest::assets::provide("labels.txt", *b"cat\ndog\n");
/// let labels = belljar_guest::assets::read_all("labels.txt")?;
/// assert_eq!(labels.split(|&byte| byte == b'\n').next(), Some(&b"cat"[..]));
/// # Ok::<(), belljar_guest::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Failed`] where there is no asset of that name, or it does not fit into memory.
pub fn read_all(name: &str) -> Result<Vec<u8>, Error> {
    let size = size(name)?;
    let too_large = || {
        Error::Failed(format!(
            "asset `{name}` of {size} bytes does not fit into memory"
        ))
    };
    let mut whole = Vec::new();
    whole
        .try_reserve_exact(usize::try_from(size).map_err(|_| too_large())?)
        .map_err(|_| too_large())?;
    while (whole.len() as u64) < size {
        let offset = whole.len() as u64;
        let piece = read(name, offset, READ_BYTES.min(size - offset))?;
        if piece.is_empty() {
            return Err(Error::Failed(format!(
                "asset `{name}` ends at {offset} of {size} bytes"
            )));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

/// A whole asset of UTF-8 text.
///
/// # Errors
///
/// [`Error::Failed`] as for [`read_all`], and where the bytes are not UTF-8.
pub fn read_text(name: &str) -> Result<String, Error> {
    String::from_utf8(read_all(name)?)
        .map_err(|_| Error::Failed(format!("asset `{name}` is not UTF-8")))
}

fn missing(name: &str) -> Error {
    Error::Failed(format!("there is no asset `{name}` in this bundle"))
}

#[cfg(not(target_family = "wasm"))]
pub use source::provide;

/// Assets for native tests: those that the test's own thread provided.
#[cfg(not(target_family = "wasm"))]
mod source {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::string::String;
    use std::vec::Vec;

    std::thread_local! {
        static PROVIDED: RefCell<BTreeMap<String, Vec<u8>>> = const { RefCell::new(BTreeMap::new()) };
    }

    /// Makes an asset available to the calling thread. Only in native builds, for tests.
    pub fn provide(name: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        PROVIDED.with_borrow_mut(|assets| assets.insert(name.into(), bytes.into()));
    }

    pub(super) fn list() -> Vec<String> {
        PROVIDED.with_borrow(|assets| assets.keys().cloned().collect())
    }

    pub(super) fn size(name: &str) -> Option<u64> {
        PROVIDED.with_borrow(|assets| assets.get(name).map(|bytes| bytes.len() as u64))
    }

    pub(super) fn read(name: &str, offset: u64, length: u64) -> Option<Vec<u8>> {
        PROVIDED.with_borrow(|assets| {
            let bytes = assets.get(name)?;
            let size = bytes.len() as u64;
            let start = offset.min(size);
            let end = start.saturating_add(length.min(16 << 20)).min(size);
            Some(
                bytes
                    .get(start as usize..end as usize)
                    .unwrap_or_default()
                    .to_vec(),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asset_larger_than_one_read_comes_whole() {
        let bytes: Vec<u8> = (0..3 * READ_BYTES + 7).map(|i| (i % 251) as u8).collect();
        provide("big", bytes.clone());
        assert_eq!(read_all("big").unwrap(), bytes);
        assert_eq!(size("big").unwrap(), bytes.len() as u64);
        assert_eq!(read("big", bytes.len() as u64 - 2, 100).unwrap().len(), 2);
    }

    #[test]
    fn a_missing_asset_is_named() {
        let error = read_all("weights.bin").unwrap_err();
        assert_eq!(
            error,
            Error::failed("there is no asset `weights.bin` in this bundle")
        );
    }
}
