//! The sockets that requests come in by: taken here, or passed on by the service manager.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use tokio::net::{TcpListener, UnixListener};

use super::AppError;
use super::local_socket::LocalSocket;
use crate::config::{PassedSockets, Settings};
use crate::http::Listening;

/// The sockets that requests come in by.
#[derive(Debug)]
pub struct Listeners {
    /// The API.
    pub main: TcpListener,
    /// The metrics, if they are served apart.
    pub metrics: Option<TcpListener>,
    /// Plain requests that are sent to HTTPS, if that is done.
    pub redirect: Option<TcpListener>,
    /// The API on a socket of the file system, if there is one, with the file that goes with it.
    pub unix: Option<(UnixListener, Option<LocalSocket>)>,
    /// The commands of this machine, where the API speaks TLS.
    pub local: Option<UnixListener>,
}

impl Listeners {
    /// What they are, for people.
    pub(super) fn described(&self, is_encrypted: bool) -> Vec<Listening> {
        let tcp = |purpose, listener: &TcpListener, is_encrypted| {
            let address = listener.local_addr().ok()?.to_string();
            Some(Listening {
                purpose,
                address,
                is_encrypted,
            })
        };
        let unix = |purpose, listener: &UnixListener| {
            let address = listener.local_addr().ok()?;
            Some(Listening {
                purpose,
                address: address.as_pathname()?.display().to_string(),
                is_encrypted: false,
            })
        };
        let metrics = self.metrics.as_ref();
        let redirect = self.redirect.as_ref();
        let all = [
            tcp("api", &self.main, is_encrypted),
            self.unix.as_ref().and_then(|(it, _)| unix("api", it)),
            metrics.and_then(|it| tcp("metrics", it, false)),
            redirect.and_then(|it| tcp("redirect", it, false)),
            self.local.as_ref().and_then(|it| unix("commands", it)),
        ];
        all.into_iter().flatten().collect()
    }
}

/// Advice about an address that cannot be had.
pub(super) fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program has it: stop that one, or choose another port with --listen"
        }
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need a privilege: choose another with --listen"
        }
        _ => "",
    }
}

/// Takes the addresses that the settings name. Done before anything else, because it is what
/// fails most often and costs least.
///
/// # Errors
///
/// When an address is taken, forbidden, or not one of this machine.
pub async fn bind(settings: &Settings) -> Result<Listeners, AppError> {
    bind_passed(settings, PassedSockets::default()).await
}

/// [`bind`], where some of the sockets were passed on. Each must be one that the settings name:
/// what guards a server follows from those.
///
/// # Errors
///
/// As [`bind`], and when a socket was passed on that no setting names.
pub async fn bind_passed(
    settings: &Settings,
    mut passed: PassedSockets,
) -> Result<Listeners, AppError> {
    let mut take = async |address: SocketAddr| {
        let at = passed.tcp.iter().position(|(given, _)| *given == address);
        let listener = match at.map(|at| passed.tcp.swap_remove(at)) {
            Some((_, listener)) => listener
                .set_nonblocking(true)
                .and_then(|()| TcpListener::from_std(listener)),
            None => TcpListener::bind(address).await,
        };
        listener.map_err(|source| AppError::Listen { address, source })
    };
    let main = take(settings.listen).await?;
    let mut take_if = async |address: Option<SocketAddr>| match address {
        Some(address) => take(address).await.map(Some),
        None => Ok(None),
    };
    let metrics = take_if(settings.metrics_listen).await?;
    let redirect = take_if(settings.tls.redirect_listen).await?;
    let unix = match &settings.unix.path {
        Some(path) => Some(unix(path, settings.unix.mode.0, &mut passed)?),
        None => None,
    };
    let left = passed.tcp.iter().map(|(address, _)| address.to_string());
    let left = left.chain(
        passed
            .unix
            .iter()
            .map(|(path, _)| path.display().to_string()),
    );
    let mut left = left.chain((passed.others > 0).then(|| "another kind of socket".to_owned()));
    match left.next() {
        Some(given) => Err(AppError::Passed { given }),
        None => Ok(Listeners {
            main,
            metrics,
            redirect,
            unix,
            local: None,
        }),
    }
}

fn unix(
    path: &Path,
    mode: u32,
    passed: &mut PassedSockets,
) -> Result<(UnixListener, Option<LocalSocket>), AppError> {
    let at = passed.unix.iter().position(|(given, _)| given == path);
    let listening = match at.map(|at| passed.unix.swap_remove(at)) {
        // Its file is whoever's has made it.
        Some((_, listener)) => listener
            .set_nonblocking(true)
            .and_then(|()| UnixListener::from_std(listener))
            .map(|listener| (listener, None)),
        None => LocalSocket::listen_at(path, mode).map(|(listener, file)| (listener, Some(file))),
    };
    listening.map_err(|source| AppError::File {
        path: path.to_owned(),
        source,
    })
}
