//! The program as its users run it: a home of its own, commands, and a server in a process.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

/// A home of its own: nothing of the machine's environment gets in.
pub(crate) struct Home(tempfile::TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.path().join(".local/share/belljar")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_belljar"));
        command
            .env_clear()
            .env("HOME", self.path())
            .current_dir(self.path())
            .args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that must succeed, and returns what it printed.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(arguments)).unwrap()
    }

    /// Runs a command that must fail, and returns what it told.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        // A panic of its own begins a line; one of a guest is told in the midst of others.
        let panicked = |line: &str| line.starts_with("thread '") && line.contains("panicked");
        assert!(!stderr.lines().any(panicked), "{stderr}");
        stderr
    }

    /// A project folder around the embedded echo model.
    pub(crate) fn project(&self, name: &str, manifest: &str) -> PathBuf {
        self.project_of(belljar::embedded::ECHO_COMPONENT, name, manifest)
    }

    /// A project folder around a component.
    pub(crate) fn project_of(&self, component: &[u8], name: &str, manifest: &str) -> PathBuf {
        let folder = self.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("model.wasm"), component).unwrap();
        fs::write(folder.join("model.toml"), manifest).unwrap();
        folder
    }
}

/// Says what is not tried because the machine lacks a program. With `TEST_PROGRAMS=required`, as in
/// `.ci/run`, that is a failure.
#[allow(clippy::print_stderr, reason = "what was not tried is said")]
pub(crate) fn not_tried(why: &str) {
    let is_required = std::env::var_os("TEST_PROGRAMS").is_some();
    assert!(!is_required, "{why}");
    eprintln!("{why}");
}

/// A server in a process of its own, on a free port.
pub(crate) struct Server {
    /// None once it was stopped.
    process: Option<Child>,
    /// What it has left on stderr so far, and who reads it.
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    pub(crate) banner: String,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start(home: &Home, arguments: &[&str]) -> Self {
        let all: Vec<&str> = ["--listen", "127.0.0.1:0"]
            .iter()
            .chain(arguments)
            .copied()
            .collect();
        Self::spawn(home.command(&all))
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let reader = std::thread::spawn({
            let (log, stderr) = (Arc::clone(&log), process.stderr.take().unwrap());
            move || {
                let mut stderr = BufReader::new(stderr);
                let mut line = String::new();
                while stderr.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
                    log.lock().unwrap().push_str(&line);
                    line.clear();
                }
            }
        });
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut banner = String::new();
        let mut url = String::new();
        for line in lines.by_ref() {
            let line = line.unwrap();
            if let Some(found) = line.trim().strip_prefix("listening") {
                let first = found.split_whitespace().next();
                url = first.unwrap_or_default().to_owned();
            }
            banner.push_str(&line);
            banner.push('\n');
            if line.starts_with("curl ") {
                break;
            }
        }
        if url.is_empty() {
            process.wait().unwrap();
            reader.join().unwrap();
            panic!("no start: {}", log.lock().unwrap());
        }
        Self {
            process: Some(process),
            log,
            reader: Some(reader),
            banner,
            url,
        }
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        http(&self.url, "GET", path, &[], "")
    }

    /// SIGTERM, and what it left on stderr.
    pub(crate) fn stop(self) -> (Option<i32>, String) {
        signal(self.process(), "TERM");
        self.wait()
    }

    /// Waits for its end, which somebody has asked for.
    pub(crate) fn wait(mut self) -> (Option<i32>, String) {
        let code = self.process.take().unwrap().wait().unwrap().code();
        self.reader.take().unwrap().join().unwrap();
        (code, std::mem::take(&mut *self.log.lock().unwrap()))
    }

    /// Waits until its log has so many lines with these words.
    #[track_caller]
    pub(crate) fn logs(&self, words: &str, times: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let log = self.log.lock().unwrap();
            if log.lines().filter(|line| line.contains(words)).count() >= times {
                return;
            }
            assert!(Instant::now() < deadline, "no \"{words}\": {log}");
            drop(log);
            std::thread::yield_now();
        }
    }

    pub(crate) fn process(&self) -> &Child {
        self.process.as_ref().unwrap()
    }
}

impl Drop for Server {
    /// A test that fails leaves no server behind.
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

pub(crate) fn signal(process: &Child, name: &str) {
    let id = process.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-s", name, &id])
            .status()
            .unwrap()
            .success()
    );
}

/// One HTTP/1.1 request by hand.
pub(crate) fn http(
    url: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String) {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    stream
        .write_all(format!("{request}\r\n{body}").as_bytes())
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer
        .split_once("\r\n\r\n")
        .map_or("", |(_, body)| body)
        .to_owned();
    (status, body)
}
