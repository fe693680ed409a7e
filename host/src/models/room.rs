//! Which models stay in memory. Where `models.memory_budget` is set, those that nobody has asked for
//! the longest leave when there are more than it holds.
//!
//! A model that leaves is taken out of the map that requests read; whoever has it keeps it, so no
//! run is touched, and its memory is free when the last of them is over.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::catalog::Catalog;
use super::live::ServedModel;
use super::state::{Inner, blocking};
use crate::telemetry::metrics;

/// Room that is kept for a model on its way into memory.
pub(super) struct Room {
    inner: Arc<Inner>,
    content: [u8; 32],
}

/// What is in memory of one content.
struct Resident {
    bytes: u64,
    /// The era in which any version of it was last asked for.
    asked: u64,
    /// Whether it may leave.
    is_free: bool,
}

impl Inner {
    /// Keeps room for a model, without asking whether there is any.
    pub(super) fn room_for(self: &Arc<Self>, served: &ServedModel) -> Room {
        let (content, bytes) = served.mapped();
        let mut coming = self.memory.coming.lock();
        coming.room.entry(content).or_insert((bytes, 0)).1 += 1;
        Room {
            inner: self.clone(),
            content,
        }
    }

    /// Keeps room for a model if there is as much within the budget.
    pub(super) fn room_left_for(self: &Arc<Self>, served: &ServedModel) -> Option<Room> {
        let catalog = self.catalog.lock();
        let room = self.room_for(served);
        let is_within = match self.memory.budget() {
            Some(budget) => self.taken(&residents(&catalog)) <= budget,
            None => true,
        };
        drop(catalog);
        is_within.then_some(room)
    }

    /// Bytes of all that is in memory or on its way there.
    fn taken(&self, residents: &HashMap<[u8; 32], Resident>) -> u64 {
        let coming = self.memory.coming.lock();
        let coming = coming.room.iter();
        let coming = coming.filter(|(content, _)| !residents.contains_key(*content));
        let coming = coming.map(|(_, (bytes, _))| *bytes);
        let there = residents.values().map(|resident| resident.bytes);
        there.chain(coming).fold(0, u64::saturating_add)
    }

    /// Has the models leave that nobody has asked for the longest, until what stays and what comes
    /// are within the budget. Where nothing comes (`keeps_newest`), the one that was asked for last
    /// stays, however large it is.
    pub(super) async fn make_room(self: &Arc<Self>, keeps_newest: bool) {
        let Some(budget) = self.memory.budget() else {
            return;
        };
        let mut left = Vec::new();
        {
            let mut catalog = self.catalog.lock();
            let mut residents = residents(&catalog);
            let mut oldest: Vec<_> = residents
                .iter()
                .map(|(content, resident)| (resident.asked, *content, resident.is_free))
                .collect();
            oldest.sort_unstable();
            if keeps_newest {
                oldest.pop();
            }
            for (_, content, is_free) in oldest {
                if self.taken(&residents) <= budget {
                    break;
                }
                if is_free {
                    residents.remove(&content);
                    left.extend(catalog.let_go(content));
                }
            }
            if left.is_empty() {
                return;
            }
            self.live.publish(catalog.names());
        }
        metrics::MODEL_EVICTIONS
            .handle()
            .increment(left.len() as u64);
        for live in &left {
            tracing::debug!(model.id = %live.label, "left memory");
        }
        // Unmapping takes a while.
        let _ = blocking(move || drop(left)).await;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut coming = self.inner.memory.coming.lock();
        if let Entry::Occupied(mut room) = coming.room.entry(self.content) {
            room.get_mut().1 -= 1;
            if room.get().1 == 0 {
                room.remove();
            }
        }
    }
}

/// What is in memory, by content: versions that share one leave together.
fn residents(catalog: &Catalog) -> HashMap<[u8; 32], Resident> {
    let mut residents = HashMap::new();
    for live in catalog.live() {
        let (content, bytes) = live.mapped();
        // One that is being run frees nothing by leaving, and is being asked for.
        let is_free = !live.is_embedded && live.model.running() == 0 && live.model.waiting() == 0;
        let resident = residents.entry(content).or_insert(Resident {
            bytes,
            asked: 0,
            is_free: true,
        });
        resident.asked = resident.asked.max(live.asked.last());
        resident.is_free &= is_free;
    }
    residents
}
