//! One compilation of a content at a time: versions that share an artefact must not make it side by
//! side, which would cost each of them the whole price and leave the seal of one with the file of
//! another.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

/// The contents that are being compiled, with those that wait for it.
#[derive(Default)]
pub(super) struct Builds(Mutex<HashMap<[u8; 32], Weak<tokio::sync::Mutex<()>>>>);

impl Builds {
    /// Waits until nobody else compiles that content. Nobody does while what this gives lives.
    pub(super) async fn alone(&self, content: [u8; 32]) -> OwnedMutexGuard<()> {
        self.turn(content).lock_owned().await
    }

    fn turn(&self, content: [u8; 32]) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock();
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = turns.get(&content).and_then(Weak::upgrade);
        turn.unwrap_or_else(|| {
            let turn = Arc::default();
            turns.insert(content, Arc::downgrade(&turn));
            turn
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_content_is_compiled_by_one_at_a_time_and_others_beside_it() {
        let builds = Builds::default();
        let first = builds.alone([1; 32]).await;
        let mut second = Box::pin(builds.alone([1; 32]));
        assert!(futures_util::poll!(&mut second).is_pending());
        let other = builds.alone([2; 32]).await;
        drop(first);
        let second = second.await;
        drop((second, other));
        let _ = builds.turn([3; 32]);
        assert_eq!(builds.0.lock().len(), 1);
    }
}
