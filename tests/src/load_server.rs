//! The server for `tests/load/run`: all of it, with its settings at their defaults or as the
//! environment says, and in the same process and runtime two bare axum routes on a second port,
//! which are what the rest is measured against. Prints its addresses as one line of JSON when it
//! is ready.
//!
//! `load_server DATA_DIR`; the same program is the compiling process.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a measurement"
)]

use axum::{Json, Router, body::Bytes, extract::DefaultBodyLimit, routing::post};
use belljar::{
    app,
    config::{Overrides, SystemEnvironment, resolve},
    telemetry,
};
use belljar_sandbox::{COMPILE_COMMAND, compile_child};
use belljar_tests::{Client, TestBundle};
use std::{path::PathBuf, process::ExitCode};
use tokio::net::TcpListener;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let argument = std::env::args().nth(1).unwrap();
    if argument == COMPILE_COMMAND {
        return compile_child();
    }
    let mut overrides = Overrides::default();
    overrides.flag("--data-dir", "data_dir", &argument);
    overrides.flag("--listen", "listen", "127.0.0.1:0");
    let resolved = resolve(&overrides, &SystemEnvironment).unwrap();
    let _log = telemetry::init(&resolved.settings.log);
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(serve(resolved, argument.into()));
    ExitCode::SUCCESS
}

async fn serve(resolved: belljar::config::Resolved, data_dir: PathBuf) {
    let listeners = app::bind(&resolved.settings).await.unwrap();
    let server = listeners.main.local_addr().unwrap();
    let app = app::build(resolved, std::env::current_exe().unwrap())
        .await
        .unwrap();
    let slot_reset = app.slot_reset();
    let bare = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bare_address = bare.local_addr().unwrap();
    let routes = Router::new()
        .route("/json", post(bare_json))
        .route("/bytes", post(bare_bytes))
        .layer(DefaultBodyLimit::disable());
    tokio::spawn(async move { axum::serve(bare, routes).await.unwrap() });
    let serving = tokio::spawn(app.serve(listeners, async {
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
            .unwrap()
            .recv()
            .await;
    }));

    let key = std::fs::read_to_string(data_dir.join(app::ADMIN_KEY_FILE)).unwrap();
    for (name, guest) in [
        ("hog", "burns_fuel"),
        ("endless", "endless_generation"),
        ("silent", "never_next"),
    ] {
        let component = belljar_test_guests::bytes(guest);
        let bundle = TestBundle::new(name, "1.0.0", &component)
            .with_limits("fuel = 1_000_000_000_000\ndeadline = \"60 s\"");
        Client::new(server, Some(key.trim()))
            .upload(bundle.tar())
            .await
            .expect_status(201);
    }
    println!(
        "{}",
        serde_json::json!({
            "server": format!("http://{server}"),
            "bare": format!("http://{bare_address}"),
            "key": key.trim(),
            "cleaning": slot_reset.to_string(),
        })
    );
    serving.await.unwrap();
}

/// Parses the whole body and writes it back: what any route that takes JSON does at the least.
async fn bare_json(Json(body): Json<serde_json::Value>) -> Json<serde_json::Value> {
    Json(body)
}

/// Reads the whole body and gives it back: what any route that takes tensors does at the least.
async fn bare_bytes(body: Bytes) -> Bytes {
    body
}
