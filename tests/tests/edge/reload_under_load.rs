//! Everything that can change while a server serves, changed under requests that come by the clock:
//! so many a second, whatever becomes of those before.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::Request;
use belljar_tests::command;
use bytes::Bytes;
use h2::client::SendRequest;
use rustls::ClientConfig;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::kit::{Authority, Folder, PATIENCE, connect, get, shown};
use crate::secrets::{Killed, start_with_tls, until};

/// Requests a second.
const A_SECOND: u32 = 200;
/// Changes of each kind, one in a second at most.
const ROUNDS: usize = 5;
/// Requests of those seconds. There are more where the changes take longer.
const SENT_MIN: usize = ROUNDS * A_SECOND as usize;
/// Connections that are kept all the while, each with many requests at once.
const KEPT: usize = 4;
/// Of so many requests one comes by a connection of its own.
const ALONE: usize = 10;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A server process that speaks TLS, with its settings in a file.
struct Edited {
    server: Killed,
    address: SocketAddr,
    folder: Folder,
    authority: Authority,
}

impl Edited {
    async fn start() -> Self {
        let (authority, folder) = (Authority::new("the test"), Folder::new());
        folder.certificate("server", &authority.issue(&["localhost"]));
        belljar_tests::warm_up(&folder.path("data")).await;
        let file = configure(&folder, "from-the-start");
        let (server, address) = start_with_tls(&folder, &[("BELLJAR_CONFIG", &file)]).await;
        Self {
            server,
            address,
            folder,
            authority,
        }
    }

    /// The certificate that a new connection is shown.
    async fn certificate(&self) -> Vec<u8> {
        let client = self.authority.trusting();
        shown(&connect(self.address, "localhost", client).await.unwrap())
    }

