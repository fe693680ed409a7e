//! Tries a wall: what worked before it, and must not from within.
//!
//! What is tried is chosen before the wall goes up, from what this process can do then: a refusal
//! afterwards is the wall's and nobody else's. A child tries it, which has the same wall: a filter
//! that ends who breaks it does not end the server.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::fs::Access;
use rustix::process::getppid;

use crate::report::Report;
use crate::{Attempt, Guard, Outcome, Reach, Wall};

/// The hidden command of the program that runs [`probe`].
pub const PROBE_COMMAND: &str = "wall-probe";
/// How long the child may take for all of it; it takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of its answer that are read.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// What is read, written and started on most machines, and by no server. The first that this
/// process can use, and may not from within, is tried.
const FILES: [&str; 4] = ["/etc/passwd", "/etc/os-release", "/etc/hostname", "/"];
const FOLDERS: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];
/// Programs that do nothing without arguments and input.
const PROGRAMS: [&str; 3] = ["/bin/sh", "/bin/true", "/usr/bin/true"];

/// What will be tried.
#[derive(Debug)]
pub struct Trial {
    attempts: Vec<(Guard, Attempt)>,
    /// What is connected to: it must be there when that is tried.
    _there: (Option<TcpListener>, Option<UnixListener>),
}

/// A child that is trying.
#[derive(Debug)]
pub struct Trying {
    wall: Wall,
    trial: Trial,
    started: io::Result<(Child, UnixStream)>,
}

impl Trial {
    /// Chooses what to try of a wall that leaves this in reach. Call it before that goes up.
    #[must_use]
    pub fn choose(reach: &Reach) -> Self {
        let mut attempts = Vec::new();
        let mut add = |guard, attempt: Option<Attempt>| {
            attempts.extend(attempt.map(|attempt| (guard, attempt)));
        };
        let works = |attempt: &Attempt| attempt.run() == Outcome::Done;
        let path = |path: &&str| PathBuf::from(*path);
        let read = FILES.iter().map(path).filter(|it| !reach.may_read(it));
        add(Guard::Files, read.map(Attempt::Read).find(works));
        let write = FOLDERS.iter().map(path);
        let write = write.filter(|it| !reach.may_write(it));
        let write = write.map(Attempt::Write).find(works);
        add(Guard::Files, write.clone());
        let mut start = PROGRAMS.iter().map(path);
        let start = start
            .find(|it| !reach.may_execute(it) && rustix::fs::access(it, Access::EXEC_OK).is_ok());
        add(Guard::Files, start.map(Attempt::Execute));

        let there = listening();
        let connect = there.as_ref().map(|(_, port)| *port);
        let connect = connect.filter(|port| !reach.connect.contains(port));
        add(Guard::Network, connect.map(Attempt::Connect).filter(works));
        // One that is free now.
        let free = listening().map(|(_, port)| port);
        let listen = free.filter(|port| !reach.listen.contains(port));
        add(Guard::Network, listen.map(Attempt::Listen).filter(works));

        let parent = getppid().map(|parent| Attempt::Signal(parent.as_raw_pid()));
        add(Guard::Processes, parent.filter(works));
        let name = format!("belljar-wall-{}", std::process::id());
        let called = SocketAddr::from_abstract_name(&name).ok();
        let called = called.and_then(|name| UnixListener::bind_addr(&name).ok());
        let reached =
            (called.is_some() && !reach.abstract_sockets).then_some(Attempt::Abstract(name));
        add(Guard::Processes, reached.filter(works));

        add(Guard::Calls, Some(Attempt::Watch).filter(works));
        add(Guard::Privileges, Some(Attempt::Privileges));
        // From within the wall of the compiling process, which is tighter.
        add(Guard::Compiler, Some(Attempt::Compiler));
        add(
            Guard::Compiler,
            Some(Attempt::Read("/proc/self/exe".into())),
        );
        add(Guard::Compiler, write);
        add(Guard::Compiler, Some(Attempt::Socket));
        Self {
            attempts,
            _there: (there.map(|(listener, _)| listener), called),
        }
    }

    /// Starts the child, which is this program again, behind the wall that is up now.
    #[must_use]
    pub fn begin(self, wall: Wall, program: &Path) -> Trying {
        let started = self.child(program);
        Trying {
            wall,
            trial: self,
            started,
        }
    }

    fn child(&self, program: &Path) -> io::Result<(Child, UnixStream)> {
        let attempts: Vec<_> = self.attempts.iter().map(|(_, attempt)| attempt).collect();
        let attempts = serde_json::to_string(&attempts)?;
        let (own, its) = UnixStream::pair()?;
        own.set_read_timeout(Some(PATIENCE))?;
        let child = Command::new(program)
            .args([PROBE_COMMAND, &attempts])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(OwnedFd::from(its))
            .stderr(Stdio::null())
            .spawn()?;
        Ok((child, own))
    }
}

/// A listener on a free port.
fn listening() -> Option<(TcpListener, u16)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    let port = listener.local_addr().ok()?.port();
    Some((listener, port))
}

impl Trying {
    /// Waits for the child, up to ten seconds, and says what its attempts have shown.
    #[must_use]
    pub fn finish(self) -> Report {
        let Self {
            wall,
            trial,
            started,
        } = self;
        let answered = started.and_then(|(mut child, stream)| {
            let mut answer = String::new();
            let read = stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer);
            if read.is_err() {
                let _ = child.kill();
            }
            let status = child.wait()?;
            read?;
            let outcomes: Vec<Outcome> = serde_json::from_str(&answer)
                .map_err(|_| io::Error::other(format!("the trying process ended with {status}")))?;
            Ok(outcomes)
        });
        match answered {
            Ok(outcomes) if outcomes.len() == trial.attempts.len() => {
                let tried = trial.attempts.into_iter().zip(outcomes);
                let tried: Vec<_> = tried.map(|((guard, it), came)| (guard, it, came)).collect();
                Report::new(&wall, &tried)
            }
            Ok(_) => Report::untried(&wall, "the trying process has left something out"),
            Err(error) => Report::untried(&wall, &error.to_string()),
        }
    }
}

/// The child's side: tries what it is told, in order, and prints what came of it.
#[must_use]
pub fn probe(attempts: &[Attempt]) -> ExitCode {
    let outcomes: Vec<Outcome> = attempts.iter().map(Attempt::run).collect();
    let mut out = io::stdout().lock();
    let told = serde_json::to_string(&outcomes)
        .map_err(io::Error::from)
        .and_then(|text| writeln!(out, "{text}"));
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
