//! Authorities, certificates, and clients that trust them.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use belljar_tests::TestHost;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    IsCa, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::client::WantsClientCert;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// How long something may take that happens at once, on a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// An authority that vouches for certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, in PEM.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// What an authority is like.
fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(authority(name), key).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn issue(&self, names: &[&str]) -> Issued {
        self.issue_with(names, |_| {})
    }

    pub(crate) fn issue_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Issued {
            certificate: params.signed_by(&key, &self.0).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// An authority that this one vouches for.
    pub(crate) fn authority(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::signed_by(authority(name), key, &self.0).unwrap())
    }

    /// The settings of a client that trusts this authority and no other.
    pub(crate) fn trusting(&self) -> ClientConfig {
        self.trusting_with(rustls::ALL_VERSIONS)
    }

    /// The same of a client that speaks these versions only.
    pub(crate) fn trusting_with(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        self.client(versions).with_no_client_auth()
    }

    /// The same of a client that shows a certificate.
    pub(crate) fn trusting_and_showing(&self, issued: &Issued) -> ClientConfig {
        let chain = CertificateDer::pem_slice_iter(issued.certificate.as_bytes());
        let chain = chain.collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
        let client = self.client(rustls::ALL_VERSIONS);
        client.with_client_auth_cert(chain, key).unwrap()
    }

    fn client(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ConfigBuilder<ClientConfig, WantsClientCert> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
    }

    /// A list of the certificates with those numbers, as revoked, in PEM.
    pub(crate) fn revoking(&self, numbers: &[u8]) -> String {
        let revoked = numbers.iter().map(|number| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&[*number]),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from_slice(&[1]),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        list.signed_by(&self.0).unwrap().pem().unwrap()
    }
}

/// Files of a test.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file in one step, as tools that renew certificates do, and gives its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let (path, staging) = (self.path(name), self.path("staging"));
        std::fs::write(&staging, text).unwrap();
        std::fs::rename(&staging, &path).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Writes a certificate and its key, and gives the settings that name them.
    pub(crate) fn certificate(&self, name: &str, issued: &Issued) -> [(&'static str, String); 2] {
        [
            (
                "tls.cert",
                self.write(&format!("{name}.pem"), &issued.certificate),
            ),
            ("tls.key", self.write(&format!("{name}.key"), &issued.key)),
        ]
    }
}

/// A server that speaks TLS as `localhost`, and whoever vouches for it.
pub(crate) struct TlsHost {
    pub(crate) host: TestHost,
    pub(crate) authority: Authority,
    pub(crate) folder: Folder,
}

impl TlsHost {
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let (authority, folder) = (Authority::new("the test"), Folder::new());
        let files = folder.certificate("server", &authority.issue(&["localhost"]));
        let files = files.iter().map(|(key, value)| (*key, value.as_str()));
        let settings: Vec<_> = files.chain(settings.iter().copied()).collect();
        let host = TestHost::start_with(&settings).await;
        Self {
            host,
            authority,
            folder,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.host.address()
    }

    pub(crate) async fn connect(&self) -> TlsStream<TcpStream> {
        let client = self.authority.trusting();
        connect(self.address(), "localhost", client).await.unwrap()
    }

    /// A client with a pool of connections.
    pub(crate) fn http(&self) -> reqwest::ClientBuilder {
        reqwest::Client::builder()
            .no_proxy()
            .resolve("localhost", self.address())
            .tls_backend_preconfigured(self.authority.trusting())
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address().port())
    }

    /// The value of a metric with those labels, as the text format has it; 0 where there is none.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let mut request = self.http().build().unwrap().get(self.url("/metrics"));
        if let Some(key) = self.host.admin().key() {
            request = request.bearer_auth(key);
        }
        let text = request.send().await.unwrap().text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(series));
        line.map_or(0.0, |value| value.trim().parse().unwrap())
    }
}

pub(crate) async fn connect(
    address: SocketAddr,
    name: &str,
    client: ClientConfig,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    begin(stream, name, client).await
}

/// The settings of a server that shows a certificate.
pub(crate) fn server_config(issued: &Issued) -> Arc<rustls::ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(issued.certificate.as_bytes());
    let chain = chain.collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key);
    Arc::new(config.unwrap())
}

/// A way to a server over TLS.
pub(crate) async fn encrypt(to: SocketAddr, issued: &Issued) -> SocketAddr {
    let acceptor = TlsAcceptor::from(server_config(issued));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut behind = TcpStream::connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut behind).await;
            });
        }
    });
    address
}

/// Begins TLS on a connection.
pub(crate) async fn begin(
    stream: TcpStream,
    name: &str,
    client: ClientConfig,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let shaking = TlsConnector::from(Arc::new(client)).connect(name, stream);
    tokio::time::timeout(PATIENCE, shaking).await?
}

/// One request on a connection, and everything that is answered until it is closed.
pub(crate) async fn get(mut stream: TlsStream<TcpStream>, path: &str) -> io::Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await??;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The certificate that a server has shown.
pub(crate) fn shown(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

/// Whether a program of the machine can be run; says so where it cannot. With
/// `TEST_PROGRAMS=required`, as in `.ci/run`, it has to be.
pub(crate) fn has(program: &str) -> bool {
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| Path::new(&folder).join(program).is_file())
    });
    if !found {
        let is_required = std::env::var_os("TEST_PROGRAMS").is_some();
        assert!(!is_required, "there is no `{program}` on this machine");
        eprintln!("not tried: there is no `{program}` on this machine");
    }
    found
}

/// What `openssl` is told to greet the server at an address as `localhost`, whose certificate this
/// authority has to have issued.
pub(crate) fn s_client<'a>(at: &'a str, authority: &'a str) -> [&'a str; 8] {
    [
        "s_client",
        "-connect",
        at,
        "-servername",
        "localhost",
        "-CAfile",
        authority,
        "-verify_return_error",
    ]
}

/// Runs a program of the machine, and gives whether it was content and what it said.
pub(crate) async fn run(program: &str, arguments: &[&str]) -> (bool, String) {
    let output = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, output)
        .await
        .unwrap()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}
