//! Who reads what guests have written: the lines of the versions that a caller may read.

use std::sync::Arc;
use std::time::Duration;

use belljar_bundle::{ModelName, ModelVersion};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::ModelError;
use super::guest_logs::{GuestLog, LineOrder, LogPage, LogQuery, LogReaders, page};
use super::registry::Registry;
use crate::auth::{Caller, Scope};
use crate::ids::KeyId;

/// How long a reader that follows rests between two looks: one that may read no new line is woken
/// by it all the same.
const PAUSE: Duration = Duration::from_millis(100);

/// The logs that somebody may read.
struct Readable {
    order: Arc<LineOrder>,
    logs: Vec<(ModelVersion, GuestLog)>,
}

impl Registry {
    /// Lines that guests of a model have written. Where there are none yet, those that come within
    /// a time.
    ///
    /// # Errors
    ///
    /// When there is no such model or version, when no lines are kept, and when the caller may
    /// read none of them.
    pub async fn logs(
        &self,
        name: &ModelName,
        query: &LogQuery,
        caller: &Caller,
        time: Duration,
    ) -> Result<LogPage, ModelError> {
        let end = Instant::now() + time;
        loop {
            let Readable { order, logs } = self.readable(name, query, caller)?;
            let mut change = std::pin::pin!(order.changed.notified());
            // A line that comes after the look below is not missed.
            change.as_mut().enable();
            let page = page(&order, &logs, query);
            if !page.lines.is_empty() || Instant::now() >= end {
                return Ok(page);
            }
            let _ = timeout_at(end, change).await;
            sleep_until((Instant::now() + PAUSE).min(end)).await;
        }
    }

    fn readable(
        &self,
        name: &ModelName,
        query: &LogQuery,
        caller: &Caller,
    ) -> Result<Readable, ModelError> {
        let inner = self.inner();
        let readers = inner.logs.readers();
        let not_found = || match &query.version {
            Some(version) => ModelError::not_found(&format!("{name}@{version}")),
            None => ModelError::not_found(name.as_str()),
        };
        if !caller.may_use(name.as_str()) {
            return Err(not_found());
        }
        if readers == LogReaders::Nobody {
            return Err(ModelError::LogsOff);
        }
        let may_read = |uploaded_by: Option<&KeyId>| {
            let is_uploader = uploaded_by.is_some() && uploaded_by == caller.key_id();
            caller.has(Scope::Admin) || (readers == LogReaders::Uploader && is_uploader)
        };
        let catalog = inner.catalog.lock();
        let model = catalog.model(name).ok_or_else(not_found)?;
        let is_asked_for = |number: &ModelVersion| {
            let asked = query.version.as_ref();
            asked.is_none_or(|asked| asked == number)
        };
        let versions = model.versions.iter();
        let mut asked = versions
            .filter(|(number, _)| is_asked_for(number))
            .peekable();
        if asked.peek().is_none() {
            return Err(not_found());
        }
        let logs: Vec<_> = asked
            .filter(|(_, version)| may_read(version.record.uploaded_by.as_ref()))
            .map(|(number, version)| (number.clone(), version.log.clone()))
            .collect();
        if logs.is_empty() {
            return Err(ModelError::LogsDenied { readers });
        }
        Ok(Readable {
            order: Arc::clone(&model.order),
            logs,
        })
    }
}
