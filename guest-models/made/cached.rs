//! Where known models are kept. Test programs of several packages take this file in.

use std::path::PathBuf;

/// A file or folder of the cache of models, which is where `belljar models pull` has it. None where
/// it is not there.
pub(crate) fn cached(name: &str) -> Option<PathBuf> {
    let named = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let named = named.filter(|path| path.is_absolute());
    let cache = named.or_else(|| Some(std::env::home_dir()?.join(".cache")))?;
    let path = cache.join("belljar/models").join(name);
    path.exists().then_some(path)
}
