//! Settings of TLS that change while a server runs, by both ways to ask for it, with a connection
//! that stays open all the while.

use std::net::SocketAddr;
use std::time::Instant;

use belljar_tests::command;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, SerialNumber};
use rustls::ClientConfig;
use rustls::version::TLS12;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::kit::{Authority, Folder, PATIENCE, connect, get, shown};
use crate::secrets::{Killed, start_with_tls, until};

/// How a server is told to read its settings again.
#[derive(Clone, Copy, Debug)]
enum Told {
    BySignal,
    ByCommand,
}

struct Edited {
    server: Killed,
    address: SocketAddr,
    folder: Folder,
    authority: Authority,
    open: TlsStream<TcpStream>,
}

impl Edited {
    async fn start() -> Self {
        let (authority, folder) = (Authority::new("the test"), Folder::new());
        folder.certificate("server", &authority.issue(&["localhost"]));
        let file = folder.write("belljar.toml", &settings(&folder, ""));
        let (server, address) = start_with_tls(&folder, &[("BELLJAR_CONFIG", &file)]).await;
        // Of the older version, which a setting is about.
        let older = authority.trusting_with(&[&TLS12]);
        let open = connect(address, "localhost", older).await.unwrap();
        Self {
            server,
            address,
            folder,
            authority,
            open,
        }
    }

    /// Has the server read other settings.
    async fn edit(&mut self, more: &str, told: Told) {
        let text = settings(&self.folder, more);
        self.folder.write("belljar.toml", &text);
        match told {
            Told::BySignal => {
                let pid = i32::try_from(self.server.0.id()).unwrap();
                let pid = rustix::process::Pid::from_raw(pid).unwrap();
                rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
            }
            Told::ByCommand => {
                let mut reload = tokio::process::Command::from(command());
                reload.arg("reload").arg("--data-dir");
                let output = reload.arg(self.folder.path("data")).output().await.unwrap();
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.success(), "{more}: {said}");
            }
        }
    }

    /// Whether a new connection of that client is served.
    async fn serves(&self, client: ClientConfig) -> bool {
        let Ok(stream) = connect(self.address, "localhost", client).await else {
            return false;
        };
        let answer = get(stream, "/health/live").await.unwrap_or_default();
        answer.starts_with("HTTP/1.1 200")
    }

    /// Waits until it is, or is not.
    async fn until_serves(&self, is_served: bool, client: impl Fn() -> ClientConfig) {
        until("new connections meet the new settings", async || {
            self.serves(client()).await == is_served
        })
        .await;
    }

    /// A request on the connection that was open before anything changed.
    async fn ask_on_the_open_one(&mut self) {
        let request = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";
        self.open.write_all(request).await.unwrap();
        let mut answer = vec![0; 16 << 10];
        let read = tokio::time::timeout(PATIENCE, self.open.read(&mut answer)).await;
        let read = read.unwrap().unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"), "{read}");
    }
}

fn settings(folder: &Folder, more: &str) -> String {
    let path = |name: &str| folder.path(name).display().to_string();
    format!(
        "[tls]\ncert = '{}'\nkey = '{}'\nwatch_period = '0 s'\n{more}\n",
        path("server.pem"),
        path("server.key"),
    )
}

fn numbered(clients: &Authority, number: u8) -> crate::kit::Issued {
    clients.issue_with(&["robot.example"], |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.serial_number = Some(SerialNumber::from_slice(&[number]));
    })
}

#[tokio::test]
async fn settings_of_tls_change_for_new_connections_and_open_ones_go_on() {
    for told in [Told::BySignal, Told::ByCommand] {
        let mut server = Edited::start().await;
        let clients = Authority::new("clients");
        let authorities = server.folder.write("clients.pem", &clients.pem());
        let list = server.folder.write("list.pem", &clients.revoking(&[2]));
        server.ask_on_the_open_one().await;
        // Versions.
        server.edit("min_version = '1.3'", told).await;
        let older = |server: &Edited| server.authority.trusting_with(&[&TLS12]);
        server.until_serves(false, || older(&server)).await;
        assert!(server.serves(server.authority.trusting()).await);
        server.ask_on_the_open_one().await;
        server.edit("", told).await;
        server.until_serves(true, || older(&server)).await;
        // Who vouches for clients, and whom it has revoked.
        let required = format!("client_auth = 'required'\nclient_ca = '{authorities}'\n");
        server.edit(&required, told).await;
        let nobody = |server: &Edited| server.authority.trusting();
        server.until_serves(false, || nobody(&server)).await;
        let (good, bad) = (numbered(&clients, 1), numbered(&clients, 2));
        for issued in [&good, &bad] {
            let client = server.authority.trusting_and_showing(issued);
            assert!(server.serves(client).await, "{told:?}");
        }
        server.ask_on_the_open_one().await;
        let revoking = format!("{required}client_crl = '{list}'\n");
        server.edit(&revoking, told).await;
        let revoked = |server: &Edited| server.authority.trusting_and_showing(&bad);
        server.until_serves(false, || revoked(&server)).await;
        let client = server.authority.trusting_and_showing(&good);
        assert!(server.serves(client).await, "{told:?}");
        // Another certificate in the files, as a renewal puts it there.
        server.edit("", told).await;
        server.until_serves(true, || nobody(&server)).await;
        let before = connect(server.address, "localhost", nobody(&server)).await;
        let before = shown(&before.unwrap());
        let renewed = server.authority.issue(&["localhost"]);
        server.folder.certificate("server", &renewed);
        server.edit("", told).await;
        let begun = Instant::now();
        loop {
            let now = connect(server.address, "localhost", nobody(&server)).await;
            if shown(&now.unwrap()) != before {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{told:?}: it is the old one");
        }
        server.ask_on_the_open_one().await;
    }
}
