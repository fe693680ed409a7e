//! How the memory of a finished instance is made clean for the next one.
//!
//! Two ways exist. `PAGEMAP_SCAN` (Linux 6.7) asks the kernel which pages were written and
//! resets only those; it is the cheaper one. But the scan of this wasmtime misses pages that
//! were swapped out, and what it misses the next tenant would read. So it is used only where
//! the process cannot be swapped, and that is looked at again from time to time. The other way
//! rewrites the first part of each memory and gives the rest back to the kernel.

use std::{fmt, fs, path::PathBuf};

/// What the configuration asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlotResetChoice {
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
pub enum SlotReset {
    /// The kernel tells which pages were written.
    PagemapScan,
    /// The first `KEEP_RESIDENT_BYTES` are rewritten, the rest is given back.
    KeepResident,
}

/// How much of each memory is rewritten rather than given back to the kernel, in bytes. Of the
/// values tried, 2 MiB made the fewest page faults for guests of usual size.
pub(crate) const KEEP_RESIDENT_BYTES: usize = 2 << 20;

impl fmt::Display for SlotReset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PagemapScan => "page-map scan",
            Self::KeepResident => "rewriting 2 MiB",
        })
    }
}

/// Where it can be read whether a page of this process can leave main memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwapEvidence {
    /// The table of what is swapped to: `/proc/swaps`.
    pub swaps: PathBuf,
    /// The cgroup of this process: `/proc/self/cgroup`.
    pub cgroup: PathBuf,
    /// Where the unified hierarchy is mounted: `/sys/fs/cgroup`.
    pub cgroup_root: PathBuf,
}

impl Default for SwapEvidence {
    fn default() -> Self {
        Self {
            swaps: "/proc/swaps".into(),
            cgroup: "/proc/self/cgroup".into(),
            cgroup_root: "/sys/fs/cgroup".into(),
        }
    }
}

impl SwapEvidence {
    /// Whether a page of this process can leave main memory: false only where it is certain
    /// that it cannot.
    #[must_use]
    pub fn swap_is_possible(&self) -> bool {
        let swaps = fs::read_to_string(&self.swaps).ok();
        !(swaps.as_deref().is_some_and(lists_no_swap) || self.is_forbidden_by_cgroup())
    }

    /// A limit of zero anywhere on the way to the root binds this process too.
    fn is_forbidden_by_cgroup(&self) -> bool {
        let cgroup = fs::read_to_string(&self.cgroup).ok();
        let Some(path) = cgroup.as_deref().and_then(own_cgroup) else {
            return false;
        };
        let own = self.cgroup_root.join(path.trim_start_matches('/'));
        own.ancestors()
            .take_while(|folder| *folder != self.cgroup_root)
            .take_while(|folder| folder.starts_with(&self.cgroup_root))
            .any(|folder| {
                fs::read_to_string(folder.join("memory.swap.max"))
                    .is_ok_and(|text| text.trim() == "0")
            })
    }
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
pub(crate) fn own_cgroup(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
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
    fn a_limit_of_zero_on_the_way_to_the_root_rules_swap_out() {
        let dir = tempfile::tempdir().unwrap();
        let evidence = SwapEvidence {
            swaps: dir.path().join("swaps"),
            cgroup: dir.path().join("cgroup"),
            cgroup_root: dir.path().join("root"),
        };
        assert!(evidence.swap_is_possible(), "nothing can be read");
        fs::write(&evidence.swaps, "Filename Type\n/dev/vda2 partition\n").unwrap();
        fs::write(&evidence.cgroup, "0::/a/b\n").unwrap();
        fs::create_dir_all(evidence.cgroup_root.join("a/b")).unwrap();
        fs::write(evidence.cgroup_root.join("a/b/memory.swap.max"), "max\n").unwrap();
        assert!(evidence.swap_is_possible());
        fs::write(evidence.cgroup_root.join("a/memory.swap.max"), "0\n").unwrap();
        assert!(!evidence.swap_is_possible());
    }

    #[test]
    fn the_unified_hierarchy_is_the_line_with_an_empty_list() {
        assert_eq!(own_cgroup("1:name=systemd:/a\n0::/b/c\n"), Some("/b/c"));
        assert_eq!(own_cgroup("1:name=systemd:/a\n"), None);
    }
}
