//! What an instance may take of memory and tables, and what it has taken.

use crate::{Budget, Cap, CapHit, memory_pool::MemoryPool};
use std::sync::Arc;
use wasmtime::ResourceLimiter;

/// What an instance has taken, and the first cap that it met.
pub(crate) struct RunLimiter {
    budget: Budget,
    memory_bytes: u64,
    table_elements: u64,
    memory_pool: Arc<MemoryPool>,
    /// Whether the host, and not the run's own cap, had no memory left.
    starved: bool,
    /// The guest sees a refused growth as -1 and usually traps; this tells that trap apart.
    refused: Option<CapHit>,
    /// The size that a memory was not to outgrow by its own declaration, where it wanted to.
    declared_max: Option<u64>,
}

impl RunLimiter {
    pub(crate) fn new(budget: &Budget, memory_pool: Arc<MemoryPool>) -> Self {
        Self {
            budget: *budget,
            memory_bytes: 0,
            table_elements: 0,
            memory_pool,
            starved: false,
            refused: None,
            declared_max: None,
        }
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Bytes of linear memory, over all memories.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// Where the host's own memory ran out: how much of it is taken, and how much there is.
    pub(crate) fn starved(&self) -> Option<(u64, u64)> {
        self.starved
            .then(|| (self.memory_pool.taken(), self.memory_pool.limit()))
    }

    /// The growth that was refused, if any was.
    pub(crate) fn refused(&self) -> Option<&CapHit> {
        self.refused.as_ref()
    }

    /// The size in bytes that a memory has declared to be its largest, where it wanted to outgrow
    /// that.
    pub(crate) fn declared_max(&self) -> Option<u64> {
        self.declared_max
    }

    /// Bounds memory no more: what grows from now on is not the guest's.
    pub(crate) fn lift(&mut self) {
        self.budget.memory_bytes_max = u64::MAX;
    }

    fn grow(
        used: &mut u64,
        limit: u64,
        cap: Cap,
        growth: u64,
        refused: &mut Option<CapHit>,
    ) -> bool {
        let wanted = used.saturating_add(growth);
        if wanted > limit {
            refused.get_or_insert(CapHit {
                cap,
                limit,
                used: wanted,
            });
            return false;
        }
        *used = wanted;
        if growth > 0 {
            // A guest that asked for less and got it has coped: what traps later is another story.
            *refused = None;
        }
        true
    }
}

impl Drop for RunLimiter {
    fn drop(&mut self) {
        self.memory_pool.put_back(self.memory_bytes);
    }
}

impl ResourceLimiter for RunLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if is_beyond(desired, maximum) {
            self.declared_max = maximum.map(|bytes| bytes as u64);
            return Ok(false);
        }
        let growth = desired.saturating_sub(current) as u64;
        let limit = self.budget.memory_bytes_max;
        let refused = &mut self.refused;
        if !Self::grow(&mut self.memory_bytes, limit, Cap::Memory, growth, refused) {
            return Ok(false);
        }
        if !self.memory_pool.take(growth) {
            self.memory_bytes -= growth;
            self.starved = true;
            return Ok(false);
        }
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if is_beyond(desired, maximum) {
            return Ok(false);
        }
        let growth = desired.saturating_sub(current) as u64;
        Ok(Self::grow(
            &mut self.table_elements,
            self.budget.table_elements_max,
            Cap::TableElements,
            growth,
            &mut self.refused,
        ))
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        // The limiter allowed it and the pool's slot did not, which is at least as large as any
        // budget: the system is out of memory. The guest sees -1.
        tracing::debug!("memory growth failed: {error}");
        Ok(())
    }

    fn instances(&self) -> usize {
        self.budget.instances_max as usize
    }

    fn tables(&self) -> usize {
        self.budget.tables_max as usize
    }

    fn memories(&self) -> usize {
        self.budget.memories_max as usize
    }
}

/// Whether the guest asks for more than it has declared itself. The engine refuses that, but
/// only after it has asked here, and what was counted by then would stay counted.
fn is_beyond(desired: usize, maximum: Option<usize>) -> bool {
    maximum.is_some_and(|maximum| desired > maximum)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_summed_over_all_memories_and_the_refusal_is_kept() {
        let budget = Budget {
            memory_bytes_max: 100,
            ..Budget::default()
        };
        let mut limiter = RunLimiter::new(&budget, MemoryPool::new(1000));
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.memory_growing(0, 40, None).unwrap());
        assert_eq!(limiter.refused(), None);
        assert!(!limiter.memory_growing(40, 41, None).unwrap());
        assert!(!limiter.memory_growing(40, 50, None).unwrap());
        assert_eq!(
            limiter.refused(),
            Some(&CapHit {
                cap: Cap::Memory,
                limit: 100,
                used: 101
            })
        );
        assert_eq!(limiter.memory_bytes(), 100);
        let mut coped = RunLimiter::new(&budget, MemoryPool::new(1000));
        assert!(!coped.memory_growing(0, 101, None).unwrap());
        assert!(coped.memory_growing(0, 50, None).unwrap());
        assert_eq!(coped.refused(), None);
    }

    #[test]
    fn a_growth_beyond_the_guests_own_maximum_is_not_counted() {
        let mut limiter = RunLimiter::new(&Budget::default(), MemoryPool::new(1000));
        assert!(!limiter.memory_growing(0, 101, Some(100)).unwrap());
        assert!(!limiter.table_growing(0, 11, Some(10)).unwrap());
        assert_eq!((limiter.memory_bytes, limiter.table_elements), (0, 0));
        assert_eq!(limiter.refused(), None);
        assert!(limiter.memory_growing(0, 100, Some(100)).unwrap());
    }

    #[test]
    fn the_memory_of_all_runs_is_shared_and_given_back() {
        let memory_pool = MemoryPool::new(100);
        let limiter = || RunLimiter::new(&Budget::default(), Arc::clone(&memory_pool));
        let (mut first, mut second) = (limiter(), limiter());
        assert!(first.memory_growing(0, 60, None).unwrap());
        assert!(!second.memory_growing(0, 41, None).unwrap());
        assert_eq!(second.starved(), Some((60, 100)));
        assert_eq!(second.refused(), None);
        drop(first);
        assert!(second.memory_growing(0, 100, None).unwrap());
        drop(second);
        assert_eq!(memory_pool.taken(), 0);
    }
}
