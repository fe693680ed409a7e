//! The bans in force: asked on the path of each request, made when violations add up, durable
//! before anybody is refused by them.
//!
//! A ban holds from the response that shows the last violation on. That response does not wait
//! for the disk; each refusal does, so no caller has seen a ban that a crash could take back.
//! New bans are written in batches by a task of their own. Lifting and exempting wait for the
//! disk before they are acknowledged.

mod exemptions;
mod in_force;
mod reason;
mod rows;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, RwLock};
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Abuse, AbuseConfig, Violation};
use crate::audit::{Actor, AuditLog, Event, EventKind};
use crate::clock::Clock;
use crate::db::{Db, is_out_of_space};
use crate::ids::KeyId;
use crate::net::{ClientAddress, Network};
use crate::telemetry::metrics;
use in_force::InForce;
pub use reason::BanReason;

/// Bans in force at once. At most about 300 bytes each. Beyond it, those that end first go.
const BANS_MAX: usize = 100_000;

/// The longest time that a refusal waits for its ban to be on disk, where the disk does not
/// answer. Then it is given all the same: letting the caller in would be worse than a ban that a
/// crash undoes.
const WRITE_PATIENCE: Duration = Duration::from_secs(2);

/// The time before a write that failed is tried again.
const WRITE_PAUSE: Duration = Duration::from_secs(1);

/// The subject of a ban: an address, one key at an address, or one key everywhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// The address, or the first one of its IPv6 network; [`EVERYWHERE`] for a key wherever it is
    /// used.
    pub address: IpAddr,
    /// The key that alone is banned there.
    pub key_id: Option<KeyId>,
}

/// Stands for every address, as no caller comes from it.
pub const EVERYWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// A ban.
#[derive(Debug)]
pub struct Ban {
    /// The banned address or key.
    pub subject: Subject,
    /// What it is for.
    pub reason: BanReason,
    /// Violations of all kinds within the window when it was made; 0 where it is for none.
    pub violations: u32,
    /// The time at which the ban was made.
    pub started: Timestamp,
    /// The time at which the ban ends, as it was when the ban was made.
    pub until: Timestamp,
    /// When it ends by the clock that never goes back: setting the time of day makes no ban
    /// longer or shorter.
    ends: Duration,
    /// Whether it is on disk.
    written: AtomicBool,
}

/// A network that is never banned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exemption {
    /// The network.
    pub network: Network,
    /// Why, in the words of who made it.
    pub note: String,
    /// The time at which the exemption was made.
    pub created: Timestamp,
    /// The key that made it.
    pub created_by: Option<KeyId>,
}

/// The reason why a change was not made, or bans could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BanError {
    /// Nobody at that address is banned.
    #[error("no ban is in force for {address}")]
    NotBanned {
        /// The address that was asked for.
        address: IpAddr,
    },
    /// The key is not banned.
    #[error("no ban is in force for the key {key_id}")]
    KeyNotBanned {
        /// The key that was asked for.
        key_id: KeyId,
    },
    /// The network is not exempt.
    #[error("{network} is not exempt by an administrator")]
    NotExempt {
        /// The network that was asked for.
        network: Network,
    },
    /// The server keeps no more exemptions.
    #[error(
        "there are {} exemptions already; that is the most this server keeps",
        exemptions::EXEMPTIONS_MAX
    )]
    TooMany,
    /// The note is too long or has control characters.
    #[error(
        "a note has at most {} characters and no control characters",
        exemptions::NOTE_CHARACTERS_MAX
    )]
    Note,
    /// The host: the database failed.
    #[error("the database of bans failed: {0}")]
    Db(#[from] sqlx::Error),
    /// The host: what is stored cannot be read.
    #[error("a stored ban or exemption cannot be read: {0}")]
    Damaged(String),
}

impl BanError {
    /// Whether the host had no room to write.
    #[must_use]
    pub fn is_out_of_space(&self) -> bool {
        is_out_of_space(self)
    }
}

/// All bans and what leads to them. Cheap to clone.
#[derive(Clone)]
pub struct Bans(Arc<Inner>);

