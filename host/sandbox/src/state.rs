//! What the host keeps for one run: the limiter of its memory, its captured output, its log
//! lines, and WASI, made only when a guest first asks for it.

use crate::{
    Budget, Cap, CapHit, GuestEar, GuestLine, Loudness, RunLabel, RunOrigin,
    ambient::{Ambient, Chance},
    bindings::belljar::model::log::Level,
    blocks::NamedBlocks,
    guest_log::LogShare,
    limiter::RunLimiter,
    memory_pool::MemoryPool,
    pace::Pace,
    profile::Sampler,
    slice::TimeSlices,
};
use bytes::Bytes;
use parking_lot::Mutex;
use std::{fs::File, io, os::unix::fs::FileExt as _, path::PathBuf, sync::Arc, time::Instant};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{
    WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView,
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamError, StreamResult},
};

/// Bytes that one `assets.read` returns at most.
const ASSET_READ_BYTES_MAX: u64 = 16 << 20;
/// Bytes that one write to stdout or stderr may hold.
const STDIO_WRITE_BYTES_MAX: usize = 64 << 10;

/// How a host function ends a run: an error of wasmtime, found again where faults are told apart.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum HostStop {
    #[error("{0}")]
    Cap(CapHit),
    #[error("{0}")]
    Host(String),
}

/// A file of the bundle that the guest may read.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct AssetFile {
    /// As in the manifest.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// In bytes.
    pub size: u64,
}

/// What stays the same for all runs of a model, and how long its runs have been of late.
#[derive(Debug)]
pub(crate) struct ModelFacts {
    /// For example `name@version`.
    pub(crate) label: Arc<str>,
    pub(crate) assets: Vec<AssetFile>,
    pub(crate) pace: Pace,
    /// Its share of the host's log.
    pub(crate) log_share: LogShare,
    /// Whoever hears its guests besides the log.
    pub(crate) ear: Option<Arc<dyn GuestEar>>,
}

/// Whoever hears what a guest says in place of the log.
pub(crate) type Hearing = Box<dyn Fn(GuestLine) + Send + Sync>;

/// The state of a store.
pub(crate) struct GuestState {
    facts: Arc<ModelFacts>,
    label: RunLabel,
    pub(crate) limiter: RunLimiter,
    pub(crate) ambient: Ambient,
    wasi: Option<Box<WasiCtx>>,
    table: ResourceTable,
    stdio: Option<Arc<Mutex<Captured>>>,
    log_lines: u32,
    hearing: Option<Hearing>,
    /// What is kept for its caller of earlier requests; none before the guest asks.
    blocks: Option<Box<NamedBlocks>>,
    /// Where its fuel goes; none for a run that nobody looks into.
    pub(crate) sampler: Option<Box<Sampler>>,
    pub(crate) deadline: Instant,
    pub(crate) slices: TimeSlices,
}

impl GuestState {
    pub(crate) fn new(
        facts: Arc<ModelFacts>,
        label: RunLabel,
        run: u64,
        budget: &Budget,
        memory_pool: Arc<MemoryPool>,
        start: Instant,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(budget.resources_max);
        Self {
            facts,
            label,
            limiter: RunLimiter::new(budget, memory_pool),
            ambient: Ambient::new(run),
            wasi: None,
            table,
            stdio: None,
            log_lines: 0,
            hearing: None,
            blocks: None,
            sampler: None,
            deadline: start.checked_add(budget.wall_time).unwrap_or(start),
            slices: TimeSlices::default(),
        }
    }

    /// The same with somebody who hears what the guest says.
    pub(crate) fn heard_by(self, hearing: Hearing) -> Self {
        Self {
            hearing: Some(hearing),
            ..self
        }
    }

    /// What the run may spend.
    pub(crate) fn budget(&self) -> &Budget {
        self.limiter.budget()
    }

    pub(crate) fn facts(&self) -> &ModelFacts {
        &self.facts
    }

    pub(crate) fn label(&self) -> &RunLabel {
        &self.label
    }

    /// Where its time and its chance come from.
    pub(crate) fn origin(&self) -> &RunOrigin {
        self.label.origin()
    }

    pub(crate) fn chance(&mut self) -> &mut Chance {
        self.ambient.chance(self.label.origin())
    }

    pub(crate) fn insecure_random_seed(&self) -> (u64, u64) {
        self.ambient.insecure_seed(self.label.origin())
    }

    /// The handles that the host keeps for the guest.
    pub(crate) fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    pub(crate) fn request_id(&self) -> &str {
        self.label.request_id()
    }

    /// The end of the wall time, as a cap that was hit.
    pub(crate) fn deadline_hit(&self, now: Instant) -> Option<CapHit> {
        (now >= self.deadline).then(|| {
            let over = u64::try_from((now - self.deadline).as_millis()).unwrap_or(u64::MAX);
            let limit = self.budget().wall_time_ms();
            CapHit {
                cap: Cap::WallTimeMs,
                limit,
                used: limit.saturating_add(over),
            }
        })
    }

    pub(crate) fn assets(&self) -> &[AssetFile] {
        &self.facts.assets
    }

    pub(crate) fn asset(&self, name: &str) -> Option<&AssetFile> {
        self.facts.assets.iter().find(|asset| asset.name == name)
    }

