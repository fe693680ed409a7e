//! The server as a process of its own, for tests of what survives its death and of what a signal
//! does.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::client::Client;

/// How long a server may take to serve its first request. Long, because a first start compiles
/// the embedded models, and a busy machine does that slowly.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// A server process. Killed when dropped.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    address: SocketAddr,
    data_dir: PathBuf,
}

impl ServerProcess {
    /// Starts a server on a free port of the loopback address and waits until it is ready.
    ///
    /// # Panics
    ///
    /// When it does not get ready; the message has its log.
    pub async fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, |_| {}).await
    }

    /// As [`ServerProcess::start`], with more arguments or variables.
    ///
    /// # Panics
    ///
    /// When it does not get ready; the message has its log.
    pub async fn start_with(data_dir: &Path, prepare: impl FnOnce(&mut Command)) -> Self {
        Self::start_of(command(), data_dir, prepare).await
    }

    /// As [`ServerProcess::start_with`], of another program than [`program`].
    ///
    /// # Panics
    ///
    /// When it does not get ready; the message has its log.
    pub async fn start_of(
        mut command: Command,
        data_dir: &Path,
        prepare: impl FnOnce(&mut Command),
    ) -> Self {
        std::fs::create_dir_all(data_dir).expect("the test can write its directory");
        let log = File::create(data_dir.with_extension("log")).expect("the test can write its log");
        // What another life left behind must not be taken for this one's.
        let _ = std::fs::remove_file(data_dir.join("server.json"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        prepare(&mut command);
        let mut child = command
            .spawn()
            .expect("the server's program can be started");
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Some(address) = address(data_dir, child.id()) {
                let mut server = Self {
                    child,
                    address,
                    data_dir: data_dir.to_owned(),
                };
                server.wait_until_ready(deadline).await;
                return server;
            }
            let ended = child.try_wait().expect("a child can be waited for");
            if ended.is_some() || Instant::now() > deadline {
                let _ = child.kill();
                panic!(
                    "the server did not start ({ended:?}):\n{}",
                    log_of(data_dir)
                );
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn wait_until_ready(&mut self, deadline: Instant) {
        let client = self.anonymous();
        while Instant::now() < deadline {
            if client
                .try_get("/health/ready")
                .await
                .is_some_and(|answer| answer.status == 200)
            {
                return;
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("the server ended ({status}):\n{}", log_of(&self.data_dir));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("the server did not get ready:\n{}", log_of(&self.data_dir));
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// A caller without a key.
    #[must_use]
    pub fn anonymous(&self) -> Client {
        Client::new(self.address, None)
    }

    /// The caller with the admin key that the first start wrote.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn admin(&self) -> Client {
        let key = std::fs::read_to_string(self.data_dir.join("admin.key"))
            .expect("the server wrote its admin key before it was ready");
        Client::new(self.address, Some(key.trim()))
    }

    /// A caller with that key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Client {
        Client::new(self.address, Some(key))
    }

    /// Ends it as a power cut would: SIGKILL, nothing flushed.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end (SIGTERM) and waits.
    ///
    /// # Panics
    ///
    /// When it has not ended after half a minute.
    pub async fn terminate(mut self) -> ExitStatus {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        let pid = pid.expect("a child has a positive id");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)
            .expect("a child can be signalled");
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "did not end:\n{}",
                log_of(&self.data_dir)
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        log_of(&self.data_dir)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log_of(data_dir: &Path) -> String {
    std::fs::read_to_string(data_dir.with_extension("log")).unwrap_or_default()
}

/// Where the server of that process listens, once it says so.
fn address(data_dir: &Path, pid: u32) -> Option<SocketAddr> {
    let text = std::fs::read(data_dir.join("server.json")).ok()?;
    let value: serde_json::Value = serde_json::from_slice(&text).ok()?;
    if value.get("pid")?.as_u64()? != u64::from(pid) {
        return None;
    }
    value
        .get("url")?
        .as_str()?
        .strip_prefix("http://")?
        .parse()
        .ok()
}

/// A command of the server's program without the settings of whoever runs the tests: a variable
/// that begins like a setting and is none stops a start.
#[must_use]
pub fn command() -> Command {
    let mut command = Command::new(program());
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"BELLJAR_") {
            command.env_remove(name);
        }
    }
    command
}

/// The server's program: the `belljar-under-test` of this package, which is `host/src/main.rs`
/// under another name. Cargo builds the programs of a package before its tests, so it is always
/// there and never stale, whichever way the tests are started.
///
/// # Panics
///
/// When it is not there.
#[must_use]
pub fn program() -> PathBuf {
    const NAME: &str = "belljar-under-test";
    if let Some(path) = std::env::var_os(format!("CARGO_BIN_EXE_{NAME}")) {
        return path.into();
    }
    // Tests are in `target/<profile>/deps`, programs one folder up.
    let test = std::env::current_exe().expect("a test knows its own program");
    let program = test
        .ancestors()
        .skip(1)
        .map(|folder| folder.join(NAME))
        .find(|path| path.is_file());
    program.unwrap_or_else(|| panic!("{NAME} is not beside {}: use cargo test", test.display()))
}
