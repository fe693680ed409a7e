//! Looks whether the files of a project have changed.
//!
//! By their sizes and times, five times a second, and not by what the system tells: a project has
//! tens of files, which takes a fraction of a millisecond, and folders that are shared with a
//! container or over a network tell of no change. A file that was only written again, as generators
//! do, has not changed: its content is what counts.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use belljar_bundle::Digest;

/// The pause between two looks, and how long it must be quiet after a change: editors and version
/// control write many files.
const LOOK: Duration = Duration::from_millis(200);
/// Files of a project.
const FILES_MAX: usize = 20_000;
/// Folders inside one another.
const DEPTH_MAX: usize = 32;
/// Bytes of a file whose content is looked at; of a larger one its time counts.
const CONTENT_BYTES_MAX: u64 = 64 << 20;
/// What builds and package managers leave. What begins with a dot is passed over as well.
const PASSED_OVER: [&str; 3] = ["target", "node_modules", "__pycache__"];
/// Endings of what is built.
const BUILT: [&str; 4] = [".wasm", ".tar", ".pyc", ".o"];

/// A file as it was when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    bytes: u64,
    changed: Option<SystemTime>,
    /// Its content, once it was looked at.
    digest: Option<Digest>,
}

type Files = BTreeMap<PathBuf, Seen>;

/// A project folder that is watched.
pub(super) struct Watch {
    folder: PathBuf,
    /// Whether what is built is made from what is watched, and is not itself the source.
    is_built: bool,
    files: Files,
}

impl Watch {
    /// A folder as it is now. `is_built` says whether a command makes its component.
    pub(super) fn begin(folder: &Path, is_built: bool) -> Result<Self> {
        let mut watch = Self {
            folder: folder.to_owned(),
            is_built,
            files: Files::new(),
        };
        watch.files = watch.look()?;
        Ok(watch)
    }

    /// Waits until something has changed and it has become quiet. Dropped in between it forgets
    /// nothing.
    pub(super) async fn changed(&mut self) -> Result<()> {
        loop {
            tokio::time::sleep(LOOK).await;
            let mut now = tokio::task::block_in_place(|| self.look())?;
            if now == self.files {
                continue;
            }
            loop {
                tokio::time::sleep(LOOK).await;
                let next = tokio::task::block_in_place(|| self.look())?;
                if next == now {
                    break;
                }
                now = next;
            }
            if self.take(now) {
                return Ok(());
            }
        }
    }

    /// Takes the state of the folder in, and says whether a content has changed.
    fn take(&mut self, mut now: Files) -> bool {
        let mut has_changed = self.files.keys().any(|path| !now.contains_key(path));
        for (path, seen) in &mut now {
            let before = self.files.get(path);
            if before.is_some_and(|before| before == seen) {
                continue;
            }
            seen.digest = content(&self.folder.join(path), seen.bytes);
            let known = before.and_then(|before| before.digest);
            has_changed |= known.is_none() || known != seen.digest;
        }
        self.files = now;
        has_changed
    }

    /// The files as they are, each with what is known of its content.
    fn look(&self) -> Result<Files> {
        let mut files = Files::new();
        let mut open = vec![(PathBuf::new(), 0)];
        while let Some((inside, depth)) = open.pop() {
            let folder = self.folder.join(&inside);
            let failed = || format!("cannot look into {}", folder.display());
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                // It has gone since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound && depth > 0 => continue,
                Err(error) => return Err(error).with_context(failed),
            };
            for entry in entries {
                let entry = entry.with_context(failed)?;
                let name = entry.file_name();
                if self.passes_over(&name.to_string_lossy()) {
                    continue;
                }
                let path = inside.join(&name);
                let Ok(metadata) = fs::metadata(entry.path()) else {
                    continue;
                };
                if metadata.is_dir() {
                    if depth < DEPTH_MAX {
                        open.push((path, depth + 1));
                    }
                    continue;
                }
                if files.len() == FILES_MAX {
                    bail!(
                        "{} has more than {FILES_MAX} files: is it a project folder?",
                        self.folder.display()
                    );
                }
                let (bytes, changed) = (metadata.len(), metadata.modified().ok());
                let before = self.files.get(&path);
                let before = before.filter(|seen| seen.bytes == bytes && seen.changed == changed);
                let digest = before.and_then(|seen| seen.digest);
                let seen = Seen {
                    bytes,
                    changed,
                    digest,
                };
                files.insert(path, seen);
            }
        }
        Ok(files)
    }

    fn passes_over(&self, name: &str) -> bool {
        name.starts_with('.')
            || PASSED_OVER.contains(&name)
            || (self.is_built && BUILT.iter().any(|ending| name.ends_with(ending)))
    }
}

/// What is in a file, unless it is large or has gone.
fn content(path: &Path, bytes: u64) -> Option<Digest> {
    if bytes > CONTENT_BYTES_MAX {
        return None;
    }
    let (digest, _) = Digest::of_reader(File::open(path).ok()?).ok()?;
    Some(digest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    struct Project(tempfile::TempDir);

    impl Project {
        fn write(&self, name: &str, text: &str, second: u64) {
            let path = self.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_modified(time)
                .unwrap();
        }
    }

    /// Whether a look finds that something has changed.
    fn changed(watch: &mut Watch) -> bool {
        let now = watch.look().unwrap();
        now != watch.files && watch.take(now)
    }

    #[test]
    fn what_counts_is_the_content_of_sources() {
        let project = Project(tempfile::tempdir().unwrap());
        project.write("model.toml", "a", 1);
        project.write("src/lib.rs", "a", 1);
        let mut watch = Watch::begin(project.0.path(), true).unwrap();
        assert!(!changed(&mut watch));
        project.write("src/lib.rs", "b", 2);
        assert!(changed(&mut watch) && !changed(&mut watch));
        // Written again, and the same; of the same size at another time, and another.
        project.write("src/lib.rs", "b", 3);
        assert!(!changed(&mut watch));
        project.write("src/lib.rs", "c", 4);
        assert!(changed(&mut watch));
        // What comes and goes.
        project.write("assets/weights.bin", "w", 1);
        assert!(changed(&mut watch) && !changed(&mut watch));
        fs::remove_file(project.0.path().join("assets/weights.bin")).unwrap();
        assert!(changed(&mut watch) && !changed(&mut watch));
        // What is built, and what tools keep.
        for name in [
            "target/x",
            "node_modules/a/b",
            ".venv/x",
            ".git/index",
            "model.wasm",
            "m.tar",
        ] {
            project.write(name, "new", 5);
            assert!(!changed(&mut watch), "{name}");
        }
    }

    #[test]
    fn a_component_that_nothing_builds_is_a_source() {
        let project = Project(tempfile::tempdir().unwrap());
        project.write("model.wasm", "a", 1);
        let mut watch = Watch::begin(project.0.path(), false).unwrap();
        project.write("model.wasm", "b", 2);
        assert!(changed(&mut watch));
    }
}
