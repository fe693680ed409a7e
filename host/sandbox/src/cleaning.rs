//! How the memory of a finished instance is made clean for the next one.
//!
//! Two ways exist. `PAGEMAP_SCAN` (Linux 6.7) asks the kernel which pages were written and
//! resets only those; it is the cheaper one. But the scan of this wasmtime misses pages that
//! were swapped out, and what it misses the next tenant would read. So it is used only where
//! the process cannot be swapped, and that is looked at again from time to time. The other way
//! rewrites the first part of each memory and gives the rest back to the kernel.

use std::{fmt, fs, path::Path};

/// What the configuration asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CleaningChoice {
    /// The page-map scan where it is safe, else the other.
    #[default]
    Auto,
    /// The page-map scan. The start fails where it cannot be used safely.
    PagemapScan,
    /// Rewriting, everywhere.
    KeepResident,
}

/// What is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleaning {
    /// The kernel tells which pages were written.
    PagemapScan,
    /// The first [`KEEP_RESIDENT_BYTES`] are rewritten, the rest is given back.
    KeepResident,
}

/// How much of each memory is rewritten rather than given back to the kernel, in bytes. Of the
/// values tried, 2 MiB made the fewest page faults for guests of usual size.
pub(crate) const KEEP_RESIDENT_BYTES: usize = 2 << 20;

impl fmt::Display for Cleaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PagemapScan => "page-map scan",
            Self::KeepResident => "rewriting 2 MiB",
        })
    }
}

/// Whether a page of this process can leave main memory: false only where it is certain that
/// it cannot.
#[must_use]
pub fn swap_is_possible() -> bool {
    let swaps = fs::read_to_string("/proc/swaps").ok();
    let cgroup = fs::read_to_string("/proc/self/cgroup").ok();
    let swap_max = cgroup.as_deref().and_then(own_cgroup).and_then(|path| {
        // A limit of zero anywhere on the way to the root binds this process too.
        let root = Path::new("/sys/fs/cgroup");
        let mut folder = root.join(path.trim_start_matches('/'));
        let mut smallest = None;
        while folder.starts_with(root) && folder != root {
            if let Ok(text) = fs::read_to_string(folder.join("memory.swap.max"))
                && text.trim() == "0"
            {
                smallest = Some(0);
            }
            folder.pop();
        }
        smallest
    });
    !(swap_max == Some(0) || swaps.as_deref().is_some_and(lists_no_swap))
}

/// Whether `/proc/swaps` holds its heading alone.
fn lists_no_swap(swaps: &str) -> bool {
    let mut lines = swaps.lines().filter(|line| !line.trim().is_empty());
    lines
        .next()
        .is_some_and(|heading| heading.starts_with("Filename"))
        && lines.next().is_none()
}

/// The path of this process in the unified hierarchy.
fn own_cgroup(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_is_ruled_out_only_by_a_readable_empty_table() {
        let heading = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        assert!(lists_no_swap(heading));
        assert!(!lists_no_swap(&format!(
            "{heading}/dev/vda2 partition 1048572 0 -2\n"
        )));
        assert!(!lists_no_swap(""));
        assert!(!lists_no_swap("something else\n"));
    }

    #[test]
    fn the_unified_hierarchy_is_the_line_with_an_empty_list() {
        assert_eq!(own_cgroup("1:name=systemd:/a\n0::/b/c\n"), Some("/b/c"));
        assert_eq!(own_cgroup("1:name=systemd:/a\n"), None);
    }
}
