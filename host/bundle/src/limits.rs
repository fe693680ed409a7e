//! What an archive may cost before it is refused: [`ArchiveLimits`].

use crate::path::PathBounds;

/// The caps on one archive. Each is checked while the archive streams by, before the bytes that
/// would go over it are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveLimits {
    /// Bytes as sent, before decompression.
    pub compressed_bytes_max: u64,
    /// Bytes of the tar stream, after decompression, headers and padding included.
    pub unpacked_bytes_max: u64,
    /// Unpacked bytes for each compressed byte. The first mebibyte is free, because a small tar
    /// is mostly padding and compresses very well.
    pub ratio_max: u32,
    /// Files and directories, counting directories that only follow from a path.
    pub entries_max: u32,
    /// Bytes of one file.
    pub entry_bytes_max: u64,
    /// Bytes of the component, or of the recording.
    pub component_bytes_max: u64,
    /// Bytes of `model.toml`. It is the one file that is held in memory, and while it is parsed
    /// it takes up to some fifty times its size there (measured: 13 MiB for 256 KiB of keys).
    pub manifest_bytes_max: u64,
    /// Bytes of one path.
    pub path_bytes_max: usize,
    /// Parts of one path.
    pub path_depth_max: usize,
}

impl Default for ArchiveLimits {
    /// 4 GiB as sent and unpacked, ratio 100, 1 024 entries, 4 GiB an entry, 64 MiB of
    /// component, 256 KiB of manifest, paths of 240 bytes and 16 parts.
    fn default() -> Self {
        Self {
            compressed_bytes_max: 4 << 30,
            unpacked_bytes_max: 4 << 30,
            ratio_max: 100,
            entries_max: 1024,
            entry_bytes_max: 4 << 30,
            component_bytes_max: 64 << 20,
            manifest_bytes_max: 256 << 10,
            path_bytes_max: 240,
            path_depth_max: 16,
        }
    }
}

impl ArchiveLimits {
    /// Small caps that a test can reach.
    pub fn for_testing() -> Self {
        Self {
            compressed_bytes_max: 1 << 20,
            unpacked_bytes_max: 4 << 20,
            ratio_max: 20,
            entries_max: 32,
            entry_bytes_max: 2 << 20,
            component_bytes_max: 1 << 20,
            manifest_bytes_max: 16 << 10,
            path_bytes_max: 200,
            path_depth_max: 8,
        }
    }

    pub(crate) fn path_bounds(&self) -> PathBounds {
        PathBounds {
            bytes_max: self.path_bytes_max.min(PathBounds::WIDEST.bytes_max),
            depth_max: self.path_depth_max.min(PathBounds::WIDEST.depth_max),
        }
    }
}
