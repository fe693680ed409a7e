//! A collector that is slow, dead, busy or mad costs a request nothing.

use std::time::{Duration, Instant};

use belljar_tests::{ServerProcess, TestHost};

use super::collector::{Collector, Reply, metric};
use crate::kit::PATIENCE;

async fn ask(host: &TestHost) {
    let _ = host.anonymous().get("/v1/models").await.expect_status(200);
}

/// Waits until a number of the metrics, which all servers of this process share, is above one.
async fn until_above(host: &TestHost, line: &str, least: f64) {
    let begun = Instant::now();
    while metric(host, line).await <= least {
        assert!(begun.elapsed() < PATIENCE, "{line} stays at {least}");
        tokio::task::yield_now().await;
    }
}

const FAILED: &str = r#"belljar_trace_spans_total{outcome="failed"}"#;
const REJECTED: &str = r#"belljar_trace_spans_total{outcome="rejected"}"#;
const DROPPED: &str = r#"belljar_trace_spans_total{outcome="dropped"}"#;

/// Acts: `traces.timeout`.
#[tokio::test]
async fn a_message_is_sent_again_where_the_protocol_says_so() {
    let replies = [
        Reply::Status(503),
        Reply::Nothing,
        Reply::Later(429, "0"),
        Reply::Later(503, "Fri, 01 Jan 1999 00:00:00 GMT"),
        Reply::Taken,
    ];
    let collector = Collector::start(&replies).await;
    let settings = [("traces.timeout", "400 ms")];
    let host = collector.host(&settings).await;
    let begun = Instant::now();
    ask(&host).await;
    let seen = collector.wait(|seen| seen.len() >= 5).await;
    // One attempt alone takes as long unless another time is set.
    assert!(begun.elapsed() < Duration::from_secs(9));
    for export in &seen[..5] {
        assert_eq!(export.body, seen[0].body);
        assert_eq!(export.path, "/v1/traces");
        assert_eq!(export.headers["content-type"], "application/x-protobuf");
    }
}

#[tokio::test]
async fn what_is_refused_is_counted_and_not_sent_again() {
    let replies = [
        Reply::Status(400),
        Reply::Status(301),
        Reply::Garbage,
        Reply::Endless,
        Reply::Rejects(2),
        Reply::Taken,
    ];
    let collector = Collector::start(&replies).await;
    let host = collector.host(&[]).await;
    let (failed, rejected) = (metric(&host, FAILED).await, metric(&host, REJECTED).await);
    for count in 1..=replies.len() {
        ask(&host).await;
        collector.wait(|seen| seen.len() >= count).await;
    }
    until_above(&host, FAILED, failed).await;
    until_above(&host, REJECTED, rejected).await;
    let bodies: Vec<_> = collector.exports().into_iter().map(|it| it.body).collect();
    let mut distinct = bodies.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), bodies.len(), "none came twice");
}

/// Acts: `traces.queue_max`.
#[tokio::test]
async fn nobody_waits_for_a_collector_and_what_has_no_room_is_dropped_and_counted() {
    let collector = Collector::start(&[Reply::Nothing]).await;
    let settings = [
        ("traces.timeout", "1 h"),
        ("traces.queue_max", "8"),
        ("traces.batch_max", "4"),
    ];
    let host = collector.host(&settings).await;
    let dropped = metric(&host, DROPPED).await;
    for _ in 0..20 {
        ask(&host).await;
    }
    until_above(&host, DROPPED, dropped + 80.0).await;
    let begun = Instant::now();
    host.stop().await;
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "a stop waits 2 s for it"
    );
}

/// Acts: `traces.batch_max`, `traces.batch_delay`.
#[tokio::test]
async fn a_stop_sends_what_is_left() {
    let collector = Collector::start(&[Reply::Taken]).await;
    let settings = [("traces.batch_delay", "1 h"), ("traces.batch_max", "7")];
    let host = collector.host(&settings).await;
    for _ in 0..5 {
        ask(&host).await;
    }
    host.stop().await;
    let exports = collector.exports();
    let spans = exports.iter().flat_map(|it| it.spans());
    let requests = spans.filter(|span| span.name == "GET /v1/models");
    assert_eq!(requests.count(), 5);
    let sizes: Vec<_> = exports.iter().map(|it| it.spans().len()).collect();
    let (last, whole) = sizes.split_last().unwrap();
    assert!(
        *last <= 7 && whole.iter().all(|size| *size == 7),
        "{sizes:?}"
    );
}

/// A port where nobody is, and then somebody: the log has a line for each turn and no more.
///
/// Acts: `traces.retry_first`, `traces.retry_time`.
#[tokio::test]
async fn the_log_says_once_that_nobody_is_there_and_once_that_somebody_is() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start_with(&folder.path().join("data"), |command| {
        command
            .env("BELLJAR_TRACES_ENDPOINT", format!("http://{address}"))
            .env("BELLJAR_TRACES_BATCH_DELAY", "1 ms")
            .env("BELLJAR_TRACES_RETRY_FIRST", "1 ms")
            .env("BELLJAR_TRACES_RETRY_TIME", "0 s");
    })
    .await;
    let exports = || async {
        let text = server.admin().get("/metrics").await.text();
        let line = r#"belljar_trace_exports_total{outcome="failed"}"#;
        let found = text.lines().find_map(|l| l.strip_prefix(line));
        found.map_or(0.0, |rest| rest.trim().parse::<f64>().unwrap())
    };
    let begun = Instant::now();
    while exports().await < 5.0 {
        assert!(begun.elapsed() < PATIENCE, "{}", server.log());
    }
    let collector = Collector::start_at(address, &[Reply::Taken]).await;
    while collector.exports().is_empty() || !server.log().contains("takes traces again") {
        let _ = server.anonymous().get("/health").await;
        assert!(begun.elapsed() < 2 * PATIENCE, "{}", server.log());
    }
    let log = server.log();
    assert_eq!(
        log.matches("the collector takes no traces").count(),
        1,
        "{log}"
    );
    assert_eq!(
        log.matches("the collector takes traces again").count(),
        1,
        "{log}"
    );
    assert!(log.contains("spans.lost="), "{log}");
    assert!(server.terminate().await.success());
}