    fn hang_up(&self) {
        let pid = i32::try_from(self.server.0.id()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    }

    async fn reload(&self) {
        let mut reload = tokio::process::Command::from(command());
        reload.arg("reload").arg("--data-dir");
        let output = reload.arg(self.folder.path("data")).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
    }
}

/// Writes settings with another name for a model, which shows that they are in force, and gives
/// their file. There is room for every request at once: a machine that does much else is no failure.
fn configure(folder: &Folder, alias: &str) -> String {
    let path = |name: &str| folder.path(name).display().to_string();
    let text = format!(
        "[tls]\ncert = '{}'\nkey = '{}'\nwatch_period = '20 ms'\nhandshake_timeout = '60 s'\n\
         [sandbox]\nqueue_max = 8192\nmodel_queue_max = 8192\nqueue_wait = '2 min'\n\
         [models]\naliases = ['{alias}=echo']\n",
        path("server.pem"),
        path("server.key"),
    );
    folder.write("belljar.toml", &text)
}

/// A connection of HTTP/2 that is kept.
#[derive(Clone)]
struct Kept {
    requests: SendRequest<Bytes>,
    url: String,
}

impl Kept {
    async fn open(address: SocketAddr, mut client: ClientConfig) -> Self {
        client.alpn_protocols = vec![b"h2".to_vec()];
        let stream = connect(address, "localhost", client).await.unwrap();
        let (requests, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        Self {
            requests,
            url: format!("https://localhost:{}/infer", address.port()),
        }
    }

    /// The status of a run of a model.
    async fn infer(self, model: &str) -> Result<u16, Failure> {
        let request = Request::post(self.url).header("content-type", "application/json");
        let body = serde_json::json!({"model": model, "inputs": {"x": [1, 2]}});
        let mut ready = self.requests.ready().await?;
        let (answer, mut sending) = ready.send_request(request.body(())?, false)?;
        sending.send_data(body.to_string().into(), true)?;
        let (head, mut body) = answer.await?.into_parts();
        while let Some(data) = body.data().await {
            let bytes = data?.len();
            body.flow_control().release_capacity(bytes)?;
        }
        Ok(head.status.as_u16())
    }

    /// The same of one that must be answered.
    async fn ask(&self, model: &str) -> u16 {
        self.clone().infer(model).await.unwrap()
    }
}

/// The status of a request by a connection of its own.
async fn alone(address: SocketAddr, client: ClientConfig) -> Result<u16, Failure> {
    let stream = connect(address, "localhost", client).await?;
    let answer = get(stream, "/health/live").await?;
    let status = answer.split(' ').nth(1).ok_or("no answer")?;
    Ok(status.parse()?)
}

/// What those who send and those who change know of one another.
#[derive(Default)]
struct Progress {
    sent: AtomicUsize,
    is_all_changed: AtomicBool,
}

/// Sends requests by the clock until everything has changed. Gives how many the clock has asked for,
/// and the answers of all that were sent.
async fn send(
    address: SocketAddr,
    client: ClientConfig,
    progress: Arc<Progress>,
) -> (usize, JoinSet<Result<u16, Failure>>) {
    let mut kept = Vec::new();
    for _ in 0..KEPT {
        kept.push(Kept::open(address, client.clone()).await);
    }
    let mut sent = JoinSet::new();
    let period = Duration::from_secs(1) / A_SECOND;
    let mut clock = tokio::time::interval(period);
    // What became due while this machine did something else is sent at once.
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let begun = clock.tick().await;
    let mut due = begun;
    loop {
        let number = sent.len();
        if number.is_multiple_of(ALONE) {
            sent.spawn(alone(address, client.clone()));
        } else {
            sent.spawn(kept[number % KEPT].clone().infer("echo"));
        }
        progress.sent.store(sent.len(), Ordering::Relaxed);
        if sent.len() >= SENT_MIN && progress.is_all_changed.load(Ordering::Relaxed) {
            break;
        }
        due = clock.tick().await;
    }
    let periods = (due - begun).as_millis() / period.as_millis();
    (usize::try_from(periods).unwrap() + 1, sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_requests_a_second_meet_every_kind_of_change_and_none_fails() {
    let server = Edited::start().await;
    let (address, client) = (server.address, server.authority.trusting());
    let asking = Kept::open(address, client.clone()).await;
    until("its models are there", async || {
        asking.ask("from-the-start").await == 200
    })
    .await;
    let progress = Arc::new(Progress::default());
    let sending = tokio::spawn(send(address, client, Arc::clone(&progress)));
    for round in 0..ROUNDS {
        until("requests go on", async || {
            progress.sent.load(Ordering::Relaxed) >= round * A_SECOND as usize
        })
        .await;
        // A renewal, which is noticed.
        let before = server.certificate().await;
        let renewed = server.authority.issue(&["localhost"]);
        server.folder.certificate("server", &renewed);
        until(
            "new connections are shown another certificate",
            async || server.certificate().await != before,
        )
        .await;
        // Other settings, by the signal, to which nobody answers.
        let signalled = format!("by-signal-{round}");
        configure(&server.folder, &signalled);
        server.hang_up();
        until("the signal was heard", async || {
            asking.ask(&signalled).await == 200
        })
        .await;
        // And by the command: when it has ended they are in force.
        let commanded = format!("by-command-{round}");
        configure(&server.folder, &commanded);
        server.reload().await;
        assert_eq!(asking.ask(&commanded).await, 200);
        assert_eq!(asking.ask(&signalled).await, 404);
    }
    progress.is_all_changed.store(true, Ordering::Relaxed);
    let (due, sent) = sending.await.unwrap();
    assert_eq!(sent.len(), due, "as many as the clock asks for");
    assert!(due >= SENT_MIN, "{due}");
    let answers = tokio::time::timeout(6 * PATIENCE, sent.join_all()).await;
    let answers = answers.expect("all are answered");
    let failed: Vec<_> = answers
        .iter()
        .filter(|answer| !matches!(answer, Ok(200)))
        .collect();
    assert!(failed.is_empty(), "{} of {due}: {failed:?}", failed.len());
    assert_eq!(answers.len(), due);
}
