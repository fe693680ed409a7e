//! Anomalies: conduct of a caller that is unlike what it has been.
//!
//! Requests are counted by caller as they pass ([`Tally`]). Every five minutes each caller's
//! counts are judged against its own baseline ([`Profile`]), which is kept over restarts; a score
//! from the threshold on is reported, with what each input has added, and may slow the caller down
//! or ban it for a bounded time. Off unless it is turned on; then requests pay for nothing here.

mod config;
mod growth;
mod networks;
mod profile;
mod rows;
mod season;
mod share;
mod table;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use super::bans::Bans;
use crate::audit::{Actor, AuditLog, Event, EventKind};
use crate::clock::Clock;
use crate::db::Db;
use crate::ids::KeyId;
use crate::net::ClientAddress;
use crate::telemetry::metrics;
pub use config::{AnomalyAction, AnomalyConfig, AnomalyThreshold, InvalidAnomalyThreshold};
pub use networks::NetworkKey;
pub use profile::{Counts, Input, Judgement, Profile, Rule, Span, WINDOW};
use table::Table;
pub use table::{InvalidWatchedCaller, WatchedCaller};
pub use tally::Tally;
use tally::{Known, Reported};

/// Windows after which an anomaly that goes on is reported again: an hour.
const REPORTED_AGAIN: i64 = 12;

/// Windows in which all baselines are written once, a part of them after each.
const WRITTEN_IN: usize = 6;

/// The watch over all callers. Cheap to clone; does nothing while it is off.
#[derive(Clone)]
pub struct Anomalies(Arc<Inner>);

struct Inner {
    /// What holds, which may change.
    config: ArcSwap<AnomalyConfig>,
    clock: Clock,
    audit: AuditLog,
    bans: Bans,
    db: Db,
    table: Table,
    /// The number of the window that is under way. Held while the one before it is judged, so that
    /// who asks for a judgement waits for it.
    window: Arc<Mutex<i64>>,
    /// Held while baselines are written.
    writing: Mutex<usize>,
}

/// A caller that has to wait, because it was slowed down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowedDown {
    /// The time after which the next request passes.
    pub wait: Duration,
    /// Requests a minute that pass.
    pub per_minute: u32,
}

/// What is known of a caller, for the administrator.
#[derive(Clone, Debug)]
pub struct WatchedState {
    /// The caller.
    pub caller: WatchedCaller,
    /// Whether it has been watched for long enough to be judged.
    pub is_settled: bool,
    /// The judgement of its last window.
    pub last: Judgement,
    /// The last anomaly that was reported since the start, and when its window ended.
    pub reported: Option<(Judgement, Timestamp)>,
    /// The seconds for which it is still slowed down.
    pub slowed_s: Option<u64>,
}

