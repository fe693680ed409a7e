//! What an operator allows models: each setting with a guest that goes for it.

use std::time::Instant;

use belljar_tests::{Answer, ServerProcess, TestBundle, TestHost};
use serde_json::{Value, json};

use crate::host::PATIENCE;

async fn upload(host: &TestHost, guest: &str) -> Answer {
    host.admin().upload(TestBundle::hostile(guest).tar()).await
}

async fn infer(host: &TestHost, model: &str, parameters: Value) -> Answer {
    let body = json!({"model": model, "inputs": {"x": [1]}, "parameters": parameters});
    host.anonymous().post("/infer", &body).await
}

/// Guests that go on until something stops them, and what they read then.
///
/// Acts: `policy.resources_max`, `policy.stdio_max`, `policy.log_lines_max`, `policy.hostcall_max`,
/// `policy.table_elements_max`, `policy.default_deadline`, `policy.default_fuel`.
#[tokio::test]
async fn caps_of_the_server_end_runs() {
    let settings = [
        ("exempt_networks", "127.0.0.0/8"),
        ("policy.resources_max", "41"),
        ("policy.stdio_max", "10001 B"),
        ("policy.log_lines_max", "5"),
        ("policy.hostcall_max", "2000 KiB"),
        ("policy.table_elements_max", "5000"),
        ("policy.default_deadline", "301 ms"),
        ("policy.default_fuel", "20000000000"),
        // A crossing is never allowed less than an answer is.
        ("policy.default_output", "1 KiB"),
    ];
    let host = TestHost::start_with(&settings).await;
    for (guest, code, limit) in [
        ("many_resources", "resources_exceeded", "41"),
        ("endless_stdout", "stdio_exceeded", "10001"),
        ("endless_log", "log_lines_exceeded", "cap of 5 "),
        ("huge_tensor", "hostcall_bytes_exceeded", "2048000"),
        ("burns_fuel", "deadline_exceeded", "301"),
    ] {
        let _ = upload(&host, guest).await.expect_status(201);
        let answer = infer(&host, guest, json!({"bytes": 8 << 20})).await;
        assert_eq!(answer.code(), code, "{guest}: {}", answer.text());
        assert!(answer.text().contains(limit), "{guest}: {}", answer.text());
    }
    // One that carries on without what it does not get.
    let _ = upload(&host, "grows_table").await.expect_status(201);
    let answer = infer(&host, "grows_table", json!({})).await;
    let answer = answer.expect_status(200).json();
    assert_eq!(answer["outputs"]["count"], json!(5000), "{answer}");
}

/// What a component is made of, which the slots of the pool must hold.
///
/// Acts: `policy.instances_max`, `policy.memories_max`, `policy.tables_max`.
#[tokio::test]
async fn components_may_have_as_many_parts_as_the_server_says() {
    let parts = ["many_instances", "many_memories", "many_tables"];
    let narrow = TestHost::start_with(&[("sandbox.runs_max", "2")]).await;
    for guest in parts {
        let refused = upload(&narrow, guest).await;
        assert_eq!(refused.status, 422, "{guest}: {}", refused.text());
    }
    let wide = TestHost::start_with(&[
        ("sandbox.runs_max", "2"),
        ("policy.instances_max", "102"),
        ("policy.memories_max", "10"),
        ("policy.tables_max", "40"),
    ])
    .await;
    for guest in parts {
        let _ = upload(&wide, guest).await.expect_status(201);
        let _ = infer(&wide, guest, json!({})).await.expect_status(200);
    }
}

