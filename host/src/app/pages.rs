//! The size of the pages that the process's memory comes in.

/// Has the process use no transparent huge pages, from here on. Its allocator asks for them where
/// the system leaves that to programs, and holds what they are not filled with: ten thousand open
/// streams took 60 MB more, and no request was answered any sooner.
pub(super) fn keep_small() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!("huge pages stay as they are: {error}");
    }
}