impl Anomalies {
    /// Reads the baselines of the last run; nothing where the watch is off.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn open(
        config: AnomalyConfig,
        db: Db,
        clock: Clock,
        audit: AuditLog,
        bans: Bans,
    ) -> Result<Self, sqlx::Error> {
        let table = Table::new(config.callers_max);
        let inner = Inner {
            window: Arc::new(Mutex::new(window_of(clock.now()))),
            clock,
            audit,
            bans,
            db,
            table,
            writing: Mutex::new(0),
            config: ArcSwap::from_pointee(config),
        };
        if inner.is_on() {
            inner.restore().await?;
        }
        Ok(Self(Arc::new(inner)))
    }

    /// Whether anybody is watched.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_on()
    }

    /// Judges and acts by other settings from now on. Baselines stay; where the watch is turned on
    /// they are those of the last time that it was, and where it is turned off they are written and
    /// nobody is held up any more. The tables keep their sizes.
    pub async fn set_config(&self, config: AnomalyConfig) {
        let inner = &*self.0;
        let (was_on, is_on) = (inner.is_on(), config.action != AnomalyAction::Off);
        if is_on && !was_on {
            // A baseline that cannot be read is learnt again.
            if let Err(error) = inner.restore().await {
                tracing::error!("the baselines of callers cannot be read: {error}");
            }
            *inner.window.lock().await = window_of(inner.clock.now());
        }
        if was_on && !is_on {
            self.close().await;
        }
        inner.config.store(Arc::new(config));
        if was_on && !is_on {
            inner.table.clear();
        }
    }

    /// Counts a request of a caller that was let in, and gives what its further counts go to.
    /// None where the watch is off.
    ///
    /// # Errors
    ///
    /// When the caller was slowed down and is too fast.
    pub fn enter(
        &self,
        key: Option<&KeyId>,
        address: ClientAddress,
        is_administrator: bool,
    ) -> Result<Option<Arc<Tally>>, SlowedDown> {
        let inner = &*self.0;
        if !inner.is_on() {
            return Ok(None);
        }
        let caller = match key {
            Some(key) => WatchedCaller::Key(key.clone()),
            None => WatchedCaller::Address(address.network()),
        };
        let Some(tally) = inner.table.enter(caller) else {
            return Ok(None);
        };
        if is_administrator {
            tally.spare();
        }
        tally.note_request(address.ip());
        match tally.pace(inner.clock.elapsed()) {
            Ok(()) => Ok(Some(tally)),
            Err(wait) => Err(SlowedDown {
                wait,
                per_minute: inner.config.load().slow_rpm,
            }),
        }
    }

    /// Judges the window that is over, if one is, and writes a part of the baselines. To be
    /// called every second or so.
    pub async fn upkeep(&self) {
        let inner = &self.0;
        if !inner.is_on() {
            return;
        }
        let now = inner.clock.now();
        let mut window = Arc::clone(&inner.window).lock_owned().await;
        let over = std::mem::replace(&mut *window, window_of(now));
        if over == *window {
            return;
        }
        let judging = Arc::clone(inner);
        // Ten thousand callers take tens of milliseconds, which no request should wait for.
        let judged = tokio::task::spawn_blocking(move || judging.judge(over, *window)).await;
        if judged.is_ok() {
            inner.write_part(now).await;
        }
    }

    /// Writes all baselines, for a stop.
    pub async fn close(&self) {
        let inner = &*self.0;
        if !inner.is_on() {
            return;
        }
        let now = inner.clock.now();
        for _ in 0..WRITTEN_IN {
            inner.write_part(now).await;
        }
    }

    /// The callers with the highest scores now or since they were last reported, highest first.
    /// Judges first what is due.
    pub async fn list(&self, callers_max: usize) -> Vec<WatchedState> {
        self.upkeep().await;
        let inner = &*self.0;
        if !inner.is_on() {
            return Vec::new();
        }
        let mut states: Vec<_> = inner
            .table
            .all()
            .into_iter()
            .map(|(caller, tally)| inner.state(caller, &tally))
            .collect();
        let weight = |state: &WatchedState| {
            let reported = state.reported.map_or(0.0, |(judged, _)| judged.score);
            state.last.score.max(reported)
        };
        states.sort_by(|one, other| {
            let by_score = weight(other).total_cmp(&weight(one));
            by_score.then_with(|| one.caller.cmp(&other.caller))
        });
        states.truncate(callers_max);
        states
    }

    /// Forgets what is usual for a caller, and lets it go on at its own pace: it is watched from
    /// the beginning. Whether it was known. On disk when it returns.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn forget(&self, caller: &WatchedCaller) -> Result<bool, sqlx::Error> {
        let inner = &*self.0;
        if !inner.is_on() {
            return Ok(false);
        }
        let _turn = inner.writing.lock().await;
        if let Some(tally) = inner.table.find(caller) {
            tally.let_go();
        }
        let was_known = inner.table.forget(caller);
        rows::delete(&inner.db, caller).await?;
        Ok(was_known)
    }
}

impl Inner {
    fn is_on(&self) -> bool {
        self.config.load().action != AnomalyAction::Off
    }

    /// Takes up the baselines of the last time.
    async fn restore(&self) -> Result<(), sqlx::Error> {
        let rows_max = rows_max(&self.config.load());
        for (caller, profile) in rows::load(&self.db, rows_max).await? {
            self.table.restore(caller, profile);
        }
        Ok(())
    }

    /// Judges every caller by the window that is over; `current` is the one under way.
    fn judge(&self, over: i64, current: i64) {
        // After a pause of the machine or a change of its time of day nobody knows how long the
        // window was: it is judged by nobody.
        let is_whole = current == over + 1;
        let start_s = over.saturating_mul(window_s());
        let config = self.config.load_full();
        let rule = config.rule();
        let (mut settled, mut warming_up, mut highest, mut slowed) = (0_u32, 0_u32, 0.0_f32, 0_u32);
        for (caller, tally) in self.table.all() {
            let (counts, networks) = tally.take();
            if is_whole {
                let mut known = tally.known.lock();
                let judged = known.profile.observe(start_s, counts, &networks, &rule);
                known.last = judged;
                if judged.is_anomaly && known.is_due(over) {
                    known.reported = Some(Reported {
                        window: over,
                        judgement: judged,
                    });
                    drop(known);
                    self.act(&caller, &tally, &judged, &config);
                }
                highest = highest.max(judged.score);
            }
            match tally.known.lock().profile.is_settled(&rule) {
                true => settled += 1,
                false => warming_up += 1,
            }
            slowed += u32::from(tally.slowed_until(self.clock.elapsed()).is_some());
        }
        for (state, callers) in [("settled", settled), ("warming_up", warming_up)] {
            metrics::ANOMALY_CALLERS
                .with([("state", state.into())])
                .set(f64::from(callers));
        }
        metrics::ANOMALY_SCORE_MAX.handle().set(f64::from(highest));
        metrics::ANOMALY_SLOWED.handle().set(f64::from(slowed));
    }

