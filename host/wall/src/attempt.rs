//! What a wall forbids, tried.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::process::Command;

use rustix::fs::{Mode, OFlags, inotify};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

use crate::{Calls, Reach, Wall};

/// One thing to try. None leaves anything behind, but for [`Attempt::Create`] where it works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attempt {
    /// Opening a file or a folder to read it.
    Read(PathBuf),
    /// Opening a file without a name in a folder, to write it.
    Write(PathBuf),
    /// Making a file that is not there.
    Create(PathBuf),
    /// Starting a program without arguments.
    Execute(PathBuf),
    /// Listening on a port of 127.0.0.1.
    Listen(u16),
    /// Connecting to a port of 127.0.0.1.
    Connect(u16),
    /// Asking whether a signal could be sent to a process.
    Signal(i32),
    /// Connecting to a socket with an abstract name.
    Abstract(String),
    /// Running a program that could bring privileges along.
    Privileges,
    /// A call that every process may make and no server needs: `inotify_init1`.
    Watch,
    /// Making a socket.
    Socket,
    /// Going to another namespace, which ends a process with a filter.
    Namespace,
    /// Another root for paths, which ends a process with a filter.
    Root,
    /// Putting up the wall of the compiling process, around files of no name: what is tried behind
    /// this is tried from within it.
    Compiler,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It worked.
    Done,
    /// The system refused it, with this number of its error.
    Refused(i32),
    /// It failed for another reason.
    Failed(String),
}

impl Attempt {
    /// Tries it, here and now.
    #[must_use]
    pub fn run(&self) -> Outcome {
        match self {
            Self::Compiler => {
                let wall = Wall::raise(&Reach::default(), Calls::Compiler);
                let missing: Vec<_> = wall.missing().iter().map(ToString::to_string).collect();
                match missing.is_empty() {
                    true => Outcome::Done,
                    false => Outcome::Failed(missing.join("; ")),
                }
            }
            Self::Privileges => match rustix::thread::no_new_privs() {
                Ok(true) => Outcome::Refused(Errno::PERM.raw_os_error()),
                Ok(false) => Outcome::Done,
                Err(error) => Outcome::Failed(error.to_string()),
            },
            other => match other.system() {
                Ok(()) => Outcome::Done,
                Err(error) => match error.raw_os_error() {
                    Some(number) => Outcome::Refused(number),
                    None => Outcome::Failed(error.to_string()),
                },
            },
        }
    }

    fn system(&self) -> io::Result<()> {
        match self {
            Self::Read(path) => File::open(path).map(drop),
            Self::Write(folder) => {
                let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
                rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR)?;
                Ok(())
            }
            Self::Create(path) => {
                let mut options = File::options();
                let options = options.write(true).create_new(true).mode(0o600);
                options.open(path).map(drop)
            }
            Self::Execute(program) => Command::new(program).status().map(drop),
            Self::Listen(port) => TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).map(drop),
            Self::Connect(port) => TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).map(drop),
            Self::Signal(process) => {
                let process = Pid::from_raw(*process).ok_or(Errno::SRCH)?;
                Ok(test_kill_process(process)?)
            }
            Self::Abstract(name) => {
                UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?).map(drop)
            }
            Self::Watch => {
                inotify::init(inotify::CreateFlags::CLOEXEC)?;
                Ok(())
            }
            Self::Socket => UnixDatagram::unbound().map(drop),
            Self::Namespace => {
                let input = io::stdin();
                Ok(rustix::thread::move_into_link_name_space(
                    input.as_fd(),
                    None,
                )?)
            }
            Self::Root => Ok(rustix::process::chroot("/")?),
            Self::Privileges | Self::Compiler => Ok(()),
        }
    }

    /// The error that a wall answers with. Another one comes from elsewhere and shows nothing.
    #[must_use]
    pub fn refused_with(&self) -> i32 {
        let error = match self {
            Self::Read(_)
            | Self::Write(_)
            | Self::Create(_)
            | Self::Execute(_)
            | Self::Listen(_)
            | Self::Connect(_) => Errno::ACCESS,
            Self::Signal(_) | Self::Abstract(_) | Self::Privileges => Errno::PERM,
            Self::Watch | Self::Socket | Self::Namespace | Self::Root | Self::Compiler => {
                Errno::NOSYS
            }
        };
        error.raw_os_error()
    }

    /// What is tried, for people: "to …".
    #[must_use]
    pub fn told(&self) -> String {
        match self {
            Self::Read(path) => format!("read {}", path.display()),
            Self::Write(folder) => format!("write in {}", folder.display()),
            Self::Create(path) => format!("make {}", path.display()),
            Self::Execute(program) => format!("start {}", program.display()),
            Self::Listen(_) => "listen on a port that no setting names".to_owned(),
            Self::Connect(_) => "connect to a port that no setting names".to_owned(),
            Self::Signal(_) => "signal another process".to_owned(),
            Self::Abstract(_) => "connect to an abstract socket".to_owned(),
            Self::Privileges => "gain privileges by a program".to_owned(),
            Self::Watch => "call inotify_init1".to_owned(),
            Self::Socket => "make a socket".to_owned(),
            Self::Namespace => "change the namespace".to_owned(),
            Self::Root => "change the root".to_owned(),
            Self::Compiler => "put up a wall within the wall".to_owned(),
        }
    }
}
