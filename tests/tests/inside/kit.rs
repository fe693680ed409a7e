//! A folder with bundles, and commands on them.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use belljar_tests::{TestBundle, command, guests};

/// A folder of a test.
pub(crate) struct Desk(tempfile::TempDir);

impl Desk {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes the bundle of a test's guest, with lines of limits.
    pub(crate) fn bundle(&self, guest: &str, limits: &str) {
        let bundle = TestBundle::new(guest, "1.0.0", &guests::bytes(guest)).with_limits(limits);
        fs::write(self.path(&format!("{guest}.tar")), bundle.tar()).unwrap();
    }

    /// Writes a file of a project.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Runs a command in the folder, with its data there.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        command()
            .args(arguments)
            .current_dir(self.0.path())
            .env("HOME", self.0.path())
            .output()
            .unwrap()
    }

    /// What a command that worked has printed and told.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> (String, String) {
        let output = self.run(arguments);
        let (out, told) = texts(&output);
        assert!(output.status.success(), "{arguments:?}: {told}");
        (out, told)
    }

    /// What a command that failed has printed and told.
    #[track_caller]
    pub(crate) fn fails(&self, arguments: &[&str]) -> (String, String) {
        let output = self.run(arguments);
        let (out, told) = texts(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {told}");
        (out, told)
    }
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// A request to the guest that turns as often as it is told, with the data of its input by its type.
pub(crate) fn turns(count: u64) -> String {
    format!(r#"{{"inputs":[{{"name":"n","datatype":"INT64","shape":[1],"data":[{count}]}}]}}"#)
}
