//! Decides whether conduct and content are acceptable. Knows no HTTP.

mod address;
mod violation;

pub use address::ClientAddress;
pub use violation::Violation;
