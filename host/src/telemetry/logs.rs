//! Log lines to stderr, through a thread of their own so that a slow terminal or a full pipe
//! never holds up a request.

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::lines::{Lines, LinesGuard};
use super::one_line::OneLine;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};

/// How the server logs.
#[derive(Clone, Debug)]
pub struct Config {
    /// The form of a line.
    pub format: LogFormat,
    /// The lines that are written.
    pub filter: LogFilter,
    /// Whether each request gets a line.
    pub access_log: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: LogFilter("info".to_owned()),
            access_log: true,
        }
    }
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl LogFormat {
    /// The name as written in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl FromStr for LogFormat {
    type Err = InvalidLogSetting;

    fn from_str(text: &str) -> Result<Self, InvalidLogSetting> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(InvalidLogSetting(
                "the formats are text and json".to_owned(),
            )),
        }
    }
}

/// A choice of lines: a level, or levels by module as in `warn,belljar=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    fn to_env_filter(&self) -> EnvFilter {
        EnvFilter::builder().parse_lossy(&self.0)
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for LogFilter {
    type Err = InvalidLogSetting;

    fn from_str(text: &str) -> Result<Self, InvalidLogSetting> {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        for directive in text.split(',') {
            // A bare word that is no level would be taken for the name of a module, and
            // everything else fall silent: `inof` must not turn the log off.
            let level = directive.rsplit('=').next().unwrap_or_default().trim();
            if !LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
                return Err(InvalidLogSetting(format!(
                    "a level is one of {}; for one module write `info,belljar=debug`",
                    LEVELS.join(", ")
                )));
            }
        }
        match EnvFilter::builder().parse(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(InvalidLogSetting(error.to_string())),
        }
    }
}

/// A log setting that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidLogSetting(String);

/// Writes out what is still buffered when dropped. Keep it until the end of `main`.
#[derive(Debug)]
pub struct LogGuard(#[expect(dead_code, reason = "held for its drop")] Option<LinesGuard>);

/// The sink of lines, for the access log, which does not pass through `tracing`.
pub(super) struct Sink {
    pub(super) writer: Lines,
    pub(super) format: LogFormat,
}

static SINK: OnceLock<Sink> = OnceLock::new();

/// Whether access records are written.
static ACCESS: AtomicBool = AtomicBool::new(false);

/// The way to another filter, once there is one.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Starts logging. The first call in a process wins; later ones, as in tests that start several
/// servers, change nothing.
pub fn init(config: &Config) -> LogGuard {
    if SINK.get().is_some() {
        return LogGuard(None);
    }
    // Without a thread for it there is no log, and no reason not to serve.
    let Ok((writer, guard)) = Lines::to(io::stderr()) else {
        return LogGuard(None);
    };
    let sink = Sink {
        writer: writer.clone(),
        format: config.format,
    };
    if SINK.set(sink).is_err() {
        return LogGuard(None);
    }
    ACCESS.store(config.access_log, Ordering::Release);
    let (filter, handle) = reload::Layer::new(config.filter.to_env_filter());
    let is_json = config.format == LogFormat::Json;
    let is_coloured = !is_json && io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_writer(move || OneLine {
        lines: writer.clone(),
        is_json,
        is_coloured,
    });
    let registry = tracing_subscriber::registry().with(filter);
    let installed = match config.format {
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
        LogFormat::Text => registry.with(lines.with_ansi(is_coloured)).try_init(),
    };
    // A test harness may have a subscriber of its own; its lines are as good.
    if installed.is_ok() {
        let _ = FILTER.set(handle);
    }
    LogGuard(Some(guard))
}

/// Writes other lines from now on. Their form stays.
pub fn change_log(config: &Config) {
    if let Some(filter) = FILTER.get() {
        // Fails only where the subscriber is gone, and with it the log.
        let _ = filter.reload(config.filter.to_env_filter());
    }
    ACCESS.store(config.access_log, Ordering::Release);
}

/// The sink of access records, if they are wanted.
pub(super) fn access_sink() -> Option<&'static Sink> {
    SINK.get().filter(|_| ACCESS.load(Ordering::Acquire))
}

/// Lines lost so far because stderr was read too slowly.
#[must_use]
pub fn log_lines_dropped() -> u64 {
    SINK.get().map_or(0, |sink| sink.writer.dropped())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn filters_are_levels_and_typing_errors_are_refused() {
        for good in [
            "info",
            "WARN",
            "off",
            "warn,belljar=debug",
            "belljar::http=trace,error",
        ] {
            good.parse::<LogFilter>().unwrap();
        }
        for bad in ["", "inof", "belljar", "info,belljar=loud", "info,,warn"] {
            assert!(bad.parse::<LogFilter>().is_err(), "{bad}");
        }
        assert!("JSON".parse::<LogFormat>().is_err());
    }
}
