//! Logs and metrics: sets both up once a process, and owns their names.
//!
//! A log line is a sentence and fields to search by, one name a thing: `request.id`, `key.id`,
//! `model.id`, `fuel.used`. Never a key, a prompt or a body.

mod access;
mod line;
mod lines;
mod logs;
mod machine;
pub mod metrics;
mod one_line;

pub use access::AccessRecord;
pub use logs::{
    Config, InvalidLogSetting, LogFilter, LogFormat, LogGuard, change_log, init, log_lines_dropped,
};
pub use machine::{DiskRoom, disk_room, resident_bytes};
pub use metrics::Metrics;