    pub(crate) fn read_asset(
        &self,
        name: &str,
        offset: u64,
        len: u64,
    ) -> wasmtime::Result<Option<Vec<u8>>> {
        let Some(asset) = self.asset(name) else {
            return Ok(None);
        };
        let len = len
            .min(ASSET_READ_BYTES_MAX)
            .min(asset.size.saturating_sub(offset));
        let mut bytes = vec![0; usize::try_from(len)?];
        // Opened anew for each read: thousands of assets hold no file descriptors in between.
        File::open(&asset.path)
            .and_then(|file| file.read_exact_at(&mut bytes, offset))
            .map_err(|error| {
                HostStop::Host(format!(
                    "asset `{name}` of {} could not be read: {error}",
                    self.facts.label
                ))
            })?;
        Ok(Some(bytes))
    }

    /// The blocks that the guest has named, with the store of its caller behind them.
    pub(crate) fn named_blocks(&mut self) -> &mut NamedBlocks {
        let label = &self.label;
        self.blocks
            .get_or_insert_with(|| Box::new(NamedBlocks::of(label.blocks())))
    }

    pub(crate) fn log(&mut self, level: Level, message: &str) -> wasmtime::Result<()> {
        self.log_lines = self.log_lines.saturating_add(1);
        let limit = self.budget().log_lines_max;
        if self.log_lines > limit {
            return Err(HostStop::Cap(CapHit {
                cap: Cap::LogLines,
                limit: u64::from(limit),
                used: u64::from(self.log_lines),
            })
            .into());
        }
        self.emit(level.into(), "log", message);
        Ok(())
    }

    fn emit(&self, loudness: Loudness, origin: &str, message: &str) {
        let ModelFacts {
            label,
            log_share,
            ear,
            ..
        } = &*self.facts;
        if let Some(hearing) = &self.hearing {
            hearing(GuestLine::new(loudness, origin, message));
            return;
        }
        let is_logged = log_share.admits_line(label);
        if !is_logged && ear.is_none() {
            return;
        }
        let line = GuestLine::new(loudness, origin, message);
        if is_logged {
            line.log(label, &self.label);
        }
        if let Some(ear) = ear {
            ear.hear(&line, self.request_id());
        }
    }

    /// Tells whoever hears the model's guests that a run of theirs failed. The words are ours.
    pub(crate) fn tell_failure(&self, words: impl FnOnce() -> String) {
        if let Some(ear) = &self.facts.ear {
            let line = GuestLine::new(Loudness::Error, "run", &words());
            ear.hear(&line, self.request_id());
        }
    }

    /// Writes stdout and stderr to the log, a line each, within what is left of the log lines.
    pub(crate) fn flush_stdio(&self) {
        let Some(stdio) = &self.stdio else { return };
        let bytes = std::mem::take(&mut stdio.lock().bytes);
        let text = String::from_utf8_lossy(&bytes);
        let left = self.budget().log_lines_max.saturating_sub(self.log_lines) as usize;
        for line in text.lines().filter(|line| !line.is_empty()).take(left) {
            self.emit(Loudness::Info, "stdio", line);
        }
    }
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let Self {
            wasi,
            table,
            stdio,
            limiter,
            ..
        } = self;
        let budget = limiter.budget();
        let ctx = wasi.get_or_insert_with(|| {
            let captured = Arc::new(Mutex::new(Captured {
                bytes: Vec::new(),
                written: 0,
                bytes_max: budget.stdio_bytes_max,
            }));
            *stdio = Some(Arc::clone(&captured));
            let mut builder = WasiCtxBuilder::new();
            builder
                .stdout(Stdio(Arc::clone(&captured)))
                .stderr(Stdio(captured))
                .allow_ip_name_lookup(false)
                .allow_tcp(false)
                .allow_udp(false)
                // A guest that waits must give its thread back.
                .allow_blocking_current_thread(false);
            Box::new(builder.build())
        });
        WasiCtxView { ctx, table }
    }
}

/// What the guest wrote to stdout and stderr, together.
struct Captured {
    bytes: Vec<u8>,
    written: usize,
    bytes_max: usize,
}

impl Captured {
    fn write(&mut self, bytes: &[u8]) -> Result<(), CapHit> {
        self.written = self.written.saturating_add(bytes.len());
        if self.written > self.bytes_max {
            return Err(CapHit {
                cap: Cap::StdioBytes,
                limit: self.bytes_max as u64,
                used: self.written as u64,
            });
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

#[derive(Clone)]
struct Stdio(Arc<Mutex<Captured>>);

impl IsTerminal for Stdio {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stdio {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        // Only WASI 0.3 asks for this, and it is not linked.
        Box::new(tokio::io::sink())
    }
}

impl OutputStream for Stdio {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0
            .lock()
            .write(&bytes)
            .map_err(|hit| StreamError::Trap(HostStop::Cap(hit).into()))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(STDIO_WRITE_BYTES_MAX)
    }
}

#[async_trait::async_trait]
impl Pollable for Stdio {
    async fn ready(&mut self) {}
}

/// Where a table of files is wrong, as an error of the host.
pub(crate) fn asset_sizes_agree(assets: &[AssetFile]) -> io::Result<()> {
    for asset in assets {
        let size = std::fs::metadata(&asset.path)?.len();
        if size != asset.size {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "asset `{}` has {size} bytes on disk and {} in the registry",
                    asset.name, asset.size
                ),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_captured_up_to_its_cap() {
        let mut captured = Captured {
            bytes: Vec::new(),
            written: 0,
            bytes_max: 4,
        };
        assert!(captured.write(b"abcd").is_ok());
        assert_eq!(
            captured.write(b"e"),
            Err(CapHit {
                cap: Cap::StdioBytes,
                limit: 4,
                used: 5
            })
        );
        assert_eq!(captured.bytes, b"abcd");
    }
}
