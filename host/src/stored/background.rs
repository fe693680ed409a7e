//! Work that goes on without the request that began it, with all that it has told so far.

use super::Owner;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Runs at once, in all and of one owner.
const RUNS_MAX: usize = 256;
const OWNER_RUNS_MAX: usize = 32;
/// Bytes of events of one run; what comes after them is not kept.
const EVENT_BYTES_MAX: usize = 16 << 20;
/// Runs that are over and whose events are still known.
const ENDED_MAX: usize = 64;

/// Too many runs go on in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many responses are being made in the background")]
pub struct TooManyRuns;

/// The runs that go on in the background. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct BackgroundRuns(Arc<Mutex<Runs>>);

#[derive(Debug, Default)]
struct Runs {
    by_id: HashMap<String, Arc<BackgroundRun>>,
    /// Those that are over, the oldest first.
    ended: Vec<String>,
}

/// One run.
#[derive(Debug)]
pub struct BackgroundRun {
    id: String,
    owner: Owner,
    /// Cancelled when nobody wants it any more.
    pub cancel: CancellationToken,
    events: Mutex<Events>,
    /// How many pieces there are, and whether the last of them is there.
    progress: watch::Sender<(usize, bool)>,
}

#[derive(Debug, Default)]
struct Events {
    pieces: Vec<Bytes>,
    bytes: usize,
}

/// The right to go on: the run is over when it is dropped.
#[derive(Debug)]
pub struct BackgroundTurn {
    runs: BackgroundRuns,
    run: Arc<BackgroundRun>,
}

impl BackgroundRuns {
    /// Begins a run.
    ///
    /// # Errors
    ///
    /// When there are too many, in all or of this owner.
    pub fn begin(&self, id: &str, owner: Owner) -> Result<BackgroundTurn, TooManyRuns> {
        let mut runs = self.0.lock();
        let (mut going, mut own) = (0, 0);
        for run in runs.by_id.values().filter(|run| !run.is_over()) {
            going += 1;
            own += usize::from(run.owner == owner);
        }
        if going >= RUNS_MAX || own >= OWNER_RUNS_MAX {
            return Err(TooManyRuns);
        }
        let run = Arc::new(BackgroundRun {
            id: id.to_owned(),
            owner,
            cancel: CancellationToken::new(),
            events: Mutex::default(),
            progress: watch::Sender::new((0, false)),
        });
        runs.by_id.insert(id.to_owned(), Arc::clone(&run));
        let runs = self.clone();
        Ok(BackgroundTurn { runs, run })
    }

    /// A run of an owner's that goes on, or was over not long ago.
    #[must_use]
    pub fn get(&self, owner: &Owner, id: &str) -> Option<Arc<BackgroundRun>> {
        let runs = self.0.lock();
        runs.by_id
            .get(id)
            .filter(|run| run.owner == *owner)
            .cloned()
    }

    /// Forgets a run that is over.
    pub fn forget(&self, id: &str) {
        let mut runs = self.0.lock();
        if runs.by_id.get(id).is_some_and(|run| run.is_over()) {
            runs.by_id.remove(id);
            runs.ended.retain(|other| other != id);
        }
    }
}

impl BackgroundRun {
    /// Whether nothing comes any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.progress.borrow().1
    }

    /// Waits until it is over.
    pub async fn over(&self) {
        // The sender is this run's own.
        let _ = self
            .progress
            .subscribe()
            .wait_for(|(_, is_over)| *is_over)
            .await;
    }

    /// A piece of what it has told, by its number: none where there will be none.
    pub async fn piece(&self, number: usize) -> Option<Bytes> {
        let mut progress = self.progress.subscribe();
        let known = progress.wait_for(|(count, is_over)| *count > number || *is_over);
        drop(known.await);
        self.events.lock().pieces.get(number).cloned()
    }
}

impl BackgroundTurn {
    /// The run.
    #[must_use]
    pub fn run(&self) -> &Arc<BackgroundRun> {
        &self.run
    }

    /// Adds to what the run has told.
    pub fn tell(&self, piece: Bytes) {
        let mut events = self.run.events.lock();
        if piece.is_empty() || events.bytes.saturating_add(piece.len()) > EVENT_BYTES_MAX {
            return;
        }
        events.bytes += piece.len();
        events.pieces.push(piece);
        let count = events.pieces.len();
        self.run.progress.send_replace((count, false));
    }
}

impl Drop for BackgroundTurn {
    fn drop(&mut self) {
        let mut runs = self.runs.0.lock();
        let count = self.run.events.lock().pieces.len();
        self.run.progress.send_replace((count, true));
        runs.ended.push(self.run.id.clone());
        if runs.ended.len() > ENDED_MAX {
            let oldest = runs.ended.remove(0);
            runs.by_id.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn what_was_told_is_heard_by_whoever_comes_later() {
        let runs = BackgroundRuns::default();
        let owner = Owner("ann".to_owned());
        let turn = runs.begin("r", owner.clone()).unwrap();
        let run = runs.get(&owner, "r").unwrap();
        assert!(runs.get(&Owner("bob".to_owned()), "r").is_none());
        turn.tell("one".into());
        assert_eq!(run.piece(0).await.unwrap(), "one");
        let next = tokio::spawn({
            let run = Arc::clone(&run);
            async move { run.piece(1).await }
        });
        turn.tell("two".into());
        drop(turn);
        assert_eq!(next.await.unwrap().unwrap(), "two");
        assert!(run.piece(2).await.is_none());
        run.over().await;
    }

    #[tokio::test]
    async fn there_is_a_bound_for_each_owner_and_for_all() {
        let runs = BackgroundRuns::default();
        let begin = |owner: &str, number: usize| {
            runs.begin(&format!("{owner}{number}"), Owner(owner.to_owned()))
        };
        let turns: Vec<_> = (0..OWNER_RUNS_MAX)
            .map(|number| begin("ann", number).unwrap())
            .collect();
        assert_eq!(begin("ann", 1_000).unwrap_err(), TooManyRuns);
        let _other = begin("bob", 0).unwrap();
        drop(turns);
        for number in 0..1_000 {
            drop(begin("ann", number).unwrap());
        }
        assert_eq!(runs.0.lock().by_id.len(), ENDED_MAX + 1);
    }
}
