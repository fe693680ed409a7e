//! Reads all settings once, at the start, and refuses what it does not understand.
//!
//! Defaults, then the file, then the environment, then flags: the later wins, and
//! [`Resolved::effective`] says where each value came from. The only module that reads the
//! environment. Each module owns its own `Config`; the table in [`table`] says which setting
//! goes where.

mod file;
mod kinds;
mod reference;
mod resolve;
mod settings;
mod table;

pub use reference::reference;
pub use resolve::{
    ConfigError, Effective, Environment, Overrides, Problem, Resolved, Source, SystemEnvironment,
    resolve,
};
pub use settings::{CompilerSettings, Settings};
pub use table::{SETTINGS, Setting};