struct Inner {
    config: ArcSwap<AbuseConfig>,
    ipv6_prefix: u8,
    clock: Clock,
    audit: AuditLog,
    db: Db,
    /// Whether there is any ban: all that most requests ever read.
    any: AtomicBool,
    in_force: RwLock<InForce>,
    abuse: Mutex<Abuse<Subject>>,
    exemptions: ArcSwap<BTreeMap<Network, Exemption>>,
    /// Bans that are not on disk yet.
    unwritten: Mutex<Vec<Arc<Ban>>>,
    has_unwritten: Notify,
    was_written: Notify,
    /// Held by the change of the stored bans that is under way: there is one at a time.
    change: tokio::sync::Mutex<()>,
    cleaned_at: Mutex<Duration>,
}

impl Bans {
    /// Reads what is stored.
    ///
    /// # Errors
    ///
    /// When the database fails or holds what cannot be understood.
    pub async fn open(
        db: Db,
        clock: Clock,
        audit: AuditLog,
        config: AbuseConfig,
        ipv6_prefix: u8,
    ) -> Result<Self, BanError> {
        let mut in_force = InForce::new(BANS_MAX);
        for ban in rows::load_bans(&db, &clock, ipv6_prefix).await? {
            in_force.insert(Arc::new(ban));
        }
        let exemptions = rows::load_exemptions(&db).await?;
        Ok(Self(Arc::new(Inner {
            abuse: Mutex::new(Abuse::new(config.clone())),
            config: ArcSwap::from_pointee(config),
            ipv6_prefix,
            any: AtomicBool::new(!in_force.is_empty()),
            in_force: RwLock::new(in_force),
            exemptions: ArcSwap::from_pointee(exemptions),
            unwritten: Mutex::default(),
            has_unwritten: Notify::new(),
            was_written: Notify::new(),
            change: tokio::sync::Mutex::new(()),
            cleaned_at: Mutex::new(clock.elapsed()),
            clock,
            audit,
            db,
        })))
    }

    /// The settings by which violations become bans.
    #[must_use]
    pub fn config(&self) -> Arc<AbuseConfig> {
        self.0.config.load_full()
    }

    /// Judges by other settings from now on; the size of the table stays. Bans in force end when
    /// they were to end.
    pub fn set_config(&self, config: AbuseConfig) {
        self.0.abuse.lock().set_config(config.clone());
        self.0.config.store(Arc::new(config));
    }

    /// The ban that holds for a caller at an address, or for that key there.
    #[must_use]
    pub fn in_force(&self, address: ClientAddress, key_id: Option<&KeyId>) -> Option<Arc<Ban>> {
        let inner = &*self.0;
        if !inner.any.load(Ordering::Acquire) || !inner.config.load().enabled {
            return None;
        }
        let now = inner.clock.elapsed();
        let ban = {
            let in_force = inner.in_force.read();
            let of = |address| {
                let key_id = key_id.cloned();
                let ban = in_force.get(&Subject { address, key_id });
                ban.filter(|ban| ban.ends > now)
            };
            of(address.network()).or_else(|| key_id.and_then(|_| of(EVERYWHERE)))?
        };
        (!self.is_exempt(address.ip())).then_some(ban)
    }

    /// Seconds until a ban ends, at least one.
    #[must_use]
    pub fn seconds_left(&self, ban: &Ban) -> u64 {
        let left = ban.ends.saturating_sub(self.0.clock.elapsed()).as_millis();
        u64::try_from(left.div_ceil(1000))
            .unwrap_or(u64::MAX)
            .max(1)
    }

    /// Waits until a ban is on disk. Whoever tells a caller about a ban waits for this first.
    pub async fn written(&self, ban: &Ban) {
        let wait = async {
            loop {
                let written = self.0.was_written.notified();
                if ban.is_written() {
                    return;
                }
                written.await;
            }
        };
        let _ = tokio::time::timeout(WRITE_PATIENCE, wait).await;
    }

    /// Whether violations from that address do not count.
    #[must_use]
    pub fn is_exempt(&self, ip: IpAddr) -> bool {
        self.0.config.load().exempt.contains(ip)
            || self
                .0
                .exemptions
                .load()
                .keys()
                .any(|network| network.contains(ip))
    }

