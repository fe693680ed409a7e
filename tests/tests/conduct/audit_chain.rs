//! Each line of the audit log holds on to the one before it, over rotation, restarts and kills;
//! what is changed, removed, reordered or cut off is found.

use std::path::{Path, PathBuf};

use belljar::audit::{ChainDefect, Verified, VerifyError, verify};
use belljar_tests::{ServerProcess, TestHost, command};
use serde_json::{Value, json};

fn log_of(data: &Path) -> PathBuf {
    data.join("audit.log")
}

fn check(data: &Path) -> Result<Verified, ChainDefect> {
    match verify(&log_of(data), &data.join("audit.head")) {
        Ok(verified) => Ok(verified),
        Err(VerifyError::Broken(finding)) => Err(finding),
        Err(error) => panic!("{error}"),
    }
}

fn lines(data: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(log_of(data)).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn write(data: &Path, lines: &[String]) {
    std::fs::write(log_of(data), lines.join("\n") + "\n").unwrap();
}

/// A data directory with a log of some lines.
async fn some_log(acts: u32, settings: &[(&str, &str)]) -> tempfile::TempDir {
    let host = TestHost::start_with(settings).await;
    act(&host, acts).await;
    host.stop().await
}

/// Acts that are a line each.
async fn act(host: &TestHost, times: u32) {
    let admin = host.admin();
    for number in 0..times {
        let body = json!({"network": format!("192.0.2.{number}")});
        let _ = admin
            .post("/admin/exemptions", &body)
            .await
            .expect_status(201);
    }
}

#[tokio::test]
async fn an_untouched_log_is_whole() {
    let data = some_log(5, &[]).await;
    let verified = check(data.path()).unwrap();
    assert_eq!(verified.first_sequence, 1);
    assert_eq!(verified.last_sequence, verified.lines);
    assert!(verified.lines >= 6, "the start and five acts");
    assert!(verified.head_checked);
}

#[tokio::test]
async fn a_changed_line_is_found() {
    let data = some_log(5, &[]).await;
    let mut all = lines(data.path());
    all[3] = all[3].replace("192.0.2.", "192.0.9.");
    write(data.path(), &all);
    let Err(ChainDefect::Changed { place }) = check(data.path()) else {
        panic!("not found");
    };
    assert_eq!(place.line, 4);
}

#[tokio::test]
async fn a_removed_line_is_found() {
    let data = some_log(5, &[]).await;
    let mut all = lines(data.path());
    all.remove(2);
    write(data.path(), &all);
    let found = check(data.path()).unwrap_err();
    assert!(
        matches!(
            found,
            ChainDefect::OutOfPlace {
                found: 4,
                expected: 3,
                ..
            }
        ),
        "{found}"
    );
    // The first as well, though nothing stands before it.
    let mut all = lines(data.path());
    all.remove(0);
    write(data.path(), &all);
    let found = check(data.path()).unwrap_err();
    assert!(
        matches!(
            found,
            ChainDefect::OutOfPlace {
                found: 2,
                expected: 1,
                ..
            }
        ),
        "{found}"
    );
}

#[tokio::test]
async fn reordered_lines_are_found() {
    let data = some_log(5, &[]).await;
    let mut all = lines(data.path());
    all.swap(2, 3);
    write(data.path(), &all);
    let found = check(data.path()).unwrap_err();
    assert!(
        matches!(
            found,
            ChainDefect::OutOfPlace {
                found: 4,
                expected: 3,
                ..
            }
        ),
        "{found}"
    );
}

#[tokio::test]
async fn a_line_that_was_forged_with_its_hash_is_found() {
    let data = some_log(5, &[]).await;
    let mut all = lines(data.path());
    let (content, _) = all[3].rsplit_once(",\"hash\":\"").unwrap();
    let content = content.replace("192.0.2.", "192.0.9.");
    let hash = belljar_bundle::Digest::of(format!("{content}}}").as_bytes()).hex();
    all[3] = format!("{content},\"hash\":\"{hash}\"}}");
    write(data.path(), &all);
    let found = check(data.path()).unwrap_err();
    assert!(matches!(found, ChainDefect::Unchained { .. }), "{found}");
}

#[tokio::test]
async fn a_cut_at_the_end_is_found_also_after_the_next_start() {
    let data = some_log(5, &[]).await;
    let mut all = lines(data.path());
    let last = all.len();
    all.truncate(last - 2);
    write(data.path(), &all);
    let found = check(data.path()).unwrap_err();
    assert!(matches!(found, ChainDefect::CutOff { .. }), "{found}");
    let server = ServerProcess::start(data.path()).await;
    assert!(server.terminate().await.success());
    let found = check(data.path()).unwrap_err();
    let hole = matches!(found, ChainDefect::OutOfPlace { found, expected, .. }
        if found == last as u64 + 1 && expected == last as u64 - 1);
    assert!(hole, "{found}");
    let noted = lines(data.path());
    let noted = noted
        .iter()
        .any(|line| line.contains("audit_lines_missing"));
    assert!(noted, "the start says so");
}

/// Acts: `audit.file_max`, `audit.files_max`.
#[tokio::test]
async fn files_are_put_aside_and_the_chain_goes_on() {
    let settings = [("audit.file_max", "2 KiB"), ("audit.files_max", "3")];
    let data = some_log(60, &settings).await;
    let verified = check(data.path()).unwrap();
    assert_eq!(verified.files, 4);
    assert!(verified.first_sequence > 1, "old ones are gone");
    assert!(verified.last_sequence >= 61);
    let mut aside: Vec<PathBuf> = std::fs::read_dir(data.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("audit.log."))
        .collect();
    aside.sort();
    assert_eq!(aside.len(), 3);
    // One that was taken away is missed, the oldest as well.
    std::fs::remove_file(&aside[0]).unwrap();
    let found = check(data.path()).unwrap_err();
    assert!(matches!(found, ChainDefect::OutOfPlace { .. }), "{found}");
}

#[tokio::test]
async fn the_chain_goes_on_over_kills_and_torn_lines() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = ServerProcess::start(&data).await;
    for life in 0..6_u32 {
        let admin = server.admin();
        for act in 0..3 {
            let body = json!({"network": format!("192.0.2.{}", life * 3 + act)});
            let _ = admin
                .post("/admin/exemptions", &body)
                .await
                .expect_status(201);
        }
        server.kill();
        if life % 2 == 1 {
            // What a crash leaves that came in the middle of a write.
            let mut text = std::fs::read(log_of(&data)).unwrap();
            text.extend_from_slice(b"{\"sequence\":99,\"time\":\"20");
            std::fs::write(log_of(&data), text).unwrap();
        }
        server = ServerProcess::start(&data).await;
        // While it runs.
        let output = command()
            .args(["audit", "verify", "--json", "--data-dir"])
            .arg(&data)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        let verified: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(verified["head_checked"], true);
    }
    assert!(server.terminate().await.success());
    let torn = lines(&data);
    let torn = torn.iter().filter(|line| line.contains("audit_torn_line"));
    assert_eq!(torn.count(), 3);
    // The same text where no crash has left it.
    let mut all = lines(&data);
    all.insert(2, "{\"sequence\":99,\"time\":\"20".to_owned());
    write(&data, &all);
    let found = check(&data).unwrap_err();
    assert!(matches!(found, ChainDefect::Malformed { .. }), "{found}");
    let output = command()
        .args(["audit", "verify", "--data-dir"])
        .arg(&data)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("audit.log:3"), "{said}");
}

/// Acts: `audit.on_failure`.
#[tokio::test]
async fn a_log_that_cannot_be_written_is_noticed_and_stops_service_where_it_should() {
    // Every write to it fails as on a full disk.
    let full = ("audit.path", "/dev/full");
    let host = TestHost::start_with(&[full]).await;
    act(&host, 3).await;
    host.audit().flush().await;
    let metrics = host
        .anonymous()
        .get("/metrics")
        .await
        .expect_status(200)
        .text();
    let failures = metrics
        .lines()
        .find(|line| line.starts_with(r#"belljar_audit_failures_total{sink="file"}"#));
    assert!(failures.is_some(), "{metrics}");

    let host = TestHost::start_with(&[full, ("audit.on_failure", "refuse")]).await;
    host.audit().flush().await;
    let answer = host.anonymous().get("/v1/models").await;
    assert_eq!(answer.expect_status(503).code(), "audit_unavailable");
    let _ = host
        .anonymous()
        .get("/health/live")
        .await
        .expect_status(200);
}
