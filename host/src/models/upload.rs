//! Takes a bundle from the wire to a committed row.
//!
//! The order is what makes an upload durable: the files are on disk before the row that names
//! them, and the row is on disk before anyone hears of it. Killed before the row, the files
//! belong to nobody and are collected at the next start; killed after it, the version is taken
//! up again where its lifecycle stood.

use std::sync::Arc;

use belljar_bundle::{ByteSize, CheckedBundle, Digest, ModelId, StoredBundle};
use tokio::io::AsyncRead;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::io::SyncIoBridge;
use tokio_util::sync::CancellationToken;

use super::catalog::{Catalog, Stage};
use super::config::Config;
use super::records::{Pointers, Record, StoredState};
use super::registry::Registry;
use super::state::{Inner, blocking};
use super::status::VersionStatus;
use super::timed_body::{Interruption, Pace, TimedBody};
use super::{ModelError, failures, lifecycle, policy};
use crate::auth::{Caller, Scope};
use crate::ids::KeyId;
use crate::limits::StorageQuota;

/// The caller's wishes that come with the body of an upload.
#[derive(Clone, Debug)]
pub struct UploadRequest {
    /// The sender. Needs the scope `models:write`, and the right to the name in the manifest.
    pub caller: Caller,
    /// Whether the version becomes the active one as soon as it is ready.
    pub activate: bool,
    /// How much the caller may store.
    pub quota: StorageQuota,
}

/// The decision about a checked bundle.
enum Verdict {
    /// Store it, in place of what is there under that id.
    Store,
    /// The bundle is here already.
    Keep,
}

impl Registry {
    /// Takes in a bundle: a tar archive, plain or compressed. When it returns, the version is on
    /// disk and survives whatever happens to the process; checking the component, compiling and
    /// loading it go on in the background ([`Registry::settled`]).
    ///
    /// The same content under the same id again is no error: the answer is where it stands. A
    /// version that failed is tried again; content that failed and was never ready may be
    /// replaced by other content.
    ///
    /// Dropping the future before the body has arrived ends the upload and keeps nothing of it.
    ///
    /// # Errors
    ///
    /// When the caller may not, the bundle is not acceptable, the id stands for other content,
    /// a bound of the server is reached, or the disk fails.
    pub async fn upload(
        &self,
        body: impl AsyncRead + Send + Unpin + 'static,
        request: UploadRequest,
    ) -> Result<VersionStatus, ModelError> {
        let inner = self.inner();
        request.caller.require(Scope::ModelsWrite)?;
        // When the caller's future is dropped, so is the guard, and the reading thread ends at
        // its next read instead of waiting for bytes that nobody wants any more.
        let gone = inner.closing.child_token();
        let waiting = gone.clone().drop_guard();
        let (bundle, place) = unpack(inner, request.caller.clone(), body, gone).await?;
        let name = bundle.manifest().name();
        if !request.caller.may_use(name.as_str()) {
            return Err(ModelError::NameNotAllowed { name: name.clone() });
        }
        policy::admit(bundle.manifest().limits(), &inner.config.policy)?;
        let status = inner
            .detached(move |inner| async move {
                let notes = passed_over(&bundle);
                let status = commit(&inner, bundle, request).await;
                drop(place);
                status.map(|status| VersionStatus { notes, ..status })
            })
            .await;
        drop(waiting);
        status
    }
}

