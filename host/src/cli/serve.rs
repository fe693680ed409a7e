//! `belljar serve`: the server in the foreground, until a signal ends it.

mod banner;
mod service;
mod settings_reader;
mod wall;

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use belljar_bundle::DurationText;
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::UnixListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::{Failure, SettingArgs, output};
use crate::app::{self, App, DiscoveryFile, LocalSocket, Reloader};
use crate::config::{Environment, Resolved, ServiceManager, resolve};
use crate::http::{ProxyProtocol, ReloadRequest};
use crate::models::Registry;
use crate::telemetry;
use service::Notifier;
use settings_reader::SettingsReader;
use wall::{Known, OWN_PROGRAM};
pub(super) use wall::{ProbeArgs, probe};

#[derive(Args, Clone, Debug, Default)]
pub(super) struct ServeArgs {
    /// Where to listen (default: 127.0.0.1:8000)
    #[arg(long, value_name = "ADDR:PORT")]
    pub(super) listen: Option<String>,
    /// Speak TLS with the certificate in this file (PEM); several with commas
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<String>,
    /// Its private key (default: in the certificate's file)
    #[arg(long, value_name = "FILE")]
    tls_key: Option<String>,
    /// Require a key for every request: true, false or auto
    #[arg(
        long,
        value_name = "WHEN",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    require_api_key: Option<String>,
    /// Allow `--require-api-key=false` on an address that other machines reach
    #[arg(long)]
    insecure: bool,
    /// Form of log lines: text or json
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Log lines to write: error, warn, info, debug, trace or off
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    #[command(flatten)]
    settings: SettingArgs,
}

impl ServeArgs {
    fn resolve(&self, environment: &dyn Environment) -> Result<Resolved, Failure> {
        let mut overrides = self.settings.overrides()?;
        let given = [
            ("--listen", "listen", &self.listen),
            ("--tls-cert", "tls.cert", &self.tls_cert),
            ("--tls-key", "tls.key", &self.tls_key),
            (
                "--require-api-key",
                "require_api_key",
                &self.require_api_key,
            ),
            ("--log-format", "log.format", &self.log_format),
            ("--log-level", "log.level", &self.log_level),
        ];
        for (flag, key, value) in given {
            if let Some(value) = value {
                overrides.flag(flag, key, value);
            }
        }
        if self.insecure {
            overrides.flag("--insecure", "insecure", true);
        }
        Ok(resolve(&overrides, environment)?)
    }
}

/// Serves until SIGTERM or SIGINT, or until the terminal is closed that it was started in.
pub(super) fn serve(args: &ServeArgs, started: Instant) -> Result<(), Failure> {
    let mut reader = SettingsReader::new(args.clone());
    // Vault may have to be asked before anything is known, the number of threads included.
    let asking = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let resolved = asking.block_on(reader.read())?;
    drop(asking);
    let manager = ServiceManager::of_this_process();
    // Before there is another thread, and the log has one.
    let raised = wall::raise(&resolved, &manager);
    let _log = telemetry::init(&resolved.settings.log);
    let wall = raised.known()?;
    if !resolved.passed_over.is_empty() {
        tracing::info!(
            "passed over, because Kubernetes and Docker set them for a Service or link of this \
             name: {}",
            resolved.passed_over.join(", ")
        );
    }
    allow_open_files();
    // Workers: one for each core, which is the default of the runtime.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("http")
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(serve_until_signal(reader, resolved, manager, wall, started));
    // A blocking task that hangs must not hold the process.
    runtime.shutdown_background();
    outcome
}

/// Takes as many file descriptors as the system lets this process have: the usual soft limit of
/// 1 024 is from the days of `select`, and below the connections that are served at once.
fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!("the limit of open files stays as it is: {error}");
    }
}

async fn serve_until_signal(
    reader: SettingsReader,
    resolved: Resolved,
    manager: ServiceManager,
    wall: Known,
    started: Instant,
) -> Result<(), Failure> {
    // Before the signals could come: from here on a SIGTERM is a clean stop.
    let signals = Signals::listen()?;
    let hang_up = signal(SignalKind::hangup())?;
    let settings = resolved.settings.clone();
    let notifier = Notifier::new(manager.notify.as_deref());
    let mut listeners = app::bind_passed(&settings, manager.sockets).await?;
    let address = listeners.main.local_addr()?;
    let metrics_address = listeners
        .metrics
        .as_ref()
        .and_then(|listener| listener.local_addr().ok());
    let mut app = app::build(resolved, OWN_PROGRAM.into()).await?;
    wall.count();
    let wall = Arc::new(wall);
    // Neither of these ports is one that a command of this machine could just ask.
    let is_closed = settings.tls.is_on() || settings.http.proxy_protocol != ProxyProtocol::Off;
    let local = is_closed.then(|| local_socket(&settings.data_dir));
    let (local, socket) = local.flatten().unzip();
    listeners.local = local;
    let mut file = DiscoveryFile::of(address, settings.tls.is_on());
    file.socket = socket.as_ref().map(|socket| socket.path().to_owned());
    let published = file.publish(&settings.data_dir)?;

    let slot_reset = app.slot_reset();
    tracing::info!(
        listen = %address,
        data_dir = %settings.data_dir.display(),
        cleaning = %slot_reset,
        keys_required = app.keys().key_required(),
        start_ms = started.elapsed().as_millis(),
        "serving"
    );
    tokio::spawn(tell_readiness(app.registry().clone(), started));
    tokio::spawn({
        let (notifier, registry) = (notifier.clone(), app.registry().clone());
        async move { notifier.tell_start(registry.started()).await }
    });
    if let Some(period) = manager.watchdog {
        tokio::spawn(notifier.clone().watch(period, app.pulse()));
    }
    if let Some(mut reloader) = app.reloader() {
        let wall = Arc::clone(&wall);
        if let Some(ports) = wall.ports() {
            reloader.keep_within(ports.clone());
        }
        let reloading = reload_when_asked(hang_up, reader, reloader, wall, notifier.clone());
        tokio::spawn(reloading);
    }
    let shown = banner::Shown {
        settings: &settings,
        address,
        file: &file,
        metrics: metrics_address,
        wall: wall.report.as_ref(),
    };
    output::line(banner::of(&app, &shown))?;

    let outcome = serve_and_stop(app, listeners, signals, &notifier).await;
    drop((published, socket));
    tracing::info!("stopped");
    outcome
}

