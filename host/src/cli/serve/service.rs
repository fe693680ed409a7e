//! Tells the service manager how the server is, in the way of `sd_notify(3)`.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::app::Pulse;

/// Whom to tell; nobody where nobody has asked. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Notifier(Option<Arc<(UnixDatagram, SocketAddr)>>);

/// How long systemd is asked to wait on while models are loaded, and how often.
const STARTING: &str = "EXTEND_TIMEOUT_USEC=60000000";
const STARTING_PERIOD: Duration = Duration::from_secs(20);

impl Notifier {
    pub(super) fn new(socket: Option<&str>) -> Self {
        let to = socket.and_then(|name| match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name).ok(),
            None => SocketAddr::from_pathname(name).ok(),
        });
        let from = UnixDatagram::unbound().and_then(|socket| {
            // Whoever does not listen holds up nothing.
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        Self(to.zip(from.ok()).map(|(to, from)| Arc::new((from, to))))
    }

    fn tell(&self, state: &str) {
        if let Some(socket) = &self.0 {
            let (from, to) = &**socket;
            if let Err(error) = from.send_to_addr(state.as_bytes(), to) {
                tracing::warn!("the service manager cannot be told `{state}`: {error}");
            }
        }
    }

    /// Says that models are being loaded until `started` is over, and then that the server is
    /// ready.
    pub(super) async fn tell_start(&self, started: impl Future<Output = ()>) {
        let mut started = std::pin::pin!(started);
        while tokio::time::timeout(STARTING_PERIOD, &mut started)
            .await
            .is_err()
        {
            self.tell(STARTING);
        }
        self.ready();
    }

    /// Says that the server is ready, or ready again.
    pub(super) fn ready(&self) {
        self.tell("READY=1");
    }

    /// Says that the settings are being read again.
    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
    }

    /// Says that the server is about to stop.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Gives signs of life as often as they are wanted, for as long as the server answers.
    pub(super) async fn watch(self, period: Duration, pulse: Pulse) {
        // Half of the time to ask in, and half for the answer.
        let half = period / 2;
        let mut tick = tokio::time::interval(half);
        loop {
            tick.tick().await;
            if pulse.beats_within(half).await {
                self.tell("WATCHDOG=1");
            } else {
                tracing::error!("the server does not answer itself: no sign of life is given");
            }
        }
    }
}