/// Acts: `policy.default_load_fuel`, `policy.load_time_max`, `policy.load_fuel_max`,
/// `policy.default_memory`, `compiler.wall_time`.
#[tokio::test]
async fn what_is_made_ready_has_caps() {
    let settings = [
        ("policy.default_load_fuel", "1234567"),
        ("policy.load_time_max", "299 ms"),
    ];
    let host = TestHost::start_with(&settings).await;
    let sleeper = TestBundle::hostile("sleeps_in_load").with_limits("load_fuel = 100_000_000_000");
    let guests = [
        (TestBundle::hostile("burns_fuel_in_load"), "1234567"),
        (sleeper, "299"),
    ];
    for (guest, limit) in guests {
        let refused = host.admin().upload(guest.tar()).await;
        let refused = refused.expect_status(422).text();
        assert!(
            refused.contains("load_budget_exceeded") && refused.contains(limit),
            "{refused}"
        );
    }
    let greedy = TestBundle::hostile("counter").with_limits("load_fuel = 1_000_001");
    let strict = [
        ("policy.load_fuel_max", "1000000"),
        ("policy.default_load_fuel", "1000000"),
        ("policy.default_memory", "64 KiB"),
    ];
    let host = TestHost::start_with(&strict).await;
    let refused = host.admin().upload(greedy.tar()).await;
    assert!(refused.text().contains("1000000"), "{}", refused.text());
    assert_eq!(refused.code(), "limit_over_policy");
    let small = upload(&host, "counter").await.expect_status(422);
    assert!(
        small.text().contains("too_large_for_pool"),
        "{}",
        small.text()
    );
    let brief = TestHost::start_with(&[("compiler.wall_time", "1 ms")]).await;
    let refused = upload(&brief, "counter").await.expect_status(422).text();
    assert!(refused.contains("compile_time_exceeded"), "{refused}");
}

/// Acts: `compiler.cpu_time`.
#[tokio::test]
async fn a_compilation_has_its_time_of_the_processor() {
    let host = TestHost::start_with(&[("compiler.cpu_time", "1 s")]).await;
    let busy = TestBundle::hostile("burns_fuel_in_load").with_limits("load_fuel = 100_000_000_000");
    let refused = host
        .admin()
        .upload(busy.tar())
        .await
        .expect_status(422)
        .text();
    assert!(refused.contains("compile_time_exceeded"), "{refused}");
    assert!(refused.contains("1000"), "{refused}");
}

/// Acts: `compiler.concurrency`.
#[tokio::test]
async fn compilations_at_once_are_as_many_as_the_server_says() {
    let ready = async |concurrency: &str, load_time: &str| {
        let settings = [
            ("compiler.concurrency", concurrency),
            ("policy.load_time_max", load_time),
        ];
        let host = TestHost::start_with(&settings).await;
        let admin = host.admin();
        let sleeper = TestBundle::hostile("sleeps_in_load").tar();
        let begun = admin
            .post_bytes("/models", "application/x-tar", sleeper)
            .await;
        let place = begun.expect_success().header("location").to_owned();
        let state = async || {
            let version = admin.get(&place).await.expect_status(200).json();
            version["state"].as_str().unwrap().to_owned()
        };
        let since = Instant::now();
        while state().await != "compiling" && state().await != "loading" {
            assert!(since.elapsed() < PATIENCE);
            tokio::task::yield_now().await;
        }
        let _ = upload(&host, "counter").await.expect_status(201);
        state().await
    };
    // The only place is free when the sleeper has been given up.
    assert_eq!(ready("1", "400 ms").await, "failed");
    // With two of them nobody waits for it.
    assert_ne!(ready("2", "10 min").await, "failed");
}

/// Acts: `sandbox.memory_total_max`.
#[tokio::test]
async fn all_runs_together_have_a_bound_on_memory() {
    let host = TestHost::start_with(&[("sandbox.memory_total_max", "16 MiB")]).await;
    let _ = upload(&host, "grows_memory").await.expect_status(201);
    let refused = infer(&host, "grows_memory", json!({}))
        .await
        .expect_status(503);
    assert_eq!(refused.code(), "overloaded", "{}", refused.text());
}

/// A component that shuffles a vector by an index beyond it: relaxed, each machine has a way of its
/// own to do that.
fn relaxed() -> Vec<u8> {
    answering(
        "i64.extend_i32_u (i8x16.extract_lane_u 0 (i8x16.relaxed_swizzle
           (i8x16.splat (i32.const 7)) (i8x16.splat (i32.add (memory.size) (i32.const 15)))))",
    )
}

/// A component that answers a number, by the instructions that make it.
pub(crate) fn answering(number: &str) -> Vec<u8> {
    let part = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-models/hostile/wat/");
        std::fs::read_to_string(format!("{folder}{name}.part")).unwrap()
    };
    let text = format!(
        "(component (core module $m (memory (export \"memory\") 1) {} {}
           (func (export \"infer\") (param i32 i32 i32 i32 i32 i32) (result i32)
             (call $answer ({number}))))
         (core instance $main (instantiate $m)) {})",
        part("base"),
        part("answer"),
        part("tensors"),
    );
    wat::parse_str(text).unwrap()
}

