//! Takes a bundle from the wire to a committed row.
//!
//! The order is what makes an upload durable: the files are on disk before the row that names
//! them, and the row is on disk before anyone hears of it. Killed before the row, the files
//! belong to nobody and are collected at the next start; killed after it, the version is taken
//! up again where its lifecycle stood.

use std::sync::Arc;

use belljar_bundle::{ByteSize, CheckedBundle, Digest, ModelId};
use jiff::Timestamp;
use tokio::io::AsyncRead;
use tokio_util::io::SyncIoBridge;

use super::body::{Cut, TimedBody};
use super::book::{Book, Stage};
use super::config::Config;
use super::records::{Record, StoredState};
use super::registry::{Inner, blocking};
use super::status::VersionStatus;
use super::{ModelError, lifecycle, policy};
use crate::auth::{Caller, Scope};
use crate::ids::KeyId;

/// What comes with the body of an upload.
#[derive(Clone, Debug)]
pub struct Received {
    /// Who sends it. Needs the scope `models:write`, and the right to the name in the manifest.
    pub caller: Caller,
    /// Whether the version becomes the active one as soon as it is ready.
    pub activate: bool,
}

/// What is to be done with a checked bundle.
enum Verdict {
    /// Store it, in place of what is there under that id.
    Store,
    /// It is here already.
    Keep,
}

pub(super) async fn receive(
    inner: &Arc<Inner>,
    body: impl AsyncRead + Send + Unpin + 'static,
    received: Received,
) -> Result<VersionStatus, ModelError> {
    received.caller.require(Scope::ModelsWrite)?;
    let config = &inner.config;
    let Ok(place) = inner.uploads.clone().try_acquire_owned() else {
        return Err(ModelError::TooManyUploads {
            limit: config.uploads_max,
            retry_after: config.upload_stall,
        });
    };
    // When the caller's future is dropped, so is the guard, and the reading thread ends at its
    // next read instead of waiting for bytes that nobody wants any more.
    let gone = inner.closing.child_token();
    let waiting = gone.clone().drop_guard();
    let body = TimedBody::new(body, config.upload_stall, config.upload_wall_time, gone);
    let cut = body.cut_reason();
    let reading = inner.clone();
    let checked = blocking(move || {
        let bundle = reading.store.receive(
            SyncIoBridge::new(body),
            &reading.config.archive,
            &reading.config.signatures,
        );
        // The place is held by the thread, not by the future: a dropped future must not let
        // another upload in while this one still writes.
        (bundle, place)
    })
    .await?;
    let (bundle, place) = checked;
    let bundle = bundle.map_err(|error| match cut.get() {
        Some(Cut::Stalled) => ModelError::UploadStalled {
            waited: config.upload_stall,
        },
        Some(Cut::TooSlow) => ModelError::UploadTooSlow {
            limit: config.upload_wall_time,
        },
        Some(Cut::Cancelled) => ModelError::UploadCancelled,
        None => ModelError::Bundle(error),
    })?;
    let name = bundle.manifest().name();
    if !received.caller.may_use(name.as_str()) {
        return Err(ModelError::NameNotAllowed { name: name.clone() });
    }
    policy::admit(bundle.manifest().limits(), &config.policy)?;
    let by = received.caller.key_id().cloned();
    let status = inner
        .detached(move |inner| async move {
            let status = store(&inner, bundle, by, received.activate).await;
            drop(place);
            status
        })
        .await;
    drop(waiting);
    status
}

/// Makes a checked bundle durable and starts its lifecycle.
async fn store(
    inner: &Arc<Inner>,
    bundle: CheckedBundle,
    by: Option<KeyId>,
    activate: bool,
) -> Result<VersionStatus, ModelError> {
    let id = bundle.manifest().id().clone();
    let digest = bundle.digest();
    let bytes = bundle.unpacked_bytes();
    // No collection between the files and their row.
    let blobs = inner.blobs.read().await;
    // Before anything is written, so that a conflict costs no disk; and again below, because
    // another upload may come in between.
    let verdict = judge(&inner.book.lock(), &id, &digest, bytes, &inner.config)?;
    if matches!(verdict, Verdict::Store) {
        blocking(move || bundle.commit()).await??;
    }
    let turn = inner.writes.lock().await;
    let (verdict, mut pointers, old) = {
        let book = inner.book.lock();
        let old = book.version(&id).map(|version| version.record.digest);
        (
            judge(&book, &id, &digest, bytes, &inner.config)?,
            book.pointers(&id.name),
            old,
        )
    };
    let live = inner.live.find(&id.to_string()).is_some();
    let before = pointers.clone();
    match (activate, live) {
        (true, true) => {
            pointers.active = Some(id.version.clone());
            pointers.wanted = None;
        }
        (true, false) => pointers.wanted = Some(id.version.clone()),
        (false, _) => {}
    }
    match verdict {
        Verdict::Keep if pointers == before => {}
        Verdict::Keep => {
            inner.records.point(&id.name, &pointers).await?;
            inner.change(|book| book.point(&id.name, pointers));
        }
        Verdict::Store => {
            let record = Record {
                id: id.clone(),
                digest,
                bytes,
                state: StoredState::Received,
                attempts: 0,
                was_ready: inner
                    .book
                    .lock()
                    .version(&id)
                    .is_some_and(|old| old.record.was_ready),
                created: now(),
                uploaded_by: by,
                embedded: None,
            };
            inner.records.put(&record, &pointers).await?;
            inner.change(|book| book.put(record, pointers));
            lifecycle::start(inner, &id);
        }
    }
    drop((turn, blobs));
    if old.is_some_and(|old| old != digest) {
        inner.collect_soon();
    }
    inner
        .book
        .lock()
        .status(&id)
        .ok_or_else(|| ModelError::not_found(&id.to_string()))
}

fn judge(
    book: &Book,
    id: &ModelId,
    digest: &Digest,
    bytes: u64,
    config: &Config,
) -> Result<Verdict, ModelError> {
    let (count, stored) = book.size();
    match book.version(id) {
        Some(version) => {
            let failed = matches!(version.stage, Stage::Failed(_));
            let record = &version.record;
            match (record.digest == *digest, failed) {
                (true, true) => Ok(Verdict::Store),
                (true, false) => Ok(Verdict::Keep),
                // Nobody can have used it, so its author may try again under the same version.
                (false, true) if !record.was_ready && record.embedded.is_none() => {
                    Ok(Verdict::Store)
                }
                (false, _) => Err(ModelError::Conflict {
                    id: Box::new(id.clone()),
                    stored: record.digest,
                    sent: *digest,
                }),
            }
        }
        None if count >= config.versions_max => Err(ModelError::TooManyVersions {
            limit: config.versions_max,
        }),
        None if stored.saturating_add(bytes) > config.stored_bytes_max => {
            Err(ModelError::StoreFull {
                needed: ByteSize::bytes(stored.saturating_add(bytes)),
                limit: ByteSize::bytes(config.stored_bytes_max),
            })
        }
        None => Ok(Verdict::Store),
    }
}

/// As exact as the store keeps it, so that an answer reads the same before and after a restart.
pub(super) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}
