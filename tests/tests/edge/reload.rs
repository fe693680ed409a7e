//! Certificates change while the server serves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use belljar_tests::TestHost;

use crate::kit::{Authority, Folder, PATIENCE, TlsHost, connect, shown};

/// Requests around each change of a certificate: those of a second at 200 a second, on any machine.
const REQUESTS: usize = 200;
const OFTEN: (&str, &str) = ("tls.watch_period", "20 ms");

/// Waits until new connections are shown another certificate than that one.
async fn until_another_is_shown(host: &TlsHost, than: &[u8]) -> Vec<u8> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = shown(&host.connect().await);
        if now != than {
            return now;
        }
        assert!(Instant::now() < deadline, "the certificate stays the same");
        tokio::task::yield_now().await;
    }
}

/// Acts: `tls.watch_period`.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_change_under_constant_requests_and_none_fails() {
    let host = Arc::new(TlsHost::start(&[OFTEN]).await);
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicUsize::new(0));
    // Half of them keep their connections, half make a new one for each request.
    let callers: Vec<_> = (0..8)
        .map(|at| {
            let (host, stop, done) = (Arc::clone(&host), Arc::clone(&stop), Arc::clone(&done));
            let kept = if at % 2 == 0 { usize::MAX } else { 0 };
            let client = host.http().pool_max_idle_per_host(kept).build().unwrap();
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let request = client.post(host.url("/infer"));
                    let body = serde_json::json!({"model": "echo", "inputs": {"x": [1, 2]}});
                    let answer = request.json(&body).send().await.unwrap();
                    assert_eq!(answer.status(), 200);
                    answer.bytes().await.unwrap();
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut before = shown(&host.connect().await);
    let begun = Instant::now();
    for round in 1..=5 {
        let issued = host.authority.issue(&["localhost"]);
        host.folder.certificate("server", &issued);
        before = until_another_is_shown(&host, &before).await;
        while done.load(Ordering::Relaxed) < round * REQUESTS {
            assert!(begun.elapsed() < 6 * PATIENCE, "nobody asks any more");
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.expect("no request fails");
    }
    // Of the files of two certificates, some readings may see a half: those fail and are counted.
    assert!(
        host.metric("belljar_tls_reloads_total{outcome=\"ok\"}")
            .await
            >= 5.0
    );
}

#[tokio::test]
async fn what_cannot_be_used_leaves_the_old_certificate() {
    let host = TlsHost::start(&[OFTEN]).await;
    let before = shown(&host.connect().await);
    let failed = "belljar_tls_reloads_total{outcome=\"failed\"}";
    let issued = host.authority.issue(&["localhost"]);
    let other = host.authority.issue(&["localhost"]);
    let mut failures = 0.0;
    for (certificate, key) in [
        ("not a certificate", &*other.key),
        (&*issued.certificate, &*other.key),
        (
            &*issued.certificate,
            "-----BEGIN PRIVATE KEY-----\nnonsense",
        ),
    ] {
        host.folder.write("server.key", key);
        host.folder.write("server.pem", certificate);
        let deadline = Instant::now() + PATIENCE;
        while host.metric(failed).await <= failures {
            assert!(Instant::now() < deadline, "nobody has noticed");
        }
        failures = host.metric(failed).await;
        assert_eq!(shown(&host.connect().await), before);
    }
    host.folder.certificate("server", &issued);
    until_another_is_shown(&host, &before).await;
}

#[tokio::test]
async fn the_end_of_each_certificate_is_a_metric() {
    let host = TlsHost::start(&[]).await;
    let file = host.folder.path("server.pem");
    let series = format!(
        "belljar_tls_certificate_expiry_seconds{{file=\"{}\"}}",
        file.display()
    );
    // Which is the default of the library that made it: the end of the year 4095.
    assert!(host.metric(&series).await > 4e9);
}

/// Acts: `tls.expiry_warning`.
#[tokio::test]
async fn files_that_end_soon_are_in_a_metric() {
    let settings = [OFTEN, ("tls.expiry_warning", "10000000 d")];
    let (far, soon) = (
        TlsHost::start(&[OFTEN]).await,
        TlsHost::start(&settings).await,
    );
    for (host, expect) in [(&far, 0.0), (&soon, 1.0)] {
        let file = host.folder.path("server.pem");
        let series = format!("belljar_tls_expires_soon{{file=\"{}\"}}", file.display());
        assert!((host.metric(&series).await - expect).abs() < f64::EPSILON);
    }
}

/// As Kubernetes does it: a link to a folder is replaced, and the paths stay the same.
#[tokio::test]
async fn a_folder_that_is_swapped_as_a_whole_is_noticed() {
    let (authority, folder) = (Authority::new("the test"), Folder::new());
    let swap = |name: &str| {
        let issued = authority.issue(&["localhost"]);
        std::fs::create_dir(folder.path(name)).unwrap();
        std::fs::write(folder.path(name).join("tls.crt"), issued.certificate).unwrap();
        std::fs::write(folder.path(name).join("tls.key"), issued.key).unwrap();
        std::os::unix::fs::symlink(name, folder.path("next")).unwrap();
        std::fs::rename(folder.path("next"), folder.path("now")).unwrap();
    };
    swap("first");
    let files = ["tls.crt", "tls.key"].map(|name| folder.path("now").join(name));
    let [certificate, key] = files.each_ref().map(|path| path.to_str().unwrap());
    let settings = [("tls.cert", certificate), ("tls.key", key), OFTEN];
    let host = TestHost::start_with(&settings).await;
    let shown_now = async || {
        let client = authority.trusting();
        shown(&connect(host.address(), "localhost", client).await.unwrap())
    };
    let first = shown_now().await;
    swap("second");
    let deadline = Instant::now() + PATIENCE;
    while shown_now().await == first {
        assert!(Instant::now() < deadline, "the certificate stays the same");
        tokio::task::yield_now().await;
    }
}
