//! A data directory in which the embedded models are compiled already, made once and copied for
//! each test. Compiling them takes seconds in an unoptimised build, and hundreds of tests start a
//! server.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use belljar_bundle::Digest;

use crate::host::build;
use crate::process::program;
use belljar::clock::Clock;

/// What is written last, so that a template that was cut short is known by its absence.
const COMPLETE: &str = "complete";

/// Fills a data directory with the embedded models, compiled. Does nothing to one that has
/// something in it.
///
/// # Panics
///
/// When the disk fails or the server cannot be started.
pub async fn warm_up(data_dir: &Path) {
    fs::create_dir_all(data_dir).expect("the test can make its directory");
    let is_empty = fs::read_dir(data_dir).is_ok_and(|mut entries| entries.next().is_none());
    if is_empty {
        copy(&template().await, data_dir);
    }
}

/// The template that belongs to this build of the server.
async fn template() -> PathBuf {
    let program = program();
    let templates = program.with_file_name("warm-data");
    let template = templates.join(fingerprint(&program));
    let data = template.join("data");
    if template.join(COMPLETE).is_file() {
        return data;
    }
    fs::create_dir_all(&templates).expect("the target directory can be written");
    let path = templates.join("lock");
    // Tests of one run are threads with one runner and processes with another: a file lock
    // holds both off. It ends with its process.
    let lock = tokio::task::spawn_blocking(move || {
        let file = File::create(path).expect("the target directory can be written");
        file.lock().expect("a file can be locked");
        file
    });
    let lock = lock.await.expect("waiting for a lock does not panic");
    if !template.join(COMPLETE).is_file() {
        clear(&templates);
        // Without an audit log, so that each copy begins one of its own.
        let off = [("audit.sinks", "off")];
        let (listeners, app) = build(&data, Clock::system(), &off, |_| {}).await;
        drop(listeners);
        app.registry().started().await;
        app.close().await;
        File::create(template.join(COMPLETE)).expect("the target directory can be written");
    }
    drop(lock);
    data
}

/// Templates of builds that are gone, and ones that were cut short.
fn clear(templates: &Path) {
    for entry in fs::read_dir(templates)
        .expect("the target directory can be read")
        .flatten()
    {
        if entry.path().is_dir() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Another program may have another engine, whose artefacts are others.
fn fingerprint(program: &Path) -> String {
    let facts = fs::metadata(program).expect("the program is there");
    let changed = facts.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    Digest::of(format!("{changed:?} {}", facts.len()).as_bytes()).hex()
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from)
        .expect("the template can be read")
        .flatten()
    {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir_all(&target).expect("the test can write its directory");
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("the test can write its directory");
        }
    }
}
