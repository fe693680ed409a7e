//! What testers control, as the running server has it: the worlds of their tests, and what a
//! request asks for besides its answer.
//!
//! What there is to ask for, and what it means, is in `belljar-testing`; the layer `tested` does it.

mod latency;
mod line;
mod page;
mod rule_file;
mod ruled;

use arc_swap::ArcSwapOption;
use belljar_testing::journal::JournalLimits;
use belljar_testing::rules::{Rules, RulesError, Surroundings, no_data_sets};
use belljar_testing::world::{
    AskedLatency, Beginning, TooManyWorlds, World, WorldClock, WorldLimits, WorldName, Worlds,
};
pub use latency::{AdapterName, Latencies, LatencyConfig, LatencyConfigError, LatencyText};
pub use line::FaultLine;
pub use page::faults_page;
pub use rule_file::RuleFileError;
pub use ruled::{Asking, RuledRequest, ScriptRefusal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What testers may do.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whether they may do anything.
    pub is_on: bool,
    /// Worlds at once, besides the one of requests that name none.
    pub worlds_max: usize,
    /// How long a world is kept that nobody uses.
    pub world_idle: Duration,
    /// The faults that each world begins with.
    pub faults: Vec<FaultLine>,
    /// How long texts take where a request does not say.
    pub latency: LatencyConfig,
    /// The file of the rules that answer where a world has none; none for no such file.
    pub rules: Option<PathBuf>,
    /// How time passes where a request does not say.
    pub clock: WorldClock,
    /// Requests in the journal of each world; 0 for no journal.
    pub journal_max: usize,
    /// Bytes of each journal.
    pub journal_bytes_max: usize,
    /// Bytes of a body in a journal.
    pub journal_body_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            is_on: false,
            worlds_max: 1_000,
            world_idle: Duration::from_secs(600),
            faults: Vec::new(),
            latency: LatencyConfig::default(),
            rules: None,
            clock: WorldClock::Real,
            journal_max: 0,
            journal_bytes_max: 4 << 20,
            journal_body_bytes_max: 16 << 10,
        }
    }
}

/// The worlds of a server whose testers may do something. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Testing(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    worlds: Worlds,
    latencies: Arc<Latencies>,
    /// What answers in worlds without rules of their own.
    rules: ArcSwapOption<Rules>,
    started: Instant,
}

/// What a request asks for besides its answer.
#[derive(Debug)]
pub struct TestedRequest {
    /// The world that it is in.
    pub world: Arc<World>,
    /// Its number there, from 0.
    pub number: u64,
    /// How time passes for it.
    pub clock: WorldClock,
    /// How long its texts take; nothing where it does not say.
    pub latency: Option<AskedLatency>,
    /// What rules see of it; none where there are none to ask.
    pub ruled: Option<RuledRequest>,
}

impl Testing {
    /// The worlds that this asks for; none where testers may do nothing.
    ///
    /// # Errors
    ///
    /// When what is set of how long texts take means nothing.
    pub fn new(config: &Config) -> Result<Option<Self>, LatencyConfigError> {
        if !config.is_on {
            return Ok(None);
        }
        let latencies = Arc::new(Latencies::load(&config.latency)?);
        let limits = WorldLimits {
            worlds_max: config.worlds_max,
            idle: config.world_idle,
        };
        let beginning = Beginning {
            faults: config.faults.iter().map(FaultLine::rule).collect(),
            journal: JournalLimits {
                entries_max: config.journal_max,
                bytes_max: config.journal_bytes_max,
                body_bytes_max: config.journal_body_bytes_max,
            },
            clock: config.clock,
        };
        Ok(Some(Self(Arc::new(Shared {
            worlds: Worlds::new(limits, beginning),
            latencies,
            rules: ArcSwapOption::empty(),
            started: Instant::now(),
        }))))
    }

    /// What is set of how long texts take.
    #[must_use]
    pub fn latencies(&self) -> &Arc<Latencies> {
        &self.0.latencies
    }

    /// All worlds.
    #[must_use]
    pub fn worlds(&self) -> &Worlds {
        &self.0.worlds
    }

    /// The world of this name, made where there is none.
    ///
    /// # Errors
    ///
    /// When there are too many.
    pub fn enter(&self, name: &WorldName) -> Result<Arc<World>, TooManyWorlds> {
        self.0.worlds.enter(name, self.now_ms())
    }

    /// Reads the file of rules that answer where a world has none.
    ///
    /// # Errors
    ///
    /// When it cannot be read, and everything that is wrong in it.
    pub fn read_rule_file(&self, path: Option<&Path>) -> Result<Option<Rules>, RuleFileError> {
        path.map(|path| rule_file::read(path, &|text| self.check_latency(text)))
            .transpose()
    }

    /// Has these rules answer where a world has none.
    pub fn set_rules(&self, rules: Option<Rules>) {
        self.0.rules.store(rules.map(Arc::new));
    }

    /// Reads rules that are no file's.
    ///
    /// # Errors
    ///
    /// Everything that is wrong in them.
    pub fn read_rules(&self, text: &str) -> Result<Rules, RulesError> {
        let around = Surroundings {
            data_set: &no_data_sets,
            latency: &|text| self.check_latency(text),
        };
        Rules::parse(text, &around)
    }

    /// The rules that answer in a world.
    #[must_use]
    pub fn rules_in(&self, world: &World) -> Option<Arc<Rules>> {
        world.rules().or_else(|| self.0.rules.load_full())
    }

    fn check_latency(&self, text: &str) -> Result<(), String> {
        let read = self.0.latencies.read(text);
        read.map(drop).map_err(|error| error.to_string())
    }

    /// Frees the worlds that nobody has used for a while.
    pub fn expire(&self) {
        self.0.worlds.expire(self.now_ms());
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
