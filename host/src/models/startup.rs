//! What the registry does when the server starts: it installs the models that come with the
//! server, loads what was there, takes up what was going on, and clears what nobody refers to.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use belljar_bundle::{
    ArchiveLimits, BundleError, ByteSize, Digest, DurationText, Fuel, ModelId, SignaturePolicy,
    pack,
};
use belljar_sandbox::Sandbox;
use tokio::task::JoinSet;

use super::ModelError;
use super::catalog::Stage;
use super::lifecycle;
use super::live::{LiveModel, Served};
use super::records::{Pointers, Record, StoredState};
use super::remap::remapping;
use super::state::{Inner, blocking};
use super::status::Failure;
use crate::embedded::{self, EmbeddedLimits, EmbeddedModel};

/// Brings the rows of embedded models in line with the binary and the settings.
///
/// The binary is the authority on them: content that changed with it is replaced, versions that
/// it no longer has are removed, and a model that the settings turn off is removed as a whole.
/// Which version is active is the operator's: an embedded one becomes active when its model
/// appears, or in place of an embedded one before it, and never in place of an upload or of a
/// deactivation.
pub(super) async fn install_embedded(inner: &Arc<Inner>) -> Result<(), ModelError> {
    let mut wanted = Vec::new();
    for model in embedded::ALL {
        let on = match model.name {
            "fake" => inner.config.fake,
            "echo" => inner.config.echo,
            _ => true,
        };
        if on {
            wanted.push((id_of(model)?, model));
        }
    }
    let stored: Vec<ModelId> = {
        let catalog = inner.catalog.lock();
        let embedded = catalog.records().filter(|record| record.embedded.is_some());
        embedded.map(|record| record.id.clone()).collect()
    };
    for (id, model) in &wanted {
        install(inner, id, model, &stored).await?;
    }
    for id in stored {
        if !wanted.iter().any(|(wanted, _)| *wanted == id) {
            inner
                .forget(&id.name, std::slice::from_ref(&id.version))
                .await?;
        }
    }
    Ok(())
}

fn id_of(model: &EmbeddedModel) -> Result<ModelId, ModelError> {
    let name = model.name.parse().map_err(ModelError::host)?;
    let version = model.version.parse().map_err(ModelError::host)?;
    Ok(ModelId { name, version })
}

async fn install(
    inner: &Arc<Inner>,
    id: &ModelId,
    model: &'static EmbeddedModel,
    stored: &[ModelId],
) -> Result<(), ModelError> {
    let component = Digest::of(model.component);
    let (there, pointers, known) = {
        let catalog = inner.catalog.lock();
        let there = catalog.version(id).map(|version| version.record.clone());
        (
            there,
            catalog.pointers(&id.name),
            catalog.model(&id.name).is_some(),
        )
    };
    match &there {
        // The usual start: nothing to unpack, nothing to hash, nothing to write.
        Some(record) if record.embedded == Some(component) && !is_failed(record) => return Ok(()),
        // Somebody has uploaded a version of this id before the binary had it. It stays.
        Some(record) if record.embedded.is_none() => return Ok(()),
        _ => {}
    }
    let store = inner.store.clone();
    let packed = pack(id, model);
    let bundle = blocking(move || {
        let archive = packed?;
        // The same checks as for anyone. A signature is not asked for: it would prove no more
        // than the binary that the bundle is a part of.
        let checked = store.unpack(
            archive.as_slice(),
            &ArchiveLimits::default(),
            &SignaturePolicy::default(),
        )?;
        let (digest, bytes) = (checked.digest(), checked.unpacked_bytes());
        checked.commit()?;
        Ok::<_, BundleError>((digest, bytes))
    });
    let (digest, bytes) = bundle.await??;
    let record = Record {
        id: id.clone(),
        digest,
        bytes,
        state: StoredState::Received,
        attempts: 0,
        was_ready: false,
        created: there.map_or_else(|| inner.now(), |record| record.created),
        uploaded_by: None,
        embedded: Some(component),
    };
    let was_embedded = pointers.active.as_ref().is_some_and(|active| {
        stored
            .iter()
            .any(|id| id.name == record.id.name && id.version == *active)
    });
    let pointers = if !known || was_embedded {
        Pointers {
            active: Some(id.version.clone()),
            pending: pointers.pending,
        }
    } else {
        pointers
    };
    inner.records.put(&record, &pointers).await?;
    inner.change(|catalog| catalog.put(record, pointers));
    Ok(())
}