    /// Reports an anomaly and does what is set to be done.
    fn act(
        &self,
        caller: &WatchedCaller,
        tally: &Tally,
        judged: &Judgement,
        config: &AnomalyConfig,
    ) {
        let action = match config.action {
            _ if tally.is_spared() => AnomalyAction::Report,
            action => action,
        };
        let (key_id, address) = match caller {
            WatchedCaller::Key(id) => (Some(id.clone()), None),
            WatchedCaller::Address(ip) => (None, Some(*ip)),
        };
        let first = judged.inputs().into_iter().next();
        let input = first.map_or("", |(input, _)| input.name());
        metrics::ANOMALIES
            .with([("input", input.into()), ("action", action.name().into())])
            .increment(1);
        let about = [
            ("caller", json!(caller.to_string())),
            ("score", rounded(judged.score)),
            ("threshold", rounded(config.rule().threshold)),
            ("window", json!(judged.span.name())),
            ("inputs", points(judged)),
            ("counts", counts(&judged.counts)),
            ("action", json!(action.name())),
        ];
        let actor = Actor {
            key_id: key_id.clone(),
            address,
            request_id: None,
            ..Actor::default()
        };
        let event = Event::new(EventKind::Anomaly, actor.clone(), &about);
        self.audit.record(&event);
        match action {
            AnomalyAction::Off | AnomalyAction::Report => {}
            AnomalyAction::Slow => {
                let until = self.clock.elapsed().saturating_add(config.slow_time);
                tally.slow(until, config.slow_rpm);
            }
            AnomalyAction::Ban => {
                self.bans
                    .impose_for_anomaly(address, key_id, config.ban_time, actor);
            }
        }
    }

    fn state(&self, caller: WatchedCaller, tally: &Tally) -> WatchedState {
        let now = self.clock.elapsed();
        let known = tally.known.lock();
        let ended = |window: i64| {
            let end = (window + 1).saturating_mul(window_s());
            Timestamp::from_second(end).unwrap_or(Timestamp::MAX)
        };
        WatchedState {
            caller,
            is_settled: known.profile.is_settled(&self.config.load().rule()),
            last: known.last,
            reported: known
                .reported
                .map(|reported| (reported.judgement, ended(reported.window))),
            slowed_s: tally
                .slowed_until(now)
                .map(|until| until.saturating_sub(now).as_secs().max(1)),
        }
    }

    /// Writes the next part of the baselines.
    async fn write_part(&self, now: Timestamp) {
        let mut part = self.writing.lock().await;
        let baselines: Vec<_> = self
            .table
            .all()
            .into_iter()
            .skip(*part)
            .step_by(WRITTEN_IN)
            .map(|(caller, tally)| (caller, tally.known.lock().profile.clone()))
            .collect();
        *part = (*part + 1) % WRITTEN_IN;
        let written = rows::save(&self.db, &baselines, now).await;
        let written = match written {
            Ok(()) if *part == 0 => {
                let rows_max = rows_max(&self.config.load());
                rows::shorten(&self.db, rows_max).await
            }
            other => other,
        };
        if let Err(error) = written {
            tracing::error!("baselines of callers cannot be written: {error}");
        }
    }
}

impl Known {
    /// Whether an anomaly in that window is reported: the first, and one that goes on each hour.
    fn is_due(&self, window: i64) -> bool {
        let last = self.reported.map(|reported| reported.window);
        last.is_none_or(|last| window.saturating_sub(last) >= REPORTED_AGAIN)
    }
}

/// Rows for as many keys and as many addresses.
fn rows_max(config: &AnomalyConfig) -> usize {
    config.callers_max.saturating_mul(2)
}

fn window_s() -> i64 {
    i64::try_from(WINDOW.as_secs()).unwrap_or(i64::MAX)
}

fn window_of(now: Timestamp) -> i64 {
    now.as_second().div_euclid(window_s())
}

/// To the hundredth: what lies behind it is noise.
fn rounded(number: f32) -> Value {
    json!((f64::from(number) * 100.0).round() / 100.0)
}

/// What each input has added, by its name; those that have added nothing are left out.
pub(crate) fn points(judged: &Judgement) -> Value {
    let added = judged.inputs().into_iter();
    let named = added
        .filter(|(_, points)| points.abs() >= 0.005)
        .map(|(input, points)| (input.name().to_owned(), rounded(points)));
    Value::Object(named.collect::<Map<_, _>>())
}

/// The counts of a window, by the names of the inputs.
pub(crate) fn counts(counts: &Counts) -> Value {
    json!({
        "requests": counts.requests,
        "tokens": counts.tokens,
        "errors": counts.errors,
        "refused_fuel": counts.refused_fuel,
        "new_networks": counts.new_networks,
    })
}

#[cfg(test)]
mod tests;
