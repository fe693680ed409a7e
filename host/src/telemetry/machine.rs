//! What the machine says of this process and of its disk.

use std::fs;
use std::io;
use std::path::Path;

/// Memory of this process that is in use, in bytes, as the kernel counts it (`VmRSS` of
/// `proc(5)`); none where it does not say.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The room on a disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskRoom {
    /// What this process may still write.
    pub free: u64,
    /// What the disk has in all.
    pub total: u64,
}

/// The room on the disk that a folder is on. Asks the disk, which may have to be waited for.
///
/// # Errors
///
/// When the folder cannot be looked at.
pub fn disk_room(folder: &Path) -> io::Result<DiskRoom> {
    let found = rustix::fs::statvfs(folder)?;
    Ok(DiskRoom {
        free: found.f_bavail.saturating_mul(found.f_frsize),
        total: found.f_blocks.saturating_mul(found.f_frsize),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_process_is_in_memory_and_its_folder_on_a_disk() {
        assert!(resident_bytes().unwrap() > 1 << 20);
        let room = disk_room(Path::new("/")).unwrap();
        assert!(room.free <= room.total && room.total > 1 << 20, "{room:?}");
        assert!(disk_room(Path::new("/there/is/no/such/folder")).is_err());
    }
}
