//! Decides whether conduct and content are acceptable. Knows no HTTP.

mod abuse;
mod bans;
mod control;
mod injection;
mod passed;
mod plain;
mod violation;

pub use abuse::{Abuse, AbuseConfig, BanDurations, Verdict};
pub use bans::{Ban, BanError, Bans, Exemption, Subject};
pub use control::ControlCharacters;
pub use injection::{Finding, InjectionConfig, Inspection, Objection, Screened, Screening, Texts};
pub use plain::is_plain;
pub use violation::Violation;
