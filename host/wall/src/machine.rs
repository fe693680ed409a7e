//! What every process of this program uses of the machine, whatever its settings are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Reach;

/// What is read: figures of the kernel and its cgroups, chance, the zones of time.
///
/// All of `/proc`, because the kernel makes the folders of processes anew whenever it likes, and
/// then they are other files. What others' processes hide there (memory, variables) landlock keeps
/// apart from this.
const READ: [&str; 10] = [
    "/proc",
    "/sys/fs/cgroup",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/sys/kernel/mm/transparent_hugepage",
    "/dev/urandom",
    "/dev/random",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
];
/// What is written, and is not lost by it.
const UPDATE: &str = "/dev/null";
/// What is read to find other machines and to believe them.
const CALL: [&str; 11] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
];

/// This program, also where its file has been replaced by another version meanwhile.
pub(crate) const OWN_PROGRAM: &str = "/proc/self/exe";

impl Reach {
    /// Adds what this program uses of every machine: itself, to compile in processes of its own,
    /// with the libraries that it has loaded; and, where it calls others, what that takes.
    #[must_use]
    pub fn of_this_program(mut self) -> Self {
        let add = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        self.read.extend(add(&READ));
        self.update.insert(UPDATE.into());
        // For the compiling process, to be the first to go. As root this would open `/proc/sys`.
        if !rustix::process::geteuid().is_root() {
            self.update.insert("/proc".into());
        }
        self.execute.insert(OWN_PROGRAM.into());
        self.execute.extend(libraries());
        if !self.connect.is_empty() {
            for path in add(&CALL) {
                // A link leads to a file that is replaced at times, in a folder made for it.
                let beside = fs::canonicalize(&path).ok();
                let beside = beside.as_deref().and_then(Path::parent);
                let beside = beside.filter(|folder| path.is_symlink() && !path.starts_with(folder));
                self.read.extend(beside.map(Path::to_owned));
                self.read.insert(path);
            }
        }
        self
    }
}

/// The folders of the libraries that this process has loaded, the loader among them: a program
/// that is not static is started by it. Folders, because an update of the system replaces the
/// files.
fn libraries() -> BTreeSet<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let program = fs::canonicalize(OWN_PROGRAM).ok();
    let mut folders = BTreeSet::new();
    // `7f…-7f… r-xp 00028000 fe:00 1234   /usr/lib/x86_64-linux-gnu/libc.so.6`
    for line in maps.lines() {
        let mut words = line.split_ascii_whitespace();
        let is_code = words.nth(1).is_some_and(|rights| rights.contains('x'));
        let path = line.find('/').and_then(|at| line.get(at..)).map(Path::new);
        let library = path.filter(|path| is_code && Some(*path) != program.as_deref());
        folders.extend(library.and_then(Path::parent).map(Path::to_owned));
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_reaches_itself_and_looks_for_others_only_where_it_calls_them() {
        let alone = Reach::default().of_this_program();
        assert!(alone.may_execute(Path::new(OWN_PROGRAM)));
        assert!(!alone.may_execute(Path::new("/bin/sh")));
        assert!(!alone.may_read(Path::new("/etc/hosts")));
        let calling = Reach {
            connect: BTreeSet::from([443]),
            ..Reach::default()
        };
        let calling = calling.of_this_program();
        assert!(calling.may_read(Path::new("/etc/hosts")));
        assert!(!calling.may_read(Path::new("/etc/passwd")));
    }
}
