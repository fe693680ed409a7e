//! A server inside the test's own process, on a port of its own, with a data directory of its
//! own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;

use belljar::app;
use belljar::audit::AuditLog;
use belljar::auth::{KeyStore, NewKey};
use belljar::clock::Clock;
use belljar::config::{Overrides, Settings, resolve};
use belljar::models::Registry;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::client::Client;
use crate::process::program;
use crate::raw::RawConnection;
use crate::warm::warm_up;

/// A running server with the embedded models. It ends when this is dropped;
/// [`TestHost::stop`] ends it in order.
pub struct TestHost {
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    redirect_address: Option<SocketAddr>,
    directory: TempDir,
    registry: Registry,
    keys: KeyStore,
    audit: AuditLog,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl TestHost {
    /// Starts a server with the default settings and waits until its models are loaded.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with settings, each as its key and value, for example
    /// `("require_api_key", "true")`.
    ///
    /// # Panics
    ///
    /// When it does not start, for example because a setting is unknown.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_at(Clock::system(), settings).await
    }

    /// Starts a server whose time is the test's, with settings.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start_at(clock: Clock, settings: &[(&str, &str)]) -> Self {
        Self::start_adjusted(clock, settings, |_| {}).await
    }

    /// The same, with a last word on what no setting reaches, such as which file lists the swap
    /// of the machine.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start_adjusted(
        clock: Clock,
        settings: &[(&str, &str)],
        adjust: impl FnOnce(&mut Settings),
    ) -> Self {
        let directory = tempfile::tempdir().expect("the test can make a directory");
        warm_up(directory.path()).await;
        let (listeners, app) = build(directory.path(), clock, settings, adjust).await;
        let address = listeners
            .main
            .local_addr()
            .expect("a bound listener has an address");
        let address_of = |listener: &Option<TcpListener>| listener.as_ref()?.local_addr().ok();
        let metrics_address = address_of(&listeners.metrics);
        let redirect_address = address_of(&listeners.redirect);
        let (registry, keys) = (app.registry().clone(), app.keys().clone());
        let audit = app.audit().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(app.serve(listeners, async {
            // Dropping the sender ends the server as well.
            let _ = stopped.await;
        }));
        registry.started().await;
        Self {
            address,
            metrics_address,
            redirect_address,
            directory,
            registry,
            keys,
            audit,
            stop,
            served,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it serves its metrics apart, if it does.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Where it sends plain requests to HTTPS, if it does.
    #[must_use]
    pub fn redirect_address(&self) -> Option<SocketAddr> {
        self.redirect_address
    }

    /// Its keys, behind HTTP.
    #[must_use]
    pub fn keys(&self) -> &KeyStore {
        &self.keys
    }

    /// Its record of security events, behind HTTP.
    #[must_use]
    pub fn audit(&self) -> &AuditLog {
        &self.audit
    }

    /// Its data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.directory.path()
    }

    /// Its models, behind HTTP.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// A caller without a key.
    #[must_use]
    pub fn anonymous(&self) -> Client {
        Client::new(self.address, None)
    }

    /// The caller with the admin key.
    ///
    /// # Panics
    ///
    /// When the server wrote none.
    #[must_use]
    pub fn admin(&self) -> Client {
        let key = std::fs::read_to_string(self.data_dir().join(app::ADMIN_KEY_FILE))
            .expect("the server writes its admin key before it serves");
        Client::new(self.address, Some(key.trim()))
    }

    /// A caller with a fresh key of these scopes, for example `infer,models:read`.
    ///
    /// # Panics
    ///
    /// When there is no such scope.
    pub async fn key(&self, scopes: &str) -> Client {
        self.key_for(scopes, None).await
    }

    /// A caller with a fresh key for some models only.
    ///
    /// # Panics
    ///
    /// When there is no such scope.
    pub async fn key_for(&self, scopes: &str, models: Option<&[&str]>) -> Client {
        let new = NewKey {
            name: "test".to_owned(),
            scopes: scopes.parse().expect("a test names scopes that exist"),
            models: models.map(|names| {
                names
                    .iter()
                    .map(|&name| name.to_owned())
                    .collect::<BTreeSet<_>>()
            }),
            ..NewKey::default()
        };
        let created = self.keys.create(new).await.expect("a key can be made");
        Client::new(self.address, Some(created.secret.expose()))
    }

    /// A connection without an HTTP library.
    pub async fn raw(&self) -> RawConnection {
        RawConnection::open(self.address).await
    }

    /// Ends the server as SIGTERM does, waits for it, and gives back its data directory.
    ///
    /// # Panics
    ///
    /// When the server has panicked.
    pub async fn stop(self) -> TempDir {
        drop(self.stop);
        drop((self.registry, self.keys));
        self.served.await.expect("the server ends without a panic");
        self.directory
    }
}

/// Builds a server that listens on a free port of the loopback address.
pub(crate) async fn build(
    data_dir: &Path,
    clock: Clock,
    settings: &[(&str, &str)],
    adjust: impl FnOnce(&mut Settings),
) -> (app::Listeners, app::App) {
    let mut overrides = Overrides::default();
    overrides.flag("--listen", "listen", "127.0.0.1:0");
    overrides.flag("--data-dir", "data_dir", data_dir.display());
    for (key, value) in settings {
        overrides.flag("the test", key, value);
    }
    // An environment that is empty, whatever the one of the test is.
    let environment = BTreeMap::<String, String>::new();
    let mut resolved = resolve(&overrides, &environment).unwrap_or_else(|error| panic!("{error}"));
    adjust(&mut resolved.settings);
    let listeners = app::bind(&resolved.settings)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let app = app::build_at(resolved, program(), clock)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    (listeners, app)
}