/// The archive that its author would have uploaded.
fn pack(id: &ModelId, model: &EmbeddedModel) -> Result<Vec<u8>, BundleError> {
    let component = pack::Content::Bytes(model.component.to_vec());
    let mut parts = pack::Parts::new(id.name.clone(), id.version.clone(), component);
    parts.description = Some(model.description.to_owned());
    parts.license = Some(env!("CARGO_PKG_LICENSE").to_owned());
    let EmbeddedLimits {
        memory_bytes_max,
        fuel,
        wall_time_ms,
        output_bytes_max,
    } = model.limits;
    parts.limits.memory = Some(ByteSize::bytes(memory_bytes_max));
    parts.limits.fuel = Some(Fuel(fuel));
    parts.limits.deadline = Some(DurationText::from_millis(wall_time_ms));
    parts.limits.output = Some(ByteSize::bytes(output_bytes_max));
    let mut archive = Vec::new();
    pack::pack_parts(&parts, None, &mut archive)?;
    Ok(archive)
}

fn is_failed(record: &Record) -> bool {
    matches!(record.state, StoredState::Failed(_))
}

/// Loads everything there is: active versions first, since requests wait for those; then what is
/// ready, then what has yet to be compiled.
pub(super) async fn load_all(inner: Arc<Inner>) {
    let begun = Instant::now();
    let mut active = Vec::new();
    let mut ready = Vec::new();
    let mut rest = Vec::new();
    for (pointers, version) in inner.catalog.lock().versions() {
        let record = &version.record;
        let list = match record.state {
            StoredState::Failed(_) => &mut rest,
            _ if pointers.active.as_ref() == Some(&record.id.version) => &mut active,
            StoredState::Ready => &mut ready,
            StoredState::Received => &mut rest,
        };
        list.push(record.id.clone());
    }
    let count = active.len();
    settle(&inner, active).await;
    // Also where there was nothing to load: a version that had failed before is active still.
    inner.change(|_| {});
    inner.started.send_replace(true);
    let failed = inner.active_down.load(Ordering::Acquire);
    tracing::info!(
        models = count,
        failed,
        duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        "active models have been loaded"
    );
    settle(&inner, ready).await;
    settle(&inner, rest).await;
    inner.collect_soon();
}

/// Sends versions through their lifecycle and waits for the end of it. The compiler and the
/// places for loading bound what goes on at once.
async fn settle(inner: &Arc<Inner>, ids: Vec<ModelId>) {
    let mut activations = JoinSet::new();
    for id in ids {
        if let Some(activation) = lifecycle::activation(inner, &id) {
            activations.spawn(activation);
        }
    }
    while activations.join_next().await.is_some() {}
}

/// See [`Registry::reload_all`](super::Registry::reload_all).
pub(super) async fn reload_all(inner: &Arc<Inner>, sandbox: Sandbox) -> Result<(), ModelError> {
    // Nothing becomes ready meanwhile: a version that loads now into the old sandbox waits here,
    // and sees on its turn that the sandbox has changed.
    let _turn = inner.writes.lock().await;
    {
        let mut current = inner.sandbox.lock();
        current.generation += 1;
        current.sandbox = sandbox.clone();
    }
    let mut mapped = Vec::new();
    let running: Vec<_> = {
        let catalog = inner.catalog.lock();
        catalog
            .versions()
            .filter_map(|(_, version)| version.live().cloned())
            .collect()
    };
    for old in running {
        let fresh = remap(inner, &sandbox, &old).await;
        mapped.push((old, fresh));
    }
    inner.change(|catalog| {
        for (old, fresh) in mapped {
            let stage = match fresh {
                Ok(live) => Stage::Serves(Served::Live(Arc::new(live))),
                Err(error) => {
                    tracing::error!(model.id = %old.label, ?error, "a model could not be mapped again");
                    Stage::Failed(Failure {
                        code: "internal_error".to_owned(),
                        message: "the host could not load this version again".to_owned(),
                    })
                }
            };
            catalog.replace(old.served(), stage);
        }
    });
    Ok(())
}

async fn remap(inner: &Inner, sandbox: &Sandbox, old: &LiveModel) -> Result<LiveModel, ModelError> {
    let model = blocking(remapping(inner, sandbox.clone(), old.served())).await??;
    Ok(LiveModel::new(old.served().clone(), model))
}
