//! The memory of all runs together. Each run has a cap of its own, but a few hundred runs at
//! their caps would be more than the machine has, and the kernel would end the server.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Linear memory that all runs share, in bytes.
#[derive(Debug)]
pub(crate) struct MemoryPool {
    taken: AtomicU64,
    limit: u64,
}

impl MemoryPool {
    /// A pool of `limit` bytes; 0 stands for half of what this process may use.
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        let limit = if limit == 0 {
            usable_memory() / 2
        } else {
            limit
        };
        Arc::new(Self {
            taken: AtomicU64::new(0),
            limit,
        })
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Takes bytes if there are as many.
    pub(crate) fn take(&self, bytes: u64) -> bool {
        let before = self.taken.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.limit;
        if !fits {
            self.put_back(bytes);
        }
        fits
    }

    pub(crate) fn put_back(&self, bytes: u64) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The machine's memory, or what the control group leaves of it, in bytes.
fn usable_memory() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| total(&text))
        .unwrap_or(u64::MAX);
    let group = fs::read_to_string("/proc/self/cgroup")
        .ok()
        .and_then(|text| {
            let path = text
                .lines()
                .find_map(|line| line.strip_prefix("0::").map(str::to_owned))?;
            let folder = Path::new("/sys/fs/cgroup").join(path.trim_start_matches('/'));
            let limit = fs::read_to_string(folder.join("memory.max")).ok()?;
            limit.trim().parse().ok()
        })
        .unwrap_or(u64::MAX);
    machine.min(group)
}

fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_not_taken() {
        let pool = MemoryPool::new(10);
        assert!(pool.take(6));
        assert!(!pool.take(5));
        assert_eq!(pool.taken(), 6);
        assert!(pool.take(4));
        pool.put_back(10);
        assert_eq!(pool.taken(), 0);
    }

    #[test]
    fn the_machine_says_what_it_has_in_kib() {
        assert_eq!(
            total("MemTotal:       24640000 kB\nMemFree: 1 kB\n"),
            Some(24_640_000 * 1024)
        );
        assert_eq!(total("nothing"), None);
        assert!(MemoryPool::new(0).limit() > 0);
    }
}
