//! Worlds: what one test has to itself, so that tests that run at once do not meet. Made at first
//! use, gone when nobody has used them for a while, and bounded in number.

use crate::fault::{Fault, FaultRule};
use crate::journal::{Journal, JournalLimits};
use crate::latency::Latency;
use crate::matching::Facts;
use crate::rules::{RULES_MAX, Rules};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bytes of a world's name.
pub const NAME_BYTES_MAX: usize = 64;

/// Rules of faults in one world.
pub const FAULTS_MAX: usize = 100;

/// The name of a world.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorldName(Arc<str>);

/// A text that is no name of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a world has 1 to {NAME_BYTES_MAX} letters, digits, `-`, `_`, `.` or `:`")]
pub struct InvalidWorldName;

impl WorldName {
    /// The world of requests that name none.
    #[must_use]
    pub fn shared() -> Self {
        Self("default".into())
    }

    /// The name as a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for WorldName {
    type Err = InvalidWorldName;

    fn from_str(text: &str) -> Result<Self, InvalidWorldName> {
        let is_of_names = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        let is_name = (1..=NAME_BYTES_MAX).contains(&text.len()) && text.chars().all(is_of_names);
        is_name.then(|| Self(text.into())).ok_or(InvalidWorldName)
    }
}

impl fmt::Display for WorldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How time passes for a test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WorldClock {
    /// As it does.
    #[default]
    Real,
    /// Answers come at once, and say when they would have come.
    Virtual,
}

/// A text that is no clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected `real` or `virtual`")]
pub struct InvalidClock;

impl FromStr for WorldClock {
    type Err = InvalidClock;

    fn from_str(text: &str) -> Result<Self, InvalidClock> {
        match text {
            "real" => Ok(Self::Real),
            "virtual" => Ok(Self::Virtual),
            _ => Err(InvalidClock),
        }
    }
}

impl fmt::Display for WorldClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl WorldClock {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Virtual => "virtual",
        }
    }
}

/// How long texts take, as a tester has asked: none is the pace of their model.
pub type AskedLatency = Option<Arc<Latency>>;

/// What every world begins with.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// Its faults.
    pub faults: Vec<FaultRule>,
    /// How much its journal holds.
    pub journal: JournalLimits,
    /// How time passes.
    pub clock: WorldClock,
}

/// How many worlds there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorldLimits {
    /// Worlds at once, the one of requests that name none not counted.
    pub worlds_max: usize,
    /// How long one is kept that nobody uses.
    pub idle: Duration,
}

/// There is room for no more worlds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {0} worlds, which is the most that there may be")]
pub struct TooManyWorlds(pub usize);

/// There is room for no more rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {FAULTS_MAX} faults in this world, which is the most that there may be")]
pub struct TooManyFaults;

/// A rule of faults, and its number in its world.
#[derive(Clone, Debug)]
pub struct NumberedFault {
    /// The number, from 1.
    pub number: u64,
    /// The rule.
    pub rule: FaultRule,
}

/// What one test has to itself.
#[derive(Debug)]
pub struct World {
    name: WorldName,
    beginning: Arc<Beginning>,
    /// Requests that have come.
    requests: AtomicU64,
    /// When it was last used, in milliseconds of its server's time.
    used_ms: AtomicU64,
    state: Mutex<State>,
    journal: Mutex<Journal>,
}

/// Worlds that have begun, those that have begun anew with them, in this process.
static BEGUN: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
struct State {
    /// Which of all that have begun it is.
    begun: u64,
    seed: u64,
    clock: WorldClock,
    /// How long texts take; nothing where the world does not say.
    latency: Option<AskedLatency>,
    faults: Vec<NumberedFault>,
    /// Rules that there have been.
    numbered: u64,
    /// What answers, where it is not what answers everywhere.
    rules: Option<Arc<Rules>>,
    /// How many requests each rule of answers has matched.
    matched: HashMap<String, u64>,
}

impl State {
    fn new(name: &WorldName, beginning: &Beginning) -> Self {
        let faults = (1..).zip(beginning.faults.iter().cloned());
        Self {
            begun: BEGUN.fetch_add(1, Ordering::Relaxed),
            seed: seed_of(name),
            clock: beginning.clock,
            latency: None,
            faults: faults
                .map(|(number, rule)| NumberedFault { number, rule })
                .collect(),
            numbered: u64::try_from(beginning.faults.len()).unwrap_or(u64::MAX),
            rules: None,
            matched: HashMap::new(),
        }
    }
}

