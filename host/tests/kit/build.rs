//! A server without sockets, built from variables.

use std::collections::BTreeMap;
use std::path::PathBuf;

use belljar::app::{self, App};
use belljar::clock::Clock;
use belljar::config::{Overrides, resolve};
use tempfile::TempDir;

/// Built-in models are off unless `variables` says otherwise: most questions need none, and each
/// costs a compilation. The data directory lives as long as the second value.
pub(crate) async fn build(variables: &[(&str, &str)], clock: Clock) -> (App, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let base = [
        ("BELLJAR_DATA_DIR", folder.path().to_str().unwrap()),
        ("BELLJAR_EMBEDDED_FAKE", "false"),
        ("BELLJAR_EMBEDDED_ECHO", "false"),
        ("BELLJAR_SANDBOX_RUNS_MAX", "4"),
    ];
    let environment: BTreeMap<String, String> = base
        .iter()
        .chain(variables)
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let resolved = resolve(&Overrides::default(), &environment).unwrap();
    let program = PathBuf::from(env!("CARGO_BIN_EXE_belljar"));
    let app = app::build_at(resolved, program, clock).await.unwrap();
    app.registry().started().await;
    (app, folder)
}
