//! The violations of many subjects in little memory, in the order in which they were last heard
//! of, so that the stale ones are found without a search.

use std::collections::HashMap;
use std::hash::Hash;

use crate::guard::Violation;

/// The violations of one subject within the window, oldest first. Four bytes each.
#[derive(Debug, Default)]
pub(super) struct Log(Vec<Entry>);

/// A second, two bits for the kind, and one for whether it has led to a ban.
#[derive(Clone, Copy, Debug)]
struct Entry(u32);

const KIND_BITS: u32 = 2;
const SPENT: u32 = 1 << KIND_BITS;
const SECOND_SHIFT: u32 = KIND_BITS + 1;
/// The last second that can be written: 17 years after the start.
const SECOND_MAX: u32 = u32::MAX >> SECOND_SHIFT;

fn kind_bits(violation: Violation) -> u32 {
    match violation {
        Violation::FailedAuthentication => 0,
        Violation::Injection => 1,
        Violation::OversizedBody => 2,
        Violation::RateLimit => 3,
    }
}

impl Entry {
    fn second(self) -> u32 {
        self.0 >> SECOND_SHIFT
    }

    fn is_unspent(self, violation: Violation) -> bool {
        self.0 & (SPENT | (SPENT - 1)) == kind_bits(violation)
    }
}

impl Log {
    /// Adds one; of more than `kept` the oldest go.
    pub(super) fn push(&mut self, violation: Violation, now_s: u32, kept: usize) {
        if self.0.len() >= kept.max(1) {
            self.0.drain(..=self.0.len() - kept.max(1));
        }
        // Grows by what is needed: most subjects have one entry for ever.
        if self.0.len() == self.0.capacity() {
            self.0.reserve_exact(self.0.len().clamp(1, 16));
        }
        let second = now_s.min(SECOND_MAX) << SECOND_SHIFT;
        self.0.push(Entry(second | kind_bits(violation)));
    }

    /// All within the window.
    pub(super) fn total(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// The violations of a kind that have not led to a ban.
    pub(super) fn unspent(&self, violation: Violation) -> u32 {
        let unspent = self.0.iter().filter(|entry| entry.is_unspent(violation));
        u32::try_from(unspent.count()).unwrap_or(u32::MAX)
    }

    /// Notes that the violations of a kind have led to a ban.
    pub(super) fn spend(&mut self, violation: Violation) {
        for entry in &mut self.0 {
            if entry.is_unspent(violation) {
                entry.0 |= SPENT;
            }
        }
    }

    fn clean(&mut self, now_s: u32, window_s: u32) {
        self.0
            .retain(|entry| now_s.saturating_sub(entry.second()) < window_s);
    }

    fn newest(&self) -> u32 {
        self.0.last().map_or(0, |entry| entry.second())
    }
}

/// A bounded map from subjects to their logs, linked in the order of their last violations.
#[derive(Debug)]
pub(super) struct Windows<K> {
    places: HashMap<K, u32>,
    slots: Vec<Slot<K>>,
    free: Vec<u32>,
    newest: u32,
    oldest: u32,
    subjects_max: usize,
}

#[derive(Debug)]
struct Slot<K> {
    /// The subject; none in a free slot.
    subject: Option<K>,
    log: Log,
    newer: u32,
    older: u32,
}

/// No slot.
const NONE: u32 = u32::MAX;

impl<K: Clone + Eq + Hash> Windows<K> {
    pub(super) fn new(subjects_max: usize) -> Self {
        Self {
            places: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            newest: NONE,
            oldest: NONE,
            // Numbers of slots are 32 bits wide.
            subjects_max: subjects_max.clamp(1, NONE as usize - 1),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Works on the log of a subject, without what the window has passed over. The subject
    /// becomes the one that was heard of last. Where there is no room, stale ones go, then the
    /// oldest.
    pub(super) fn with_log<R>(
        &mut self,
        subject: K,
        now_s: u32,
        window_s: u32,
        work: impl FnOnce(&mut Log) -> R,
    ) -> Option<R> {
        let place = match self.places.get(&subject) {
            Some(place) => *place,
            None => self.insert(subject, now_s, window_s),
        };
        self.unlink(place);
        self.link_newest(place);
        let slot = self.slots.get_mut(place as usize)?;
        slot.log.clean(now_s, window_s);
        Some(work(&mut slot.log))
    }

    fn insert(&mut self, subject: K, now_s: u32, window_s: u32) -> u32 {
        if self.places.len() >= self.subjects_max {
            self.clean(now_s, window_s);
        }
        while self.places.len() >= self.subjects_max {
            self.remove_place(self.oldest);
        }
        let slot = Slot {
            subject: Some(subject.clone()),
            ..Slot::free()
        };
        let place = match self.free.pop() {
            Some(place) => {
                if let Some(free) = self.slots.get_mut(place as usize) {
                    *free = slot;
                }
                place
            }
            None => {
                self.slots.push(slot);
                u32::try_from(self.slots.len() - 1).unwrap_or(NONE)
            }
        };
        self.places.insert(subject, place);
        place
    }

    pub(super) fn remove(&mut self, subject: &K) {
        if let Some(place) = self.places.get(subject) {
            self.remove_place(*place);
        }
    }

    pub(super) fn remove_all(&mut self, matches: impl Fn(&K) -> bool) {
        let places = self.places.iter();
        let found: Vec<u32> = places
            .filter(|(subject, _)| matches(subject))
            .map(|(_, place)| *place)
            .collect();
        for place in found {
            self.remove_place(place);
        }
    }

    /// Removes subjects without violations in the window. They are the oldest, so this costs
    /// what it removes.
    pub(super) fn clean(&mut self, now_s: u32, window_s: u32) {
        while let Some(slot) = self.slots.get(self.oldest as usize) {
            if now_s.saturating_sub(slot.log.newest()) < window_s {
                break;
            }
            self.remove_place(self.oldest);
        }
        if self.places.is_empty() {
            // What an attack has made grow is given back.
            *self = Self::new(self.subjects_max);
        }
    }

    fn remove_place(&mut self, place: u32) {
        self.unlink(place);
        let Some(slot) = self.slots.get_mut(place as usize) else {
            return;
        };
        slot.log = Log::default();
        if let Some(subject) = slot.subject.take() {
            self.places.remove(&subject);
            self.free.push(place);
        }
    }

    fn unlink(&mut self, place: u32) {
        let Some(slot) = self.slots.get_mut(place as usize) else {
            return;
        };
        let (newer, older) = (slot.newer, slot.older);
        (slot.newer, slot.older) = (NONE, NONE);
        match self.slots.get_mut(newer as usize) {
            Some(slot) => slot.older = older,
            None if self.newest == place => self.newest = older,
            None => {}
        }
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = newer,
            None if self.oldest == place => self.oldest = newer,
            None => {}
        }
    }

    fn link_newest(&mut self, place: u32) {
        let before = self.newest;
        if let Some(slot) = self.slots.get_mut(place as usize) {
            slot.older = before;
        }
        match self.slots.get_mut(before as usize) {
            Some(slot) => slot.newer = place,
            None => self.oldest = place,
        }
        self.newest = place;
    }
}

impl<K> Slot<K> {
    fn free() -> Self {
        Self {
            subject: None,
            log: Log::default(),
            newer: NONE,
            older: NONE,
        }
    }
}
