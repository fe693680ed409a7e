//! `belljar health`: whether a server serves, as an exit code, whatever its port speaks.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "each program of tests uses its own part of it")]
#[path = "kit/server.rs"]
mod server;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use server::{Home, Server, signal};

/// A server with `echo` as its only model: it compiles in a moment.
const SMALL: [&str; 2] = ["--set", "embedded.fake=false"];

/// Asks until the server has tried its models.
fn settled(home: &Home) {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let output = home.run(&["health"]);
        let told = String::from_utf8(output.stderr).unwrap();
        if !told.contains("starting") {
            return;
        }
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(Instant::now() < deadline, "{told}");
    }
}

#[test]
fn health_is_an_exit_code() {
    let home = Home::new();
    let told = home.fails(1, &["health"]);
    assert!(told.contains("no server runs on"), "{told}");
    let socket = home.path().join("api.sock");
    let by_socket = format!("unix.path={}", socket.display());
    let grace = ["--set", "shutdown_delay=10 min", "--set", &by_socket];
    let server = Server::start(&home, &[&SMALL[..], &grace].concat());
    settled(&home);
    for (arguments, expect) in [
        (&[][..], "ready\n"),
        (&["--live"], "live\n"),
        (&["--server", &server.url], "ready\n"),
        (&["--socket", socket.to_str().unwrap()], "ready\n"),
    ] {
        let arguments = [&["health"][..], arguments].concat();
        assert_eq!(home.ok(&arguments), expect, "{arguments:?}");
    }
    // A balancer's way to look away: not ready, and alive.
    signal(server.process(), "TERM");
    let deadline = Instant::now() + Duration::from_secs(60);
    while home.run(&["health"]).status.success() {
        assert!(Instant::now() < deadline);
    }
    let told = home.fails(1, &["health"]);
    assert!(told.contains("the server is not ready: draining"), "{told}");
    assert_eq!(home.ok(&["health", "--live"]), "live\n");
    server.stop();
    let told = home.fails(1, &["health", "--socket", socket.to_str().unwrap()]);
    assert!(
        told.contains("api.sock"),
        "it names what it has asked: {told}"
    );
    home.fails(2, &["health", "--server", "x", "--socket", "y"]);
    home.fails(2, &["health", "--timeout", "soon"]);
}

#[test]
fn a_server_without_a_model_that_should_be_there_is_alive_and_not_ready() {
    let home = Home::new();
    let server = Server::start(&home, &SMALL);
    settled(&home);
    server.stop();
    fs::remove_dir_all(home.data_dir().join("bundles")).unwrap();
    let server = Server::start(&home, &SMALL);
    settled(&home);
    let told = home.fails(1, &["health"]);
    assert!(told.contains("the server is not ready: failed"), "{told}");
    assert_eq!(home.ok(&["health", "--live"]), "live\n");
    server.stop();
}

/// The certificate is for another name than the loopback address, and its clients show theirs.
#[test]
fn a_port_that_speaks_tls_is_asked_behind_it() {
    let home = Home::new();
    home.ok(&["tls", "dev", "--out", "tls"]);
    let files = [
        "--tls-cert",
        "tls/cert.pem",
        "--tls-key",
        "tls/key.pem",
        "--set",
        "tls.client_auth=required",
        "--set",
        "tls.client_ca=tls/ca.pem",
    ];
    let server = Server::start(&home, &[&SMALL[..], &files].concat());
    settled(&home);
    assert_eq!(home.ok(&["health"]), "ready\n");
    server.stop();
}

/// Where the socket for commands cannot be made, because its path is too long.
#[test]
fn a_port_that_speaks_tls_is_asked_without_a_socket() {
    let home = Home::new();
    home.ok(&["tls", "dev", "--out", "tls"]);
    let deep = "d".repeat(100);
    let place = ["--data-dir", &deep];
    let files = ["--tls-cert", "tls/cert.pem", "--tls-key", "tls/key.pem"];
    let server = Server::start(&home, &[&SMALL[..], &files, &place].concat());
    server.logs("its socket in the data directory cannot be made", 1);
    server.logs("ready ready_ms", 1);
    assert_eq!(home.ok(&[&["health"][..], &place].concat()), "ready\n");
    // One that is named has to be the one that is meant.
    let named = ["health", "--server", &server.url];
    let told = home.fails(1, &named);
    assert!(told.contains("certificate"), "{told}");
    let mut trusting = home.command(&named);
    trusting.env("SSL_CERT_FILE", home.path().join("tls/ca.pem"));
    assert!(trusting.output().unwrap().status.success());
    server.stop();
}

#[test]
fn a_port_that_wants_a_proxys_word_is_asked_behind_it() {
    let home = Home::new();
    let proxy = [
        "--set",
        "proxy_protocol=required",
        "--set",
        "trusted_proxies=192.0.2.1",
    ];
    let server = Server::start(&home, &[&SMALL[..], &proxy].concat());
    settled(&home);
    assert_eq!(home.ok(&["health"]), "ready\n");
    let models = home.ok(&["models", "list"]);
    assert!(models.contains("echo@0.1.0"), "{models}");
    server.stop();
}

/// An image of nothing but the program has no authorities, and no folder for temporary files.
#[test]
fn a_system_without_certificates_and_temporary_files_is_enough() {
    let home = Home::new();
    let bare = |arguments: &[&str]| {
        let mut command = home.command(arguments);
        command
            .env("SSL_CERT_FILE", "/dev/null")
            .env("SSL_CERT_DIR", home.path())
            .env("TMPDIR", "/nowhere");
        command
    };
    let mut serve = bare(&["--listen", "127.0.0.1:0", SMALL[0], SMALL[1]]);
    // Whom it tells needs no certificate either.
    serve.env("BELLJAR_WEBHOOK_URL", "http://127.0.0.1:9/").env(
        "BELLJAR_WEBHOOK_SECRET",
        "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    );
    let server = Server::spawn(serve);
    settled(&home);
    for arguments in [&["health"][..], &["models", "list"], &["keys", "list"]] {
        let output = bare(arguments).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {told}");
    }
    server.stop();
}

#[test]
fn what_is_no_server_is_not_healthy() {
    let home = Home::new();
    let endless = [b"HTTP/1.1 200 OK\r\n\r\n", &[b' '; 1 << 20][..]].concat();
    for (answer, expect) in [
        (
            &b"HTTP/1.1 200 OK\r\n\r\nhello"[..],
            "is this a belljar server?",
        ),
        (
            b"HTTP/1.1 302 Found\r\nlocation: /x\r\n\r\n",
            "is this a belljar server?",
        ),
        (&endless, "too long"),
        (b"SSH-2.0-OpenSSH\r\n", "failed"),
        (b"", "failed"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                // An answer before the question is an error of another kind.
                assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
                // Who asks leaves when it has read enough.
                let _ = stream.write_all(answer);
                let _ = stream.shutdown(std::net::Shutdown::Write);
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
            });
            let told = home.fails(1, &["health", "--server", &address]);
            assert!(told.contains(expect), "{told}");
        });
    }
    // One that takes the connection and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let asked = ["health", "--server", &address, "--timeout", "200 ms"];
    let told = home.fails(1, &asked);
    assert!(told.contains("timed out"), "{told}");
}
