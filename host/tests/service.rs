//! The server as a service: what it tells its manager, and the sockets that it is given.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "each program of tests uses its own part of it")]
#[path = "kit/server.rs"]
mod server;

use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, Instant};

use server::{Home, Server, http, signal};

/// A manager that is told how its service is.
struct Manager(UnixDatagram);

impl Manager {
    fn new(home: &Home) -> Self {
        let socket = UnixDatagram::bind(home.path().join("notify")).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        Self(socket)
    }

    /// What it is told next.
    fn hears(&self) -> String {
        let mut text = [0; 512];
        let length = self.0.recv(&mut text).expect("the service says something");
        String::from_utf8_lossy(&text[..length]).into_owned()
    }

    /// What it is told next that is no sign of life.
    fn hears_news(&self) -> String {
        loop {
            let text = self.hears();
            if text != "WATCHDOG=1" {
                return text;
            }
        }
    }
}

#[test]
fn a_service_says_when_it_is_ready_alive_reloading_and_stopping() {
    let home = Home::new();
    let manager = Manager::new(&home);
    let mut command = home.command(&["--listen", "127.0.0.1:0", "--set", "embedded.fake=false"]);
    command
        .env("NOTIFY_SOCKET", home.path().join("notify"))
        .env("WATCHDOG_USEC", "400000");
    let server = Server::spawn(command);
    assert_eq!(manager.hears_news(), "READY=1");
    assert_eq!(server.get("/health/ready").0, 200, "it says so when it is");
    for _ in 0..3 {
        assert_eq!(manager.hears(), "WATCHDOG=1");
    }
    signal(server.process(), "HUP");
    let reloading = manager.hears_news();
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert_eq!(manager.hears_news(), "READY=1");
    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(manager.hears_news(), "STOPPING=1");
}

#[test]
fn signs_of_life_that_another_process_is_asked_for_are_not_given() {
    let home = Home::new();
    let manager = Manager::new(&home);
    let mut command = home.command(&["--listen", "127.0.0.1:0", "--set", "embedded.fake=false"]);
    command
        .env("NOTIFY_SOCKET", home.path().join("notify"))
        .env("WATCHDOG_USEC", "2000")
        .env("WATCHDOG_PID", "1");
    let server = Server::spawn(command);
    assert_eq!(manager.hears(), "READY=1");
    assert_eq!(server.stop().0, Some(0));
    assert_eq!(manager.hears(), "STOPPING=1");
}

/// Starts the server with a socket that is listened on already, as systemd does.
const ACTIVATE: &str = "import os, socket, sys\n\
    at, listen, program = sys.argv[1], sys.argv[2], sys.argv[3]\n\
    s = socket.socket()\n\
    s.bind(('127.0.0.1', int(at)))\n\
    s.listen()\n\
    os.dup2(s.fileno(), 3)\n\
    os.set_inheritable(3, True)\n\
    os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\n\
    os.execv(program, [program, '--listen', listen, '--set', 'embedded.fake=false'])\n";

fn activated(home: &Home, port: u16, listen: &str) -> Command {
    let mut command = Command::new("python3");
    command
        .env("HOME", home.path())
        .current_dir(home.path())
        .args(["-c", ACTIVATE, &port.to_string(), listen])
        .arg(env!("CARGO_BIN_EXE_belljar"));
    command
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn a_socket_that_is_passed_on_is_served_and_one_that_no_setting_names_stops_the_start() {
    if Command::new("python3").arg("--version").output().is_err() {
        server::not_tried("not tried: there is no `python3` on this machine");
        return;
    }
    let home = Home::new();
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let server = Server::spawn(activated(&home, port, &listen));
    assert_eq!(http(&server.url, "GET", "/health/live", &[], "").0, 200);
    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");
    let started = Instant::now();
    let refused = activated(&home, free_port(), "127.0.0.1:0")
        .output()
        .unwrap();
    assert!(!refused.status.success() && started.elapsed() < Duration::from_secs(60));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("no setting names it"), "{told}");
}
