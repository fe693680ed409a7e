//! Reads all settings once, at the start, and refuses what it does not understand.
//!
//! Defaults, then the file, then the environment, then flags: the later wins, and
//! [`Resolved::effective`] says where each value came from. The only module that reads the
//! environment. Each module owns its own `Config`; the table [`SETTINGS`] says which setting
//! goes where.

mod environment;
mod file;
mod manifest_reference;
mod problem;
mod reach;
mod reference;
mod references;
mod reload;
mod resolve;
mod service_manager;
mod service_variables;
mod setting;
mod settings;
mod table;
mod values;

pub use environment::{Environment, SystemEnvironment, WithVault, cache_folder};
pub use manifest_reference::manifest_reference;
pub use problem::{ConfigError, Problem, Source};
pub use reference::reference;
pub use reload::{Change, Reread};
pub use resolve::{Effective, Overrides, Resolved, resolve, resolve_data_dir};
pub use service_manager::{PassedSockets, ServiceManager};
pub use setting::{References, Setting};
pub use settings::{CompilerSettings, Settings};
pub use table::SETTINGS;
