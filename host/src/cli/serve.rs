//! `belljar serve`: the server in the foreground, until a signal ends it.

use std::io;
use std::path::Path;
use std::time::Instant;

use belljar_bundle::DurationText;
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::{Failure, SettingArgs, output};
use belljar_screen::FieldKind;

use crate::app::{self, ADMIN_KEY_FILE, App, DiscoveryFile};
use crate::auth::AdminKey;
use crate::config::{Resolved, SystemEnvironment, resolve};
use crate::guard::Violation;
use crate::http::ProxyProtocol;
use crate::net::NetworkAcl;
use crate::telemetry;

#[derive(Args, Debug, Default)]
pub(super) struct ServeArgs {
    /// Where to listen (default: 127.0.0.1:8000)
    #[arg(long, value_name = "ADDR:PORT")]
    pub(super) listen: Option<String>,
    /// Require a key for every request: true, false or auto
    #[arg(
        long,
        value_name = "WHEN",
        num_args = 0..=1,
        default_missing_value = "true",
        require_equals = true
    )]
    require_api_key: Option<String>,
    /// Allow an address that other machines reach to be served without keys
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
    fn resolve(&self) -> Result<Resolved, Failure> {
        let mut overrides = self.settings.overrides()?;
        let given = [
            ("--listen", "listen", &self.listen),
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
        Ok(resolve(&overrides, &SystemEnvironment)?)
    }
}