/// The socket for commands of this machine. A server without one serves all the same.
fn local_socket(data_dir: &Path) -> Option<(UnixListener, LocalSocket)> {
    let listening = LocalSocket::listen(data_dir);
    let told = |error| {
        tracing::warn!(
            "commands on this machine find this server only with --server: its socket in the data \
             directory cannot be made: {error}"
        );
    };
    listening.map_err(told).ok()
}

/// Says once whether every active model runs.
async fn tell_readiness(registry: Registry, started: Instant) {
    registry.started().await;
    let down = registry.active_down();
    if down.is_empty() {
        tracing::info!(ready_ms = started.elapsed().as_millis(), "ready");
        return;
    }
    let names: Vec<String> = down.iter().map(ToString::to_string).collect();
    tracing::error!(
        "not ready: no requests can be served by {}. `belljar models show` says why; \
         `belljar models deactivate` and `remove` let the server be ready without them",
        names.join(", ")
    );
}

/// Reads the settings again whenever somebody asks for it: by the signal that is usual for servers,
/// or by a request. One reading comes after another.
async fn reload_when_asked(
    mut hang_up: Signal,
    mut reader: SettingsReader,
    mut reloader: Reloader,
    wall: Arc<Known>,
    notifier: Notifier,
) {
    let terminal = Terminal::of_this_process();
    loop {
        let request = tokio::select! {
            Some(()) = hang_up.recv() => {
                if terminal.is_gone() {
                    continue;
                }
                ReloadRequest::of_machine()
            }
            () = reader.changed() => ReloadRequest::of_machine(),
            Some(request) = reloader.asked() => request,
            else => return,
        };
        notifier.reloading();
        let read = reader.read().await;
        let beyond = read.as_ref().map(|read| wall.beyond(read));
        let beyond = beyond.unwrap_or_default();
        let read = read.map_err(|failure| failure.problems());
        reloader.reload(read, request).await;
        for folder in beyond {
            tracing::warn!(
                "reload: the wall around this server lets nothing in {} be read, because no \
                 setting named it at the start: restart, or name it in `hardening_read_paths` \
                 before",
                folder.display()
            );
        }
        notifier.ready();
    }
}

/// The terminal that the process was started in, if it was. The same signal says that it is closed
/// and that settings are to be read again; what tells them apart is whether it is still there.
#[derive(Clone, Copy, Debug)]
struct Terminal {
    was_there: bool,
}

impl Terminal {
    fn of_this_process() -> Self {
        Self {
            was_there: Self::is_there(),
        }
    }

    fn is_there() -> bool {
        io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal()
    }

    fn is_gone(self) -> bool {
        self.was_there && !Self::is_there()
    }
}

/// The signals that end a server.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// A terminal that is closed.
    hang_up: Signal,
    terminal: Terminal,
    /// A file at its cap: heard, so that the write fails instead of ending the process.
    _file_size: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            terminal: Terminal::of_this_process(),
            _file_size: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    /// The next one, by its name.
    async fn next(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hang_up.recv() => {
                    if self.terminal.is_gone() {
                        return "SIGHUP";
                    }
                }
            }
        }
    }
}

/// Serves until the first signal, and what is open then to its end. A second signal ends that,
/// too: who asks twice does not want to wait for streams.
async fn serve_and_stop(
    app: App,
    listeners: app::Listeners,
    mut signals: Signals,
    notifier: &Notifier,
) -> Result<(), Failure> {
    let delay = app.http_config().shutdown_delay;
    let (stop, stopped) = oneshot::channel::<()>();
    let mut serving = std::pin::pin!(app.serve(listeners, async {
        let _ = stopped.await;
    }));
    let name = tokio::select! {
        () = &mut serving => return Ok(()),
        name = signals.next() => name,
    };
    notifier.stopping();
    if delay.is_zero() {
        tracing::info!(
            signal = name,
            "stopping: no new connections, streams may end"
        );
    } else {
        tracing::info!(
            signal = name,
            "stopping: not ready from now on, no new connections after {}, streams may end",
            DurationText::from(delay)
        );
    }
    drop(stop);
    tokio::select! {
        () = serving => Ok(()),
        name = signals.next() => {
            tracing::warn!(signal = name, "stopped at once by a second signal");
            Err(Failure::from(anyhow::anyhow!("stopped before everything had ended")))
        }
    }
}
