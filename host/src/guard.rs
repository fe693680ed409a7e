//! Decides whether conduct and content are acceptable. Knows no HTTP.

mod abuse;
mod address;
mod bans;
mod injection;
mod networks;
mod origin;
mod violation;

pub use abuse::{Abuse, AbuseConfig, BanDurations, Verdict};
pub use address::ClientAddress;
pub use bans::{Ban, BanError, Bans, Exemption, Subject};
pub use injection::{Finding, InjectionConfig, Inspection, Screened, Screening, Texts};
pub use networks::{Admittance, InvalidNetwork, Network, Networks};
pub use origin::{ConflictingOrigins, ForwardedHeader, OriginRule};
pub use violation::Violation;
