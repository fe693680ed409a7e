//! Decides whether conduct and content are acceptable. Knows no HTTP.

mod abuse;
mod anomaly;
mod bans;
mod control;
mod injection;
mod passed;
mod plain;
mod violation;

pub use abuse::{Abuse, AbuseConfig, BanDurations, Verdict};
pub use anomaly::{
    Anomalies, AnomalyAction, AnomalyConfig, AnomalyThreshold, Counts, Input,
    InvalidAnomalyThreshold, InvalidWatchedCaller, Judgement, NetworkKey, Profile, Rule,
    SlowedDown, Span, Tally, WINDOW, WatchedCaller, WatchedState,
};
pub(crate) use anomaly::{counts, points};
pub use bans::{Ban, BanError, BanReason, Bans, EVERYWHERE, Exemption, Subject};
pub use control::ControlCharacters;
pub use injection::{Finding, InjectionConfig, Inspection, Objection, Screened, Screening, Texts};
pub use plain::is_plain;
pub use violation::Violation;
