//! Takes runs down as they go: what is asked and given, in which portions, and how it ends. What
//! becomes of that, when the last run of a request is over, is for the record and the audit log.

use super::outcome;
use crate::audit::{Actor, AuditLog, Event, EventKind};
use crate::clock::Clock;
use crate::ids::KeyId;
use crate::models::LiveModel;
use crate::runs::{Engine, KeptCall, Outcome, Run, RunId, Runs, Transcript};
use belljar_sandbox::{
    Asked, BlockName, BlockStore, Given, RunCost, RunEnd, RunError, RunOrigin, RunWatch,
};
use bytes::Bytes;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::json;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where runs are taken down to.
#[derive(Clone)]
pub struct Recorder {
    /// The runs on record.
    pub runs: Runs,
    /// Whether each run has a line of the audit log.
    pub audits: bool,
    /// The time.
    pub clock: Clock,
}

impl Recorder {
    /// Whether anything is taken down.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.audits || self.runs.is_on()
    }
}

/// The runs of one request, while they go on.
#[derive(Clone, Debug, Default)]
pub(super) struct Notebook(Arc<Pages>);

#[derive(Debug, Default)]
struct Pages {
    calls: Mutex<Vec<KeptCall>>,
    /// Whether a guest found what was kept of earlier requests.
    resumed: AtomicBool,
}

impl Notebook {
    /// Something that takes the run of that place down.
    pub(super) fn page(&self, place: u64) -> Page {
        Page {
            notebook: self.clone(),
            call: KeptCall::begun(place),
            asked: Vec::new(),
            given: Vec::new(),
        }
    }

    /// What has been taken down by now.
    pub(super) fn transcript(&self) -> Transcript {
        Transcript::new(self.0.calls.lock().clone())
    }

    /// The store of blocks with somebody who notices what is found in it.
    pub(super) fn watch_blocks(&self, store: Box<dyn BlockStore>) -> Box<dyn BlockStore> {
        Box::new(WatchedBlocks {
            store,
            notebook: self.clone(),
        })
    }
}

#[derive(Debug)]
struct WatchedBlocks {
    store: Box<dyn BlockStore>,
    notebook: Notebook,
}

impl BlockStore for WatchedBlocks {
    fn find(&self, names: &[BlockName]) -> Vec<Bytes> {
        let found = self.store.find(names);
        if !found.is_empty() {
            self.notebook.0.resumed.store(true, Ordering::Relaxed);
        }
        found
    }

    fn keep(&self, name: BlockName, bytes: Bytes) {
        self.store.keep(name, bytes);
    }
}

/// Takes down one run.
pub(super) struct Page {
    notebook: Notebook,
    call: KeptCall,
    asked: Vec<u8>,
    given: Vec<u8>,
}

/// Adds something, encoded.
fn write(bytes: &mut Vec<u8>, what: &impl Serialize) {
    // Plain data into memory: there is nothing that could fail.
    let _ = rmp_serde::encode::write_named(bytes, what);
}

impl RunWatch for Page {
    fn refused(&mut self, error: &(dyn Error + 'static)) {
        self.call.outcome = failed(error);
    }

    fn admitted(&mut self) {}

    fn wants_content(&self) -> bool {
        true
    }

    fn asked(&mut self, asked: &Asked) {
        write(&mut self.asked, asked);
    }

    fn pulls(&mut self, chunks: u32) {
        self.call.pulls.push(chunks);
    }

    fn gave(&mut self, given: &Given) {
        write(&mut self.given, given);
    }

    fn ended(&mut self, cost: &RunCost, end: RunEnd<'_>) {
        self.call.fuel = cost.fuel;
        self.call.outcome = match end {
            RunEnd::Done => Outcome::DONE,
            RunEnd::Failed(error) => failed(error),
            RunEnd::Left => Outcome::LEFT,
        };
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let mut call = std::mem::replace(&mut self.call, KeptCall::begun(0));
        let take = std::mem::take::<Vec<u8>>;
        call.set_content(take(&mut self.asked), take(&mut self.given));
        self.notebook.0.calls.lock().push(call);
    }
}

fn failed(error: &(dyn Error + 'static)) -> Outcome {
    let code = error.downcast_ref::<RunError>().map(outcome::code);
    Outcome::failed(code.unwrap_or("internal_error"))
}

/// The runs of one request, which are taken down to the record when the last of them is over.
pub(super) struct RequestRecord {
    pub(super) id: RunId,
    pub(super) notebook: Notebook,
    pub(super) recorder: Recorder,
    pub(super) audit: AuditLog,
    pub(super) actor: Actor,
    pub(super) owner: Option<KeyId>,
    pub(super) request_id: Arc<str>,
    pub(super) model: Arc<LiveModel>,
    pub(super) origin: Arc<RunOrigin>,
}

impl std::fmt::Debug for RequestRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RequestRecord").field(&self.id).finish()
    }
}

impl Drop for RequestRecord {
    fn drop(&mut self) {
        let transcript = self.notebook.transcript();
        if transcript.calls().is_empty() {
            return;
        }
        let run = Run {
            id: self.id.clone(),
            owner: self.owner.clone(),
            request_id: self.request_id.to_string(),
            created: self.recorder.clock.now(),
            model: self.model.id.clone(),
            digest: self.model.digest,
            seed: self.origin.seed(),
            time: self.origin.time(),
            fuel: transcript.fuel(),
            outcome: transcript.outcome(),
            resumed: self.notebook.0.resumed.load(Ordering::Relaxed),
            input_digest: transcript.input_digest(),
            output_digest: transcript.output_digest(),
            engine: Engine::new(self.model.model.fingerprint(), &self.model.budget),
        };
        if self.recorder.audits {
            self.audit_run(&run);
        }
        if self.recorder.runs.is_on() {
            self.recorder.runs.keep(run, transcript);
        }
    }
}

impl RequestRecord {
    fn audit_run(&self, run: &Run) {
        let about = [
            ("run", json!(run.id.as_str())),
            ("model", json!(&*self.model.label)),
            ("digest", json!(run.digest.to_string())),
            ("seed", json!(run.seed.to_string())),
            ("time_ms", json!(run.time.unix_ms())),
            ("fuel", json!(run.fuel)),
            ("outcome", json!(run.outcome.name())),
            ("input_digest", json!(run.input_digest.to_string())),
            ("output_digest", json!(run.output_digest.to_string())),
        ];
        let event = Event::new(EventKind::Run, self.actor.clone(), &about);
        self.audit.record(&event);
    }
}
