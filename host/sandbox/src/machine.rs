//! What the machine has, as far as this process may use it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::slot_reset::own_cgroup;

/// Bytes of memory that this process and its children can have: all of the machine's, or the
/// least that a cgroup on the way to the root allows. `None` where neither can be read.
pub(crate) fn memory_bytes() -> Option<u64> {
    let all = fs::read_to_string("/proc/meminfo").ok();
    let all = all.as_deref().and_then(total_memory);
    let own = fs::read_to_string("/proc/self/cgroup").ok();
    let limit = own
        .as_deref()
        .and_then(|own| cgroup_memory(Path::new("/sys/fs/cgroup"), own));
    all.into_iter().chain(limit).min()
}

fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The least of the limits on the way from the own cgroup to the root, in either version of the
/// hierarchy. In a container the own cgroup is often mounted as the root.
fn cgroup_memory(root: &Path, own: &str) -> Option<u64> {
    let unified = own_cgroup(own).map(|path| (root.to_owned(), path, "memory.max"));
    let before = own.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let is_memory = controllers.split(',').any(|name| name == "memory");
        is_memory.then(|| (root.join("memory"), path, "memory.limit_in_bytes"))
    });
    let limits = [unified, before].into_iter().flatten();
    limits
        .filter_map(|(root, path, file)| least(&root, path, file))
        .min()
}

fn least(root: &Path, path: &str, file: &str) -> Option<u64> {
    let own: PathBuf = root.join(path.trim_start_matches('/'));
    own.ancestors()
        .take_while(|folder| folder.starts_with(root))
        .filter_map(|folder| fs::read_to_string(folder.join(file)).ok())
        // "max" is no limit.
        .filter_map(|text| text.trim().parse().ok())
        .min()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_machine_tells_its_memory() {
        assert_eq!(
            total_memory("MemTotal:       2048 kB\nMemFree: 1 kB\n"),
            Some(2 << 20)
        );
        assert_eq!(total_memory("MemFree: 1 kB\n"), None);
        assert!(memory_bytes().unwrap() > 0);
    }

    #[test]
    fn the_least_limit_on_the_way_to_the_root_holds() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let own = "0::/a/b\n";
        assert_eq!(cgroup_memory(dir.path(), own), None);
        write("a/b/memory.max", "max\n");
        assert_eq!(cgroup_memory(dir.path(), own), None);
        write("a/memory.max", "1000\n");
        assert_eq!(cgroup_memory(dir.path(), own), Some(1000));
        write("memory.max", "500\n");
        assert_eq!(cgroup_memory(dir.path(), own), Some(500));
        write("memory/c/memory.limit_in_bytes", "400\n");
        let both = "5:cpu,memory:/c\n0::/a/b\n";
        assert_eq!(cgroup_memory(dir.path(), both), Some(400));
    }
}