/// Unpacks a caller's archive into the staging area of the store, checking everything about it on the
/// way, in one of the places for uploads, until `gone` is cancelled.
async fn unpack(
    inner: &Arc<Inner>,
    caller: Caller,
    body: impl AsyncRead + Send + Unpin + 'static,
    gone: CancellationToken,
) -> Result<(CheckedBundle, OwnedSemaphorePermit), ModelError> {
    let config = &inner.config;
    let Ok(place) = inner.uploads.clone().try_acquire_owned() else {
        return Err(ModelError::TooManyUploads {
            limit: config.uploads_max,
            retry_after: config.upload_stall,
        });
    };
    let pace = Pace {
        stall: config.upload_stall,
        wall_time: config.upload_wall_time,
        rate_min: config.upload_rate_min,
    };
    let body = TimedBody::new(body, pace, gone);
    let interruption = body.interruption();
    let reading = inner.clone();
    let (bundle, place) = blocking(move || {
        let bundle = reading.store.unpack_on(
            SyncIoBridge::new(body),
            &reading.config.archive,
            &reading.config.signatures,
            &|base| find_base(&reading, &caller, base),
        );
        // The place is held by the thread, not by the future: a dropped future must not let
        // another upload in while this one still writes.
        (bundle, place)
    })
    .await?;
    let bundle = bundle.map_err(|error| match interruption.get() {
        Some(Interruption::Stalled) => ModelError::UploadStalled {
            waited: config.upload_stall,
        },
        Some(Interruption::TooSlow) => ModelError::UploadTooSlow {
            limit: config.upload_wall_time,
        },
        Some(Interruption::BelowRate) => ModelError::UploadBelowRate {
            rate: ByteSize::bytes(config.upload_rate_min),
        },
        Some(Interruption::Cancelled) => ModelError::UploadCancelled,
        None => ModelError::Bundle(error),
    })?;
    Ok((bundle, place))
}

/// The bundle of a version that this caller may build on. Whose it is does not matter; of models
/// that are not among the key's nobody learns that they are there.
fn find_base(inner: &Inner, caller: &Caller, id: &ModelId) -> Option<StoredBundle> {
    if !caller.may_use(id.name.as_str()) {
        return None;
    }
    let digest = {
        let catalog = inner.catalog.lock();
        catalog.version(id)?.record.digest
    };
    inner.store.open_bundle(&digest).ok()
}

/// A note about the files that were left out, if there were any. A few are named: a folder from
/// a Mac has one for each of its files.
fn passed_over(bundle: &CheckedBundle) -> Vec<String> {
    const NAMED_MAX: usize = 3;
    let files = bundle.passed_over();
    if files.is_empty() {
        return Vec::new();
    }
    let mut named = files
        .iter()
        .take(NAMED_MAX)
        .map(|file| format!("\"{file}\""))
        .collect::<Vec<_>>()
        .join(", ");
    if files.len() > NAMED_MAX {
        named.push_str(&format!(" and {} more", files.len() - NAMED_MAX));
    }
    vec![format!(
        "passed over what macOS adds to archives: {named}; COPYFILE_DISABLE=1 keeps tar from \
         adding it"
    )]
}

