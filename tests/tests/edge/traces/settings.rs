//! The settings of traces: that each acts, what contradicts what, and a server behind its wall.

use std::collections::BTreeMap;

use belljar::config::{Overrides, resolve};
use belljar_tests::{ServerProcess, TestBundle, TestHost, command};

use super::collector::{Collector, Reply, said};
use crate::kit::{Authority, Folder, encrypt};

/// What a start says that is refused.
fn refused(settings: &[(&str, &str)]) -> String {
    let folder = Folder::new();
    let mut command = command();
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
    command.arg(folder.path("data"));
    for (key, value) in settings {
        let name = key.replace('.', "_").to_ascii_uppercase();
        command.env(format!("BELLJAR_{name}"), value);
    }
    let output = command.output().unwrap();
    assert!(!output.status.success(), "{settings:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn contradictions_stop_the_start() {
    let here = ("traces.endpoint", "http://127.0.0.1:4318");
    for (settings, why) in [
        (&[("traces.sample", "0.5")][..], "not where they go"),
        (&[("traces.headers", "a=SECRET")], "not where they go"),
        (
            &[("traces.endpoint", "http://192.0.2.1:4318")],
            "in the clear",
        ),
        (
            &[("traces.endpoint", "grpc://127.0.0.1:4317")],
            "expected an address",
        ),
        (&[here, ("traces.ca", "ca.pem")], "traces.ca"),
        (&[here, ("traces.queue_max", "9")], "traces.batch_max"),
        (&[here, ("traces.queue_max", "0")], "traces.queue_max"),
        (&[here, ("traces.sample", "2")], "from 0 to 1"),
        (&[here, ("traces.headers", "a=SECRET,A=SECRET")], "twice"),
        (&[here, ("traces.headers", "SECRET")], "header 1"),
        (&[here, ("traces.headers", "host=SECRET")], "header 1"),
        (&[here, ("traces.attributes", "a=1,a=2")], "twice"),
        (
            &[here, ("traces.attributes", "service.name=x")],
            "traces.service_name",
        ),
        (
            &[here, ("traces.parent_networks", "all")],
            "traces.parent_networks",
        ),
        (&[here, ("traces.timeout", "0 s")], "traces.timeout"),
    ] {
        let told = refused(settings);
        assert!(told.contains(why), "{settings:?}: {told}");
        assert!(!told.contains("SECRET"), "{told}");
    }
}

/// The settings as operators give them, in all three ways, behind a wall that must hold.
///
/// Acts: `traces.endpoint`, `traces.headers`, `traces.service_name`, `traces.attributes`.
#[tokio::test]
async fn a_server_behind_its_wall_sends_what_its_settings_say() {
    let collector = Collector::start(&[Reply::Taken]).await;
    let folder = Folder::new();
    let token = folder.path("token");
    std::fs::write(&token, "authorization=Bearer SECRET\n").unwrap();
    let file = folder.path("belljar.toml");
    let settings =
        "[traces]\nservice_name = \"jar\"\nattributes = [\"deployment.environment.name=test\"]\n";
    std::fs::write(&file, settings).unwrap();
    let server = ServerProcess::start_with(&folder.path("data"), |command| {
        command
            .arg("--config")
            .arg(&file)
            .args(["--set", "hardening=required", "--log-format", "json"])
            .args(["--set", "traces.batch_delay=1 ms"])
            .env(
                "BELLJAR_TRACES_ENDPOINT",
                format!("{}/v1/traces", collector.url()),
            )
            .env(
                "BELLJAR_TRACES_HEADERS",
                format!("file:{}", token.display()),
            );
    })
    .await;
    let answer = server
        .anonymous()
        .get("/v1/models")
        .await
        .expect_status(200);
    let trace = collector.trace("GET /v1/models").await;
    let exports = collector.exports();
    for export in &exports {
        assert_eq!(export.path, "/v1/traces");
        assert_eq!(export.headers["authorization"], "Bearer SECRET");
        for resource in export.decode().resource_spans {
            let attributes = resource.resource.unwrap().attributes;
            let said = |name| said(&attributes, name);
            assert_eq!(said("service.name").as_deref(), Some("jar"));
            assert_eq!(said("deployment.environment.name").as_deref(), Some("test"));
            assert_eq!(
                said("service.version").as_deref(),
                Some(env!("CARGO_PKG_VERSION"))
            );
            assert!(said("service.instance.id").is_some());
        }
    }
    let shown = server.admin().get("/admin/config").await.expect_status(200);
    assert!(!shown.text().contains("SECRET"), "{}", shown.text());
    let data = server.data_dir().to_owned();
    assert!(server.terminate().await.success());
    // The line of the request says where its spans are.
    let log = std::fs::read_to_string(data.with_extension("log")).unwrap();
    assert!(!log.contains("SECRET"), "{log}");
    let told = answer
        .header("traceresponse")
        .split('-')
        .collect::<Vec<_>>();
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let mut lines = lines.filter(|line| line["route"] == "/v1/models");
    let line = lines.next().unwrap();
    assert_eq!(
        (&line["trace_id"], &line["span_id"]),
        (&told[1].into(), &told[2].into())
    );
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    assert_eq!(hex(&trace.root.trace_id), told[1]);
}

/// What a model writes, and why its run failed, is found by the trace of the request.
#[tokio::test]
async fn lines_of_models_say_which_trace_they_are_of() {
    let collector = Collector::start(&[Reply::Taken]).await;
    let folder = Folder::new();
    let server = ServerProcess::start_with(&folder.path("data"), |command| {
        command
            .args(["--log-format", "json"])
            .env("BELLJAR_TRACES_ENDPOINT", collector.url());
    })
    .await;
    for (name, guest) in [("writes", "endless_log"), ("errs", "errs")] {
        let bundle = TestBundle::new(name, "1.0.0", &belljar_tests::guests::bytes(guest));
        let _ = server.admin().upload(bundle.tar()).await.expect_status(201);
    }
    let mut told = Vec::new();
    for (model, parameters) in [
        ("writes", serde_json::json!({})),
        ("errs", serde_json::json!({"kind": "failed"})),
    ] {
        let body = serde_json::json!({"model": model, "inputs": {}, "parameters": parameters});
        let answer = server.anonymous().post("/infer", &body).await;
        let trace = answer.header("traceresponse").split('-').nth(1).unwrap();
        told.push(trace.to_owned());
    }
    let data = server.data_dir().to_owned();
    assert!(server.terminate().await.success());
    let log = std::fs::read_to_string(data.with_extension("log")).unwrap();
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (words, trace) in [
        ("and on and on and on", &told[0]),
        ("a run failed", &told[0]),
        ("the model failed", &told[1]),
    ] {
        let mut of_words = lines
            .iter()
            .filter(|line| {
                line["message"]
                    .as_str()
                    .is_some_and(|text| text.contains(words))
            })
            .peekable();
        assert!(of_words.peek().is_some(), "{words}: {log}");
        assert!(
            of_words.all(|line| line["trace_id"] == **trace),
            "{words}: {log}"
        );
    }
}

/// Acts: `traces.ca`.
#[tokio::test]
async fn a_collector_over_tls_is_one_that_the_authority_vouches_for() {
    let folder = Folder::new();
    let collector = Collector::start(&[Reply::Taken]).await;
    let (authority, other) = (Authority::new("collectors"), Authority::new("others"));
    let to = collector.url().trim_start_matches("http://").to_owned();
    let issued = authority.issue(&["localhost", "127.0.0.1"]);
    let address = encrypt(to.parse().unwrap(), &issued).await;
    let url = format!("https://{address}");
    for (authority, is_told) in [(&other, false), (&authority, true)] {
        let ca = folder.path("ca.pem");
        std::fs::write(&ca, authority.pem()).unwrap();
        let settings = [
            ("traces.endpoint", url.as_str()),
            ("traces.ca", ca.to_str().unwrap()),
            ("traces.retry_time", "0 s"),
        ];
        let host = TestHost::start_with(&settings).await;
        let _ = host.anonymous().get("/v1/models").await.expect_status(200);
        host.stop().await;
        assert_eq!(!collector.exports().is_empty(), is_told);
    }
}

/// Acts: `traces.allow_http`.
#[test]
fn another_machine_is_told_in_the_clear_only_where_that_is_asked_for() {
    let folder = Folder::new();
    let mut overrides = Overrides::default();
    overrides.flag("--data-dir", "data_dir", folder.path("data").display());
    overrides.flag("--set", "traces.endpoint", "http://collector.example:4318");
    let environment = BTreeMap::<String, String>::new();
    let told = resolve(&overrides, &environment).unwrap_err().to_string();
    assert!(told.contains("in the clear"), "{told}");
    overrides.flag("--set", "traces.allow_http", "true");
    let reach = resolve(&overrides, &environment).unwrap().reach();
    assert!(
        reach.connect.contains(&4318),
        "the wall leaves its port open"
    );
}