/// Serves until SIGTERM or SIGINT.
pub(super) fn serve(args: &ServeArgs, started: Instant) -> Result<(), Failure> {
    let resolved = args.resolve()?;
    let _log = telemetry::init(&resolved.settings.log);
    allow_open_files();
    // Workers: one for each core, which is the default of the runtime.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("http")
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(serve_until_signal(resolved, started));
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

async fn serve_until_signal(resolved: Resolved, started: Instant) -> Result<(), Failure> {
    // Before the signals could come: from here on a SIGTERM is a clean stop.
    let signals = Signals::listen()?;
    let settings = resolved.settings.clone();
    let listeners = app::bind(&settings).await?;
    let address = listeners.main.local_addr()?;
    let metrics_address = listeners
        .metrics
        .as_ref()
        .and_then(|listener| listener.local_addr().ok());
    let app = app::build(resolved, std::env::current_exe()?).await?;
    let discovery = DiscoveryFile::of(address);
    let published = discovery.publish(&settings.data_dir)?;

    let cleaning = app.cleaning();
    tracing::info!(
        listen = %address,
        data_dir = %settings.data_dir.display(),
        %cleaning,
        keys_required = app.keys().key_required(),
        start_ms = started.elapsed().as_millis(),
        "serving"
    );
    let registry = app.registry().clone();
    tokio::spawn(async move {
        registry.started().await;
        tracing::info!(ready_ms = started.elapsed().as_millis(), "ready");
    });
    let keys = match (app.keys().key_required(), address.ip().is_loopback()) {
        (true, _) => "required",
        (false, true) => "not required to run models (only this machine can reach the server)",
        (false, false) => "NOT required, and other machines can reach the server (insecure)",
    };
    let admin_key = settings.data_dir.join(ADMIN_KEY_FILE);
    let admin_key_state = match app.admin_key() {
        AdminKey::Kept => "",
        AdminKey::Made(_) => " (made just now)",
        AdminKey::Renewed(_) => {
            " (made anew: the file was gone or useless; the secret before it is void)"
        }
        AdminKey::Elsewhere => " holds no key that works; another admin key does",
    };
    let mut banner = format!(
        "belljar {version}\n  listening   {url}\n  data        {data}\n  admin key   {key}{admin_key_state}\n  keys        {keys}\n  slots       cleaned by {cleaning}",
        version = env!("CARGO_PKG_VERSION"),
        url = discovery.url,
        data = settings.data_dir.display(),
        key = admin_key.display(),
    );
    if let Some(address) = metrics_address {
        banner.push_str(&format!("\n  metrics     http://{address}/metrics"));
    }
    banner.push_str(&guards(&app));
    banner.push_str(&format!(
        "\n\n{}\n",
        first_request(
            &discovery.url,
            app.keys().key_required().then_some(&admin_key),
            &settings.models
        )
    ));
    output::line(banner)?;

    let outcome = serve_and_stop(app, listeners, signals).await;
    drop(published);
    tracing::info!("stopped");
    outcome
}

/// The guards of the server that are on and off, as the running parts say it.
fn guards(app: &App) -> String {
    let bans = app.bans().config();
    let bans = if bans.enabled {
        let thresholds = Violation::ALL.map(|violation| {
            let name = violation.name().replace('_', " ");
            format!("{name} {}", bans.threshold(violation))
        });
        let times = bans
            .durations
            .0
            .map(|time| DurationText::from(time).to_string());
        format!(
            "for {}, by what comes within {}:\n              {}",
            times.join(", "),
            DurationText::from(bans.window),
            thresholds.join(", ")
        )
    } else {
        "OFF".to_owned()
    };
    let audit = app.audit().sinks().names();
    let audit = if audit.is_empty() {
        "OFF".to_owned()
    } else {
        audit.join(", ")
    };
    let http = app.http_config();
    let proxies = &http.origin.trusted_proxies;
    let proxies = if proxies.is_empty() {
        "none trusted: callers are their peers".to_owned()
    } else {
        proxies.to_string()
    };
    let rates = app.rates();
    let limits = if rates.is_enabled() {
        let rate = rates.server_rate();
        format!(
            "{} requests and {} tokens a minute",
            rate.requests, rate.tokens
        )
    } else {
        "OFF".to_owned()
    };
    let screening = [FieldKind::Prompt, FieldKind::Identifier, FieldKind::Header]
        .map(|kind| format!("{kind}s: {}", app.screening().mode(kind)))
        .join(", ");
    let mut lines = format!(
        "\n  limits      {limits}\n  bans        {bans}\n  screening   {screening}\n  audit log   {audit}\n  proxies     {proxies}"
    );
    if http.proxy_protocol == ProxyProtocol::Required {
        lines.push_str("; each connection begins with a PROXY header");
    }
    let NetworkAcl { allow, deny } = &http.acl;
    for (name, networks) in [("only from", allow), ("never from", deny)] {
        if !networks.is_empty() {
            lines.push_str(&format!("\n  {name:<12}{networks}"));
        }
    }
    lines
}

/// One command line that works at once.
fn first_request(
    url: &str,
    key: Option<&std::path::PathBuf>,
    models: &crate::models::Config,
) -> String {
    let key = key.map_or_else(String::new, |path| {
        format!(" -H \"x-api-key: $(cat {})\"", shell_word(path))
    });
    if models.fake {
        format!(
            "curl -N {url}/v1/chat/completions{key} -H 'content-type: application/json' -d \
             '{{\"model\":\"fake\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}]}}'"
        )
    } else {
        format!("curl {url}/v1/models{key}")
    }
}

/// A path as one word of a shell.
fn shell_word(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

/// The signals that end a server.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next one, by its name.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Serves until the first signal, and what is open then to its end. A second signal ends that,
/// too: who asks twice does not want to wait for streams.
async fn serve_and_stop(
    app: App,
    listeners: app::Listeners,
    mut signals: Signals,
) -> Result<(), Failure> {
    let (stop, stopped) = oneshot::channel::<()>();
    let mut serving = std::pin::pin!(app.serve(listeners, async {
        let _ = stopped.await;
    }));
    let name = tokio::select! {
        () = &mut serving => return Ok(()),
        name = signals.next() => name,
    };
    tracing::info!(
        signal = name,
        "stopping: no new connections, streams may end"
    );
    drop(stop);
    tokio::select! {
        () = serving => Ok(()),
        name = signals.next() => {
            tracing::warn!(signal = name, "stopped at once by a second signal");
            Err(Failure::from(anyhow::anyhow!("stopped before everything had ended")))
        }
    }
}