    /// Counts a violation, of that key where there is a verified one, and bans where it was one
    /// too many. `actor` is asked only then.
    pub fn note(
        &self,
        address: ClientAddress,
        key_id: Option<&KeyId>,
        violation: Violation,
        actor: impl FnOnce() -> Actor,
    ) {
        let inner = &*self.0;
        metrics::VIOLATIONS
            .with([("kind", violation.name().into())])
            .increment(1);
        let config = inner.config.load();
        if !config.enabled || self.is_exempt(address.ip()) {
            return;
        }
        let subject = Subject {
            address: address.network(),
            key_id: key_id.filter(|_| config.count_by_key).cloned(),
        };
        let now = inner.clock.elapsed();
        let verdict = inner.abuse.lock().note(subject.clone(), violation, now);
        if let Some(verdict) = verdict {
            let reason = BanReason::Violations(verdict.reason);
            let length = (verdict.violations, verdict.duration);
            self.impose(subject, reason, length, actor());
        }
    }

    /// Bans a key wherever it is used, or an address, because its conduct is unlike what it has
    /// been. An exempt address is not banned, and a banned key may be used from one.
    pub fn impose_for_anomaly(
        &self,
        address: Option<IpAddr>,
        key_id: Option<KeyId>,
        duration: Duration,
        actor: Actor,
    ) {
        if !self.0.config.load().enabled || address.is_some_and(|ip| self.is_exempt(ip)) {
            return;
        }
        let subject = Subject {
            address: address.unwrap_or(EVERYWHERE),
            key_id,
        };
        self.impose(subject, BanReason::Anomaly, (0, duration), actor);
    }

    fn impose(
        &self,
        subject: Subject,
        reason: BanReason,
        (violations, duration): (u32, Duration),
        actor: Actor,
    ) {
        let inner = &*self.0;
        let started = inner.clock.now();
        let length = SignedDuration::try_from(duration).unwrap_or_default();
        let ban = Arc::new(Ban {
            subject,
            reason,
            violations,
            started,
            until: started.saturating_add(length).unwrap_or(Timestamp::MAX),
            ends: inner.clock.elapsed().saturating_add(duration),
            written: AtomicBool::new(false),
        });
        if !inner.in_force.write().insert(Arc::clone(&ban)) {
            // One that ends later is in force: requests that were under way when it began.
            return;
        }
        inner.any.store(true, Ordering::Release);
        inner.unwritten.lock().push(Arc::clone(&ban));
        inner.has_unwritten.notify_one();
        metrics::BANS
            .with([("reason", ban.reason.name().into())])
            .increment(1);
        let about = [
            ("network", json!(self.place(&ban.subject))),
            ("key_id", json!(ban.subject.key_id)),
            ("reason", json!(ban.reason.name())),
            ("violations", json!(ban.violations)),
            ("until", json!(ban.until)),
        ];
        inner
            .audit
            .record(&Event::new(EventKind::Ban, actor, &about));
    }

    /// The network that a ban holds for, in words.
    #[must_use]
    pub fn place(&self, subject: &Subject) -> String {
        if subject.address == EVERYWHERE {
            return "everywhere".to_owned();
        }
        Network::counted(subject.address, self.0.ipv6_prefix).to_string()
    }