/// Acts: `sandbox.deterministic_simd`.
#[tokio::test]
async fn relaxed_vectors_are_the_same_everywhere_where_that_is_asked_for() {
    let mut found = Vec::new();
    for setting in ["true", "false"] {
        let host = TestHost::start_with(&[("sandbox.deterministic_simd", setting)]).await;
        let bundle = TestBundle::new("relaxed", "1.0.0", &relaxed());
        let _ = host.admin().upload(bundle.tar()).await.expect_status(201);
        let answer = infer(&host, "relaxed", json!({})).await.expect_status(200);
        found.push(answer.json()["outputs"]["count"].as_u64().unwrap());
    }
    assert_eq!(found[0], 0, "what the specification calls deterministic");
    // `pshufb` looks at the last bits of an index and at its first.
    if cfg!(target_arch = "x86_64") {
        assert_eq!(found[1], 7);
    }
}

/// The threads of a process that have this in their names, by their names.
fn threads(pid: u32, of: &str) -> Vec<(String, std::path::PathBuf)> {
    let folder = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let all = folder.map(|entry| entry.unwrap().path());
    let named = all.filter_map(|path| {
        let name = std::fs::read_to_string(path.join("comm")).ok()?;
        Some((name.trim().to_owned(), path))
    });
    let mut named: Vec<_> = named.filter(|(name, _)| name.contains(of)).collect();
    named.sort();
    named
}

/// How often a thread has waited for something.
fn waits(task: &std::path::Path) -> u64 {
    let status = std::fs::read_to_string(task.join("status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.unwrap().trim().parse().unwrap()
}

/// Acts: `sandbox.guest_threads`, `sandbox.epoch_tick`.
#[tokio::test]
async fn long_runs_have_their_threads_and_their_clock() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    belljar_tests::warm_up(&data).await;
    let server = ServerProcess::start_with(&data, |command| {
        command.env("BELLJAR_SANDBOX_GUEST_THREADS", "3");
        command.env("BELLJAR_SANDBOX_EPOCH_TICK", "100 ms");
    })
    .await;
    let names: Vec<_> = threads(server.pid(), "guest-")
        .into_iter()
        .map(|it| it.0)
        .collect();
    assert_eq!(names, ["guest-0", "guest-1", "guest-2"]);
    let endless = TestBundle::hostile("burns_fuel")
        .with_limits("fuel = 20_000_000_000\ndeadline = \"700 ms\"");
    let _ = server
        .admin()
        .upload(endless.tar())
        .await
        .expect_status(201);
    let (_, clock) = threads(server.pid(), "epoch").remove(0);
    let (before, begun) = (waits(&clock), Instant::now());
    let body = json!({"model": "burns_fuel", "inputs": {"x": [1]}});
    let answer = server.anonymous().post("/infer", &body).await;
    assert_eq!(answer.code(), "deadline_exceeded", "{}", answer.text());
    // Four times a tick while a run computes; with ticks of a millisecond it would be thousands.
    let most = begun.elapsed().as_millis() as u64 / 25 + 10;
    let ticks = waits(&clock) - before;
    assert!((1..=most).contains(&ticks), "{ticks} of {most}");
    assert!(server.terminate().await.success());
}

/// What was compiled for one secret is not believed under another, and is under the same.
///
/// Acts: `compiler.mac_secret`.
#[tokio::test]
async fn the_secret_of_compiled_models_decides_which_are_believed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let secret = folder.path().join("secret");
    let mut compiled = Vec::new();
    for text in [
        "one secret of the test, of 32 bytes",
        "another secret of the test, of 32",
    ] {
        std::fs::write(&secret, text).unwrap();
        for _ in 0..2 {
            let server = ServerProcess::start_with(&data, |command| {
                let place = format!("file:{}", secret.display());
                command.env("BELLJAR_EMBEDDED_FAKE", "false");
                command.env("BELLJAR_COMPILER_MAC_SECRET", place);
            })
            .await;
            let metrics = server.anonymous().get("/metrics").await.text();
            let series = "belljar_compile_duration_seconds_count";
            let count = metrics.lines().find(|line| line.starts_with(series));
            let count = count.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
            compiled.push(count.unwrap_or_default() > 0.0);
            assert!(!server.log().contains(text));
            assert!(server.terminate().await.success());
        }
    }
    assert_eq!(compiled, [true, false, true, false]);
}
