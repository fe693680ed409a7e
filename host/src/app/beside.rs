//! What is served beside the API itself: the metrics on a port of their own, the port that sends
//! to HTTPS, sockets of this machine, and the server's
//! requests to itself.

use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::App;
use super::local_socket::LocalSocket;
use crate::api;
use crate::http::{self, BrowserConfig, Listener};

/// The listeners beside the one of the API.
pub(super) struct Beside {
    pub(super) metrics: Option<TcpListener>,
    pub(super) redirect: Option<TcpListener>,
    pub(super) unix: Option<(UnixListener, Option<LocalSocket>)>,
    pub(super) local: Option<UnixListener>,
    /// Connections of the server to itself.
    pub(super) pulse: mpsc::Receiver<UnixStream>,
    /// The port of the API.
    pub(super) main_port: u16,
}

impl App {
    /// Serves them until `stop`.
    pub(super) fn serve_beside(&self, beside: Beside, stop: &CancellationToken) -> JoinSet<()> {
        let mut servers = JoinSet::new();
        let settings = &self.resolved.settings;
        if let Some(listener) = beside.metrics {
            let address = listener.local_addr().ok();
            let browser = BrowserConfig {
                listens_on: address.map(|address| address.ip()),
                ..BrowserConfig::default()
            };
            let router = http::operators_router(api::metrics_route(), self.state.clone(), &browser);
            let config = settings.http.for_operators();
            let stopped = stop.clone().cancelled_owned();
            servers.spawn(http::serve(listener, None, router, config, stopped));
        }
        if let Some(listener) = beside.redirect {
            let port = settings.tls.redirect_port;
            let port = port.and_then(|port| u16::try_from(port).ok());
            let port = port.unwrap_or(beside.main_port);
            let router = http::redirect_router(port, &settings.http.browser);
            let config = settings.http.clone();
            let stopped = stop.clone().cancelled_owned();
            servers.spawn(http::serve(listener, None, router, config, stopped));
        }
        let local = beside.local.map(Listener::from);
        for listener in local.into_iter().chain([Listener::from(beside.pulse)]) {
            let config = settings.http.for_operators();
            let stopped = stop.clone().cancelled_owned();
            servers.spawn(http::serve(listener, None, self.router(), config, stopped));
        }
        if let Some((listener, file)) = beside.unix {
            let config = settings.http.for_operators();
            let stopped = stop.clone().cancelled_owned();
            let serving = http::serve(listener, None, self.router(), config, stopped);
            servers.spawn(async move {
                serving.await;
                drop(file);
            });
        }
        if let Some(tls) = self.tls.clone() {
            let stop = stop.clone();
            servers.spawn(async move { tls.watch(stop).await });
        }
        servers
    }
}
