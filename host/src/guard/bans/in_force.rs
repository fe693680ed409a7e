//! The bans by who is banned and by when they end.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::{Ban, Subject};

/// A bounded set of bans.
#[derive(Debug)]
pub(super) struct InForce {
    by_subject: HashMap<Subject, Arc<Ban>>,
    by_end: BTreeMap<(Duration, Subject), Arc<Ban>>,
    bans_max: usize,
}

impl InForce {
    pub(super) fn new(bans_max: usize) -> Self {
        Self {
            by_subject: HashMap::new(),
            by_end: BTreeMap::new(),
            bans_max,
        }
    }

    pub(super) fn get(&self, subject: &Subject) -> Option<Arc<Ban>> {
        self.by_subject.get(subject).cloned()
    }

    pub(super) fn len(&self) -> usize {
        self.by_subject.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_subject.is_empty()
    }

    /// The bans in force, those that end first at the front.
    pub(super) fn iter(&self) -> impl Iterator<Item = Arc<Ban>> + '_ {
        self.by_end.values().cloned()
    }

    /// Adds a ban, unless its subject has one that ends later. Where there is no room, the one
    /// that ends first goes.
    pub(super) fn insert(&mut self, ban: Arc<Ban>) -> bool {
        if let Some(old) = self.get(&ban.subject) {
            if old.ends >= ban.ends {
                return false;
            }
            self.remove(&old);
        }
        if self.by_subject.len() >= self.bans_max {
            self.by_end
                .pop_first()
                .map(|(_, ban)| self.by_subject.remove(&ban.subject));
        }
        let end = (ban.ends, ban.subject.clone());
        self.by_end.insert(end, Arc::clone(&ban));
        self.by_subject.insert(ban.subject.clone(), ban);
        true
    }

    /// Takes out that ban, and no other one of its subject.
    pub(super) fn remove(&mut self, ban: &Arc<Ban>) {
        if self
            .by_end
            .remove(&(ban.ends, ban.subject.clone()))
            .is_some()
        {
            self.by_subject.remove(&ban.subject);
        }
    }

    /// Takes out what is over.
    pub(super) fn remove_ended(&mut self, now: Duration) {
        while let Some(first) = self.by_end.first_entry()
            && first.get().ends <= now
        {
            let ban = first.remove();
            self.by_subject.remove(&ban.subject);
        }
    }
}