    /// All bans in force, those that end first first.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Ban>> {
        let now = self.0.clock.elapsed();
        let in_force = self.0.in_force.read();
        in_force.iter().filter(|ban| ban.ends > now).collect()
    }

    /// Bans in force, and addresses whose violations are remembered.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        (self.0.in_force.read().len(), self.0.abuse.lock().len())
    }

    /// Ends the bans of an address and of the keys there, and forgets what led to them. On disk
    /// when it returns.
    ///
    /// # Errors
    ///
    /// When there is none, or the database fails.
    pub async fn lift(&self, ip: IpAddr, actor: Actor) -> Result<Vec<Arc<Ban>>, BanError> {
        let address = ClientAddress::new(ip, self.0.ipv6_prefix).network();
        let here = |subject: &Subject| subject.address == address;
        let none = || BanError::NotBanned { address: ip };
        self.lift_all(here, none, actor).await
    }

    /// Ends the bans of a key, wherever they hold, and forgets what led to them. On disk when it
    /// returns.
    ///
    /// # Errors
    ///
    /// When there is none, or the database fails.
    pub async fn lift_key(&self, id: &KeyId, actor: Actor) -> Result<Vec<Arc<Ban>>, BanError> {
        let of_key = |subject: &Subject| subject.key_id.as_ref() == Some(id);
        let key_id = id.clone();
        let none = || BanError::KeyNotBanned { key_id };
        self.lift_all(of_key, none, actor).await
    }

    async fn lift_all(
        &self,
        matches: impl Fn(&Subject) -> bool,
        none: impl FnOnce() -> BanError,
        actor: Actor,
    ) -> Result<Vec<Arc<Ban>>, BanError> {
        let inner = &*self.0;
        let _turn = inner.change.lock().await;
        let now = inner.clock.elapsed();
        let found: Vec<Arc<Ban>> = {
            let in_force = inner.in_force.read();
            let is_meant = |ban: &Arc<Ban>| matches(&ban.subject) && ban.ends > now;
            in_force.iter().filter(is_meant).collect()
        };
        if found.is_empty() {
            return Err(none());
        }
        rows::delete_bans(&inner.db, found.iter().map(|ban| &ban.subject)).await?;
        self.forget(&found);
        for ban in &found {
            inner.audit.record(&self.lifted(ban, actor.clone()));
        }
        Ok(found)
    }

    fn lifted(&self, ban: &Ban, actor: Actor) -> Event {
        let about = [
            ("network", json!(self.place(&ban.subject))),
            ("key_id", json!(ban.subject.key_id)),
            ("reason", json!(ban.reason.name())),
            ("until", json!(ban.until)),
        ];
        Event::new(EventKind::BanLifted, actor, &about)
    }

    /// Takes bans out of memory, with what led to them.
    fn forget(&self, bans: &[Arc<Ban>]) {
        {
            let mut in_force = self.0.in_force.write();
            bans.iter().for_each(|ban| in_force.remove(ban));
            self.0.any.store(!in_force.is_empty(), Ordering::Release);
        }
        let mut abuse = self.0.abuse.lock();
        bans.iter().for_each(|ban| abuse.forgive(&ban.subject));
    }

    /// Drops the bans that are over from memory, and from time to time from the disk.
    pub async fn upkeep(&self) {
        let inner = &*self.0;
        let elapsed = inner.clock.elapsed();
        {
            let mut in_force = inner.in_force.write();
            in_force.remove_ended(elapsed);
            inner.any.store(!in_force.is_empty(), Ordering::Release);
        }
        {
            let mut cleaned_at = inner.cleaned_at.lock();
            if elapsed.saturating_sub(*cleaned_at) < inner.config.load().cleanup_interval {
                return;
            }
            *cleaned_at = elapsed;
        }
        inner.abuse.lock().clean(elapsed);
        if let Err(error) = rows::delete_ended(&inner.db, inner.clock.now()).await {
            tracing::error!("bans that are over cannot be removed from the database: {error}");
        }
    }

    /// Writes new bans until `stop`, and what is left then.
    pub async fn write_until(&self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = self.0.has_unwritten.notified() => {}
                () = stop.cancelled() => return self.write().await,
            }
            self.write().await;
        }
    }

    async fn write(&self) {
        let inner = &*self.0;
        let _turn = inner.change.lock().await;
        let batch = std::mem::take(&mut *inner.unwritten.lock());
        // One that was lifted or replaced since must not come back.
        let current: Vec<&Arc<Ban>> = {
            let in_force = inner.in_force.read();
            let is_current = |ban: &&Arc<Ban>| {
                in_force
                    .get(&ban.subject)
                    .is_some_and(|found| Arc::ptr_eq(&found, ban))
            };
            batch.iter().filter(is_current).collect()
        };
        if let Err(error) = rows::save_bans(&inner.db, &current).await {
            tracing::error!("bans cannot be written: {error}");
            metrics::BAN_WRITE_FAILURES.handle().increment(1);
            inner.unwritten.lock().extend(batch);
            let bans = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(WRITE_PAUSE).await;
                bans.0.has_unwritten.notify_one();
            });
            return;
        }
        for ban in &batch {
            ban.written.store(true, Ordering::Release);
        }
        inner.was_written.notify_waiters();
    }
}

impl Ban {
    /// Seconds until it ends, at least one.
    #[must_use]
    pub fn seconds_left(&self, clock: &Clock) -> u64 {
        let left = self.ends.saturating_sub(clock.elapsed()).as_millis();
        u64::try_from(left.div_ceil(1000))
            .unwrap_or(u64::MAX)
            .max(1)
    }

    /// Whether it is on disk.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.written.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests;
