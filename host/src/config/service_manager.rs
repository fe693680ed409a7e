//! What the service manager (systemd) tells a service by its environment: sockets that it listens
//! on already, where it wants to hear how the service is, and how often.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

use listenfd::ListenFd;

use super::environment::{Environment, SystemEnvironment};

/// What was told.
#[derive(Debug, Default)]
pub struct ServiceManager {
    /// The socket that is told how the service is: a path, or `@` and a name.
    pub notify: Option<String>,
    /// The longest time between two signs of life, if any are wanted.
    pub watchdog: Option<Duration>,
    /// Sockets that are listened on already.
    pub sockets: PassedSockets,
}

/// Sockets that are listened on already.
#[derive(Debug, Default)]
pub struct PassedSockets {
    /// Ports.
    pub tcp: Vec<(SocketAddr, TcpListener)>,
    /// Sockets in the file system.
    pub unix: Vec<(PathBuf, UnixListener)>,
    /// How many are neither.
    pub others: usize,
}

impl ServiceManager {
    /// What was told to this process, and not to one that has started it.
    #[must_use]
    pub fn of_this_process() -> Self {
        let environment = SystemEnvironment;
        let number = |name: &str| environment.variable(name)?.parse::<u64>().ok();
        let pid = number("WATCHDOG_PID");
        let is_for_us = pid.is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|time| is_for_us && *time > 0);
        Self {
            notify: environment.variable("NOTIFY_SOCKET"),
            watchdog: watchdog.map(Duration::from_micros),
            sockets: PassedSockets::of(ListenFd::from_env()),
        }
    }
}

impl PassedSockets {
    fn of(mut passed: ListenFd) -> Self {
        let mut sockets = Self::default();
        for at in 0..passed.len() {
            if let Ok(Some(listener)) = passed.take_tcp_listener(at)
                && let Ok(address) = listener.local_addr()
            {
                sockets.tcp.push((address, listener));
            } else if let Ok(Some(listener)) = passed.take_unix_listener(at)
                && let Ok(address) = listener.local_addr()
                && let Some(path) = address.as_pathname()
            {
                sockets.unix.push((path.to_owned(), listener));
            } else {
                sockets.others += 1;
            }
        }
        sockets
    }
}
