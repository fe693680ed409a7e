//! Lines for the host's log. A line over 4 KiB is cut, and a request has a budget of lines.
//! Log no prompts: the host's operator reads this.
//!
//! The macros of this crate format as `println!` does:
//!
//! ```
//! belljar_guest::info!("{} labels read", 10);
//! ```

pub use crate::bindings::base::belljar::model::log::Level;

/// Writes one line. Natively it goes to stderr.
pub fn write(level: Level, message: &str) {
    #[cfg(target_family = "wasm")]
    crate::bindings::base::belljar::model::log::write(level, message);
    #[cfg(not(target_family = "wasm"))]
    std::eprintln!("{level:?}: {message}");
}

#[doc(hidden)]
pub fn format(level: Level, arguments: core::fmt::Arguments<'_>) {
    match arguments.as_str() {
        Some(message) => write(level, message),
        None => write(level, &alloc::fmt::format(arguments)),
    }
}

/// Writes one line that matters only while debugging in depth.
#[macro_export]
macro_rules! trace {
    ($($argument:tt)+) => { $crate::log::format($crate::log::Level::Trace, format_args!($($argument)+)) };
}

/// Writes one line that matters only while debugging.
#[macro_export]
macro_rules! debug {
    ($($argument:tt)+) => { $crate::log::format($crate::log::Level::Debug, format_args!($($argument)+)) };
}

/// Writes one line of interest in normal operation.
#[macro_export]
macro_rules! info {
    ($($argument:tt)+) => { $crate::log::format($crate::log::Level::Info, format_args!($($argument)+)) };
}

/// Writes one line about something that may need attention.
#[macro_export]
macro_rules! warn {
    ($($argument:tt)+) => { $crate::log::format($crate::log::Level::Warn, format_args!($($argument)+)) };
}

/// Writes one line about something that went wrong.
#[macro_export]
macro_rules! error {
    ($($argument:tt)+) => { $crate::log::format($crate::log::Level::Error, format_args!($($argument)+)) };
}
