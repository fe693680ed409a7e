//! Where known models are kept. Test programs of several packages take this file in.

use std::path::PathBuf;

/// A file or folder of the cache of models: `BELLJAR_MODELS`, or a folder of the user's cache. None
/// where it is not there.
pub(crate) fn cached(name: &str) -> Option<PathBuf> {
    let named = std::env::var_os("BELLJAR_MODELS").map(PathBuf::from);
    let folder = named.or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(std::env::home_dir()?.join(".cache")))?;
        Some(cache.join("belljar/models"))
    })?;
    let path = folder.join(name);
    path.exists().then_some(path)
}
