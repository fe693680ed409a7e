//! The settings of the registry.

use std::time::Duration;

use belljar_bundle::{ArchiveLimits, ByteSize, SignaturePolicy};
use belljar_sandbox::Budget;

use super::alias::ModelAlias;
use super::guest_logs::GuestLogConfig;
use super::prefixes::PrefixConfig;

/// How the registry receives, keeps and prepares models.
#[derive(Clone, Debug)]
pub struct Config {
    /// The most a model may be given.
    pub policy: Policy,
    /// What an archive may look like.
    pub archive: ArchiveLimits,
    /// The signatures that an archive needs.
    pub signatures: SignaturePolicy,
    /// Uploads at once; one more is refused at once.
    pub uploads_max: usize,
    /// How long a sender may send nothing.
    pub upload_stall: Duration,
    /// How long a whole upload may take. Without it a sender of one byte every few seconds
    /// would hold one of the `uploads_max` places for ever.
    pub upload_wall_time: Duration,
    /// Bytes a second that a sender must reach over the time of `upload_stall`, or its upload
    /// ends: a byte every few seconds would hold its place until `upload_wall_time`.
    pub upload_rate_min: u64,
    /// Versions kept, over all models, without those that failed and never ran.
    pub versions_max: usize,
    /// Versions kept that failed and never ran. They are for their authors to look at, and must
    /// take no place from others.
    pub failed_max: usize,
    /// How long those are kept.
    pub failed_time: Duration,
    /// Bytes of all stored versions together, unpacked.
    pub stored_bytes_max: u64,
    /// Whether equal files of bundles, and what is compiled of equal bundles, are kept once. Those
    /// of bundles that say that they are private never are.
    pub share_weights: bool,
    /// Bytes of compiled models in memory; none is no bound. Those that nobody has asked for the
    /// longest leave when there are more.
    pub memory_budget_bytes: Option<u64>,
    /// What is kept of the lines that guests write.
    pub logs: GuestLogConfig,
    /// What is kept of prompts for the next.
    pub prefixes: PrefixConfig,
    /// Other names of models.
    pub aliases: Vec<ModelAlias>,
    /// Whether the names of well-known models stand for `fake`, where no model and no alias of
    /// the settings has them.
    pub well_known_aliases: bool,
    /// Whether every other name stands for `fake`, too.
    pub any_model: bool,
    /// Whether versions are held to their examples where their manifests say so. No setting:
    /// commands that run the examples themselves, or look for what is wrong, do without.
    pub examines: bool,
    /// Whether the embedded generator `fake` is served.
    pub fake: bool,
    /// Whether the embedded tensor model `echo` is served.
    pub echo: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            archive: ArchiveLimits::default(),
            signatures: SignaturePolicy::default(),
            uploads_max: 8,
            upload_stall: Duration::from_secs(30),
            upload_wall_time: Duration::from_secs(3600),
            upload_rate_min: 4 << 10,
            versions_max: 1_000,
            failed_max: 100,
            failed_time: Duration::from_secs(7 * 24 * 3600),
            stored_bytes_max: ByteSize::mib(256 * 1024).as_u64(),
            share_weights: true,
            memory_budget_bytes: None,
            logs: GuestLogConfig::default(),
            prefixes: PrefixConfig::default(),
            aliases: Vec::new(),
            well_known_aliases: true,
            any_model: false,
            examines: true,
            fake: true,
            echo: true,
        }
    }
}

/// The most a model may be given. A manifest may ask for less; one that asks for more is
/// refused when it is uploaded. A version that was accepted under a wider policy gets the
/// smaller of the two.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The most one request may be given. What a manifest cannot ask for is taken from here as
    /// it is.
    pub budget: Budget,
    /// The most fuel of the one `load`.
    pub load_fuel: u64,
    /// The most wall-clock time of the one `load`.
    pub load_wall_time: Duration,
    /// What a manifest that asks for nothing gets, where the policy does not allow less.
    pub defaults: Defaults,
}

/// What a manifest that is silent about a limit gets.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// Units of fuel of one request.
    pub fuel: u64,
    /// Units of fuel of the one `load`.
    pub load_fuel: u64,
    /// Bytes of linear memory.
    pub memory_bytes: u64,
    /// Bytes of one answer.
    pub output_bytes: u64,
    /// Wall-clock time of one request.
    pub deadline: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            budget: Budget {
                fuel: 1_000_000_000_000,
                memory_bytes_max: 1 << 30,
                output_bytes_max: 64 << 20,
                wall_time: Duration::from_secs(60),
                ..Budget::default()
            },
            load_fuel: 1_000_000_000_000,
            load_wall_time: Duration::from_secs(60),
            defaults: Defaults::default(),
        }
    }
}

impl Default for Defaults {
    fn default() -> Self {
        let budget = Budget::default();
        Self {
            fuel: budget.fuel,
            load_fuel: 5_000_000_000,
            memory_bytes: budget.memory_bytes_max,
            output_bytes: budget.output_bytes_max,
            deadline: budget.wall_time,
        }
    }
}