/// The seed of a world that is given none: the FNV-1a hash of its name, which is the same on every
/// machine.
fn seed_of(name: &WorldName) -> u64 {
    let bytes = name.as_str().bytes();
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl World {
    fn new(name: WorldName, beginning: Arc<Beginning>, now_ms: u64) -> Self {
        Self {
            state: Mutex::new(State::new(&name, &beginning)),
            journal: Mutex::new(Journal::new(beginning.journal)),
            requests: AtomicU64::new(0),
            used_ms: AtomicU64::new(now_ms),
            beginning,
            name,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &WorldName {
        &self.name
    }

    /// Which of all worlds it is that have begun in this process: another one when it has begun
    /// anew, and when one of its name is made again.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.state.lock().begun
    }

    /// Its seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.state.lock().seed
    }

    /// Begins its chance anew, from this seed.
    pub fn set_seed(&self, seed: u64) {
        self.state.lock().seed = seed;
        self.requests.store(0, Ordering::Relaxed);
    }

    /// How time passes in it.
    #[must_use]
    pub fn clock(&self) -> WorldClock {
        self.state.lock().clock
    }

    /// Has time pass in another way.
    pub fn set_clock(&self, clock: WorldClock) {
        self.state.lock().clock = clock;
    }

    /// How long texts take in it; nothing where it does not say.
    #[must_use]
    pub fn latency(&self) -> Option<AskedLatency> {
        self.state.lock().latency.clone()
    }

    /// Has texts take so long, or as long as the server's settings say.
    pub fn set_latency(&self, latency: Option<AskedLatency>) {
        self.state.lock().latency = latency;
    }

    /// The number of a request that has come, from 0.
    pub fn note_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    /// Requests that have come.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// How much of bodies its journal keeps; none where it keeps nothing.
    #[must_use]
    pub fn journal_limits(&self) -> Option<JournalLimits> {
        let limits = self.beginning.journal;
        (limits.entries_max > 0).then_some(limits)
    }

    /// Its journal.
    pub fn journal<T>(&self, work: impl FnOnce(&mut Journal) -> T) -> T {
        work(&mut self.journal.lock())
    }

    /// Whether anything is done to requests that ask for nothing themselves.
    #[must_use]
    pub fn has_something(&self) -> bool {
        let state = self.state.lock();
        let is_virtual = state.clock == WorldClock::Virtual;
        let says_how_long = state.latency.is_some();
        !state.faults.is_empty()
            || is_virtual
            || says_how_long
            || self.beginning.journal.entries_max > 0
    }

    /// Whether it has rules of faults, to which what a request is like matters.
    #[must_use]
    pub fn has_faults(&self) -> bool {
        !self.state.lock().faults.is_empty()
    }

    /// Whether what is in the body matters for that.
    #[must_use]
    pub fn asks_for_body(&self) -> bool {
        self.state.lock().faults.iter().any(|fault| {
            let pattern = &fault.rule.pattern;
            pattern.content().is_some() || pattern.asks_for_model()
        })
    }

    /// The fault of a request: that of the first rule that has one for it.
    #[must_use]
    pub fn fault(&self, facts: &Facts<'_>) -> Option<Fault> {
        let mut state = self.state.lock();
        state
            .faults
            .iter_mut()
            .find_map(|fault| fault.rule.of(facts))
    }

    /// The rules of its faults.
    #[must_use]
    pub fn faults(&self) -> Vec<NumberedFault> {
        self.state.lock().faults.clone()
    }

    /// Adds a rule, whose number it gives. Rules that are used up make room.
    ///
    /// # Errors
    ///
    /// When there are too many.
    pub fn add_fault(&self, rule: FaultRule) -> Result<u64, TooManyFaults> {
        let mut state = self.state.lock();
        if state.faults.len() >= FAULTS_MAX {
            state.faults.retain(|fault| !fault.rule.is_used_up());
        }
        if state.faults.len() >= FAULTS_MAX {
            return Err(TooManyFaults);
        }
        state.numbered += 1;
        let number = state.numbered;
        state.faults.push(NumberedFault { number, rule });
        Ok(number)
    }

    /// Takes a rule away; says whether there was one.
    pub fn remove_fault(&self, number: u64) -> bool {
        let mut state = self.state.lock();
        let before = state.faults.len();
        state.faults.retain(|fault| fault.number != number);
        state.faults.len() < before
    }

    /// Takes all rules away.
    pub fn clear_faults(&self) {
        self.state.lock().faults.clear();
    }

    /// The rules of answers that are its own; none where those of the server answer.
    #[must_use]
    pub fn rules(&self) -> Option<Arc<Rules>> {
        self.state.lock().rules.clone()
    }

    /// Gives it rules of answers of its own, or takes them away. What was counted begins anew.
    pub fn set_rules(&self, rules: Option<Arc<Rules>>) {
        let mut state = self.state.lock();
        state.rules = rules;
        state.matched.clear();
    }

    /// Counts a request that a rule of answers matches, and says how many there were before it.
    pub fn note_match(&self, rule: &str) -> u64 {
        let mut state = self.state.lock();
        if let Some(count) = state.matched.get_mut(rule) {
            *count += 1;
            return *count - 1;
        }
        // Rules of the server's file can change under a world, and leave names behind.
        if state.matched.len() >= 2 * RULES_MAX {
            state.matched.clear();
        }
        state.matched.insert(rule.to_owned(), 1);
        0
    }

    /// Whether nobody has used a world for so long, and no request is in it now.
    fn is_idle(self: &Arc<Self>, now_ms: u64, idle: Duration) -> bool {
        let unused = now_ms.saturating_sub(self.used_ms.load(Ordering::Relaxed));
        u128::from(unused) >= idle.as_millis() && Arc::strong_count(self) == 1
    }
}

/// All worlds of a server.
#[derive(Debug)]
pub struct Worlds {
    limits: WorldLimits,
    beginning: Arc<Beginning>,
    shared: Arc<World>,
    named: Mutex<HashMap<WorldName, Arc<World>>>,
}

impl Worlds {
    /// No worlds but the one of requests that name none.
    #[must_use]
    pub fn new(limits: WorldLimits, beginning: Beginning) -> Self {
        let beginning = Arc::new(beginning);
        Self {
            limits,
            shared: Arc::new(World::new(WorldName::shared(), Arc::clone(&beginning), 0)),
            beginning,
            named: Mutex::default(),
        }
    }

    /// The world of requests that name none.
    #[must_use]
    pub fn shared(&self) -> &Arc<World> {
        &self.shared
    }

    /// The world of this name, made where there is none. `now_ms` is the server's time.
    ///
    /// # Errors
    ///
    /// When there are too many, none of which is idle.
    pub fn enter(&self, name: &WorldName, now_ms: u64) -> Result<Arc<World>, TooManyWorlds> {
        if *name == *self.shared.name() {
            return Ok(Arc::clone(&self.shared));
        }
        let mut named = self.named.lock();
        if let Some(world) = named.get(name) {
            world.used_ms.store(now_ms, Ordering::Relaxed);
            return Ok(Arc::clone(world));
        }
        if named.len() >= self.limits.worlds_max {
            named.retain(|_, world| !world.is_idle(now_ms, self.limits.idle));
        }
        if named.len() >= self.limits.worlds_max {
            return Err(TooManyWorlds(self.limits.worlds_max));
        }
        let world = World::new(name.clone(), Arc::clone(&self.beginning), now_ms);
        let world = Arc::new(world);
        named.insert(name.clone(), Arc::clone(&world));
        Ok(world)
    }

    /// The world of this name, where there is one.
    #[must_use]
    pub fn find(&self, name: &WorldName) -> Option<Arc<World>> {
        if *name == *self.shared.name() {
            return Some(Arc::clone(&self.shared));
        }
        self.named.lock().get(name).map(Arc::clone)
    }

    /// Frees a world; says whether there was one. The one of requests that name none begins anew.
    pub fn remove(&self, name: &WorldName) -> bool {
        if *name == *self.shared.name() {
            *self.shared.state.lock() = State::new(name, &self.beginning);
            self.shared.requests.store(0, Ordering::Relaxed);
            self.shared.journal(Journal::clear);
            return true;
        }
        self.named.lock().remove(name).is_some()
    }

    /// Frees what nobody has used for a while.
    pub fn expire(&self, now_ms: u64) {
        let mut named = self.named.lock();
        named.retain(|_, world| !world.is_idle(now_ms, self.limits.idle));
    }

    /// How many there are, besides the one of requests that name none.
    #[must_use]
    pub fn count(&self) -> usize {
        self.named.lock().len()
    }

    /// All of them by name, the one of requests that name none first.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<World>> {
        let mut named: Vec<_> = self.named.lock().values().map(Arc::clone).collect();
        named.sort_by(|one, other| one.name.cmp(&other.name));
        std::iter::once(Arc::clone(&self.shared))
            .chain(named)
            .collect()
    }
}

#[cfg(test)]
mod tests;
