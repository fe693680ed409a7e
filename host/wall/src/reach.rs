//! What of the machine a process goes on to use, said before the rest is given away.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// What a process may reach once its wall is up. A path that is not there then is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Files, and folders with everything in them, that may be read.
    pub read: BTreeSet<PathBuf>,
    /// Folders in which anything may be made, changed and removed, but links and devices.
    pub keep: BTreeSet<PathBuf>,
    /// Files, and folders of such, that may be read and written, where they are there already.
    pub update: BTreeSet<PathBuf>,
    /// Folders in which sockets may be made and files removed.
    pub sockets: BTreeSet<PathBuf>,
    /// Programs, and folders of such, that may be started and read.
    pub execute: BTreeSet<PathBuf>,
    /// Ports of TCP that may be listened on; 0 for whichever is free.
    pub listen: BTreeSet<u16>,
    /// Ports of TCP, of whichever machine, that may be connected to.
    pub connect: BTreeSet<u16>,
    /// Whether sockets with abstract names that others have made may be reached.
    pub abstract_sockets: bool,
}

impl Reach {
    /// Lets a file be read that is named by a path, today's and each later one.
    ///
    /// Files are replaced by others of the same name, and landlock knows files and no names: so
    /// everything in the file's folder may be read. Where a link on the way leads to a folder
    /// beside it or below (as Kubernetes and releases do it), the next one may be any other there.
    pub fn read_named(&mut self, path: &Path) {
        let Ok(path) = std::path::absolute(path) else {
            return;
        };
        let mut here = PathBuf::new();
        for part in path.components() {
            here.push(part);
            let is_link = matches!(part, Component::Normal(_)) && here.is_symlink();
            let (Some(folder), true) = (here.parent(), is_link) else {
                continue;
            };
            if let (Ok(target), Ok(folder)) = (fs::canonicalize(&here), fs::canonicalize(folder))
                && let Some(beside) = target.parent().filter(|it| it.starts_with(&folder))
            {
                self.read.insert(beside.to_owned());
            }
        }
        let target = fs::canonicalize(&path);
        for named in target.iter().chain([&path]) {
            let folder = if named.is_dir() {
                Some(named.as_path())
            } else {
                named.parent()
            };
            if let Some(folder) = folder.and_then(|folder| fs::canonicalize(folder).ok()) {
                self.read.insert(folder);
            }
        }
    }

    /// Whether what stands at a path may be read.
    #[must_use]
    pub fn may_read(&self, path: &Path) -> bool {
        let sets = [&self.read, &self.keep, &self.update, &self.execute];
        is_within(path, sets)
    }

    /// Whether files may be written in the folder at a path.
    #[must_use]
    pub fn may_write(&self, path: &Path) -> bool {
        is_within(path, [&self.keep, &self.update])
    }

    /// Whether the program at a path may be started.
    #[must_use]
    pub fn may_execute(&self, path: &Path) -> bool {
        is_within(path, [&self.execute])
    }

    /// Both reaches together.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.read.extend(other.read);
        self.keep.extend(other.keep);
        self.update.extend(other.update);
        self.sockets.extend(other.sockets);
        self.execute.extend(other.execute);
        self.listen.extend(other.listen);
        self.connect.extend(other.connect);
        self.abstract_sockets |= other.abstract_sockets;
        self
    }
}

/// Whether a path, its links followed, is one of these or within one.
fn is_within<'a>(path: &Path, sets: impl IntoIterator<Item = &'a BTreeSet<PathBuf>>) -> bool {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut places = sets.into_iter().flatten();
    places.any(|place| {
        let place = fs::canonicalize(place);
        place.is_ok_and(|place| path.starts_with(place))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::symlink;

    fn reads(path: &Path) -> BTreeSet<PathBuf> {
        let mut reach = Reach::default();
        reach.read_named(path);
        reach.read
    }

    #[test]
    fn a_file_is_read_with_its_folder_and_where_links_can_lead_next() {
        let folder = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(folder.path()).unwrap();
        let make = |name: &str| {
            fs::create_dir_all(base.join(name)).unwrap();
            fs::write(base.join(name).join("tls.crt"), b"").unwrap();
        };
        let set = |paths: &[&str]| paths.iter().map(|p| base.join(p)).collect::<BTreeSet<_>>();
        make("plain");
        assert_eq!(reads(&base.join("plain/tls.crt")), set(&["plain"]));
        assert_eq!(reads(&base.join("plain/later.crl")), set(&["plain"]));
        assert_eq!(reads(&base.join("plain")), set(&["plain"]));
        assert!(reads(&base.join("nowhere/tls.crt")).is_empty());
        // As Kubernetes mounts a secret.
        make("mount/..2026");
        symlink("..2026", base.join("mount/..data")).unwrap();
        symlink("..data/tls.crt", base.join("mount/tls.crt")).unwrap();
        let mounted = reads(&base.join("mount/tls.crt"));
        assert!(mounted.contains(&base.join("mount")), "{mounted:?}");
        // As certbot keeps what it renews.
        make("archive/example");
        fs::create_dir_all(base.join("live/example")).unwrap();
        let live = base.join("live/example/tls.crt");
        symlink("../../archive/example/tls.crt", &live).unwrap();
        assert_eq!(reads(&live), set(&["live/example", "archive/example"]));
        // A link to somewhere else (`/var/run` to `/run`) does not open what is around its target.
        make("far/away/inside");
        fs::create_dir(base.join("near")).unwrap();
        symlink(base.join("far/away"), base.join("near/link")).unwrap();
        let linked = reads(&base.join("near/link/inside/tls.crt"));
        assert_eq!(linked, set(&["far/away/inside"]));
    }

    #[test]
    fn what_may_be_done_follows_links_and_ends_where_a_folder_does() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        fs::create_dir_all(base.join("kept/inner")).unwrap();
        fs::create_dir(base.join("kept2")).unwrap();
        symlink("kept2", base.join("kept/out")).unwrap();
        let reach = Reach {
            keep: BTreeSet::from([base.join("kept")]),
            ..Reach::default()
        };
        assert!(reach.may_read(&base.join("kept/inner")) && reach.may_write(&base.join("kept")));
        assert!(!reach.may_write(&base.join("kept2")) && !reach.may_read(base));
        assert!(!reach.may_execute(&base.join("kept/inner")));
    }
}