/// Makes a checked bundle durable and starts its lifecycle.
async fn commit(
    inner: &Arc<Inner>,
    bundle: CheckedBundle,
    request: UploadRequest,
) -> Result<VersionStatus, ModelError> {
    let mut upload = Upload {
        id: bundle.manifest().id().clone(),
        digest: bundle.digest(),
        bytes: bundle.unpacked_bytes(),
        by: request.caller.key_id().cloned(),
        activate: request.activate,
        quota: request.quota,
        has_replaced: false,
    };
    // No collection between the files and their row.
    let blobs = inner.blobs.read().await;
    // Before anything is written, so that a conflict costs no disk; and again below, because
    // another change may come in between.
    let verdict = upload.judge(&inner.catalog.lock(), &inner.config)?;
    if let Verdict::Keep = verdict {
        let turn = inner.writes.lock().await;
        let verdict = upload.judge(&inner.catalog.lock(), &inner.config)?;
        if let Verdict::Keep = verdict {
            return upload.keep(inner).await;
        }
        // It was removed, or has failed, since the first look.
        drop(turn);
    }
    let is_shared = inner.config.share_weights;
    blocking(move || {
        if is_shared {
            // Unless its manifest wants otherwise.
            bundle.commit()
        } else {
            bundle.commit_apart()
        }
    })
    .await??;
    let turn = inner.writes.lock().await;
    let verdict = upload.judge(&inner.catalog.lock(), &inner.config);
    let stored = match verdict {
        Ok(Verdict::Keep) => upload.keep(inner).await,
        Ok(Verdict::Store) => match failures::make_room(inner, &upload.id, upload.bytes).await {
            Ok(()) => upload.put(inner).await,
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    drop((turn, blobs));
    if stored.is_err() || upload.has_replaced {
        // Files that no row names.
        inner.collect_soon();
    }
    stored
}

/// A bundle that has passed every check, on its way into the registry.
struct Upload {
    id: ModelId,
    digest: Digest,
    bytes: u64,
    by: Option<KeyId>,
    activate: bool,
    quota: StorageQuota,
    /// Whether the upload's row has taken the place of one with other content.
    has_replaced: bool,
}

impl Upload {
    /// Stores its row. The caller holds `writes`, and its files are in place.
    async fn put(&mut self, inner: &Arc<Inner>) -> Result<VersionStatus, ModelError> {
        let old = {
            let catalog = inner.catalog.lock();
            catalog
                .version(&self.id)
                .map(|version| version.record.clone())
        };
        let record = Record {
            id: self.id.clone(),
            digest: self.digest,
            bytes: self.bytes,
            state: StoredState::Received,
            attempts: 0,
            was_ready: old.as_ref().is_some_and(|old| old.was_ready),
            created: inner.now(),
            uploaded_by: self.by.clone(),
            embedded: None,
        };
        let pointers = self.pointers(inner);
        inner.records.put_upload(&record, &pointers).await?;
        inner.change(|catalog| catalog.put(record, pointers));
        self.has_replaced = old.is_some_and(|old| old.digest != self.digest);
        lifecycle::start(inner, &self.id);
        self.status(inner)
    }

    /// Takes note that what is there was sent again. The caller holds `writes`.
    async fn keep(&self, inner: &Arc<Inner>) -> Result<VersionStatus, ModelError> {
        inner.point(&self.id.name, self.pointers(inner)).await?;
        self.status(inner)
    }

    /// The pointers as they are to be now.
    fn pointers(&self, inner: &Inner) -> Pointers {
        let catalog = inner.catalog.lock();
        let mut pointers = catalog.pointers(&self.id.name);
        if self.activate {
            let runs = catalog
                .version(&self.id)
                .is_some_and(|version| version.served().is_some());
            let version = Some(self.id.version.clone());
            // What does not run yet becomes active when it does; until then the old one serves.
            (pointers.active, pointers.pending) = if runs {
                (version, None)
            } else {
                (pointers.active, version)
            };
        }
        pointers
    }

    fn status(&self, inner: &Inner) -> Result<VersionStatus, ModelError> {
        let status = inner.catalog.lock().status(&self.id);
        status.ok_or_else(|| ModelError::not_found(&self.id.to_string()))
    }

    /// Whether there is room for one more version of its size.
    fn fit(&self, catalog: &Catalog, config: &Config) -> Result<Verdict, ModelError> {
        let (count, stored) = catalog.size();
        let needed = stored.saturating_add(self.bytes);
        if count >= config.versions_max {
            return Err(ModelError::TooManyVersions {
                limit: config.versions_max,
            });
        }
        if needed > config.stored_bytes_max {
            return Err(ModelError::StoreFull {
                needed: ByteSize::bytes(needed),
                limit: ByteSize::bytes(config.stored_bytes_max),
            });
        }
        if let Some(owner) = &self.by {
            self.quota.check(catalog.size_of(owner), self.bytes)?;
        }
        Ok(Verdict::Store)
    }

    /// The decision about the bundle, as things stand.
    fn judge(&self, catalog: &Catalog, config: &Config) -> Result<Verdict, ModelError> {
        let Some(version) = catalog.version(&self.id) else {
            return self.fit(catalog, config);
        };
        let record = &version.record;
        let failed = matches!(version.stage, Stage::Failed(_));
        match (record.digest == self.digest, failed) {
            // It has counted for nothing until now, and may count from here on.
            (_, true) if record.is_broken() => self.fit(catalog, config),
            (true, true) => Ok(Verdict::Store),
            (true, false) => Ok(Verdict::Keep),
            // Nobody can have used it, so its author may try again under the same version.
            (false, true) if !record.was_ready && record.embedded.is_none() => Ok(Verdict::Store),
            (false, _) => Err(ModelError::Conflict {
                id: Box::new(self.id.clone()),
                stored: record.digest,
                sent: self.digest,
            }),
        }
    }
}
