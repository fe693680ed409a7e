//! HTTP/2 as an attacker speaks it: frames written by hand.

use crate::heads::PATIENCE;
use belljar_tests::{TestBundle, TestHost};
use std::time::Instant;

const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 0xb;

/// A client's side of a connection, being written.
#[derive(Default)]
pub(crate) struct Frames(Vec<u8>);

impl Frames {
    pub(crate) fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        self.0.extend_from_slice(&length[1..]);
        self.0.extend_from_slice(&[kind, flags]);
        self.0.extend_from_slice(&stream.to_be_bytes());
        self.0.extend_from_slice(payload);
    }

    /// All frames, with the preface and empty settings before them.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut settings = Self::default();
        settings.frame(SETTINGS, 0, 0, &[]);
        [
            &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
            &settings.0,
            &self.0,
        ]
        .concat()
    }

    /// The fields of a `GET`, each as a literal without an index.
    pub(crate) fn get(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
        Self::head("GET", path, more)
    }

    fn head(method: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
        let fields = [
            (":method", method),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
        ];
        let mut block = Vec::new();
        for (name, value) in fields.iter().chain(more) {
            block.push(0);
            for text in [name, value] {
                // Short texts only: a length from 127 on takes more bytes.
                block.push(u8::try_from(text.len()).unwrap());
                assert!(text.len() < 127);
                block.extend_from_slice(text.as_bytes());
            }
        }
        block
    }

    /// The frames that a server sent.
    fn read(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut frames = Vec::new();
        let mut rest = bytes;
        while rest.len() >= 9 {
            let length = u32::from_be_bytes([0, rest[0], rest[1], rest[2]]) as usize;
            let Some(payload) = rest.get(9..9 + length) else {
                break;
            };
            frames.push((rest[3], payload.to_vec()));
            rest = &rest[9 + length..];
        }
        frames
    }

    pub(crate) fn kinds(bytes: &[u8]) -> Vec<u8> {
        Self::read(bytes)
            .into_iter()
            .map(|(kind, _)| kind)
            .collect()
    }

    /// The reason with which the server ended the connection.
    fn goaway(bytes: &[u8]) -> Option<u32> {
        let frames = Self::read(bytes).into_iter();
        let mut ends = frames.filter(|(kind, _)| *kind == GOAWAY);
        ends.next_back()
            .map(|(_, payload)| u32::from_be_bytes(payload[4..8].try_into().unwrap()))
    }
}

#[tokio::test]
async fn limits_are_announced() {
    let settings = [
        ("http.streams_max", "7"),
        ("http.header_bytes_max", "9 KiB"),
    ];
    let host = TestHost::start_with(&settings).await;
    let mut connection = host.raw().await;
    assert!(connection.write(&Frames::default().bytes()).await);
    let said = connection.read_some(PATIENCE).await;
    let (kind, payload) = Frames::read(&said).remove(0);
    assert_eq!(kind, SETTINGS);
    let has = |id: u16, value: u32| {
        let setting = [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
        payload.chunks(6).any(|found| found == setting)
    };
    assert!(has(3, 7), "SETTINGS_MAX_CONCURRENT_STREAMS: {payload:?}");
    assert!(
        has(6, 9 << 10),
        "SETTINGS_MAX_HEADER_LIST_SIZE: {payload:?}"
    );
}

/// Opening and taking back streams costs a client nothing (CVE-2023-44487).
///
/// Acts: `http.pending_resets_max`.
#[tokio::test]
async fn rapid_resets_end_the_connection() {
    let flood = |count: u32| {
        let mut frames = Frames::default();
        for n in 0..count {
            let flags = END_STREAM | END_HEADERS;
            frames.frame(HEADERS, flags, 2 * n + 1, &Frames::get("/health", &[]));
            frames.frame(RST_STREAM, 0, 2 * n + 1, &8_u32.to_be_bytes());
        }
        frames.bytes()
    };
    let host = TestHost::start_with(&[("http.pending_resets_max", "5")]).await;
    let mut connection = host.raw().await;
    let _ = connection.write(&flood(2_000)).await;
    let said = connection.read_all(PATIENCE).await;
    assert_eq!(Frames::goaway(&said), Some(ENHANCE_YOUR_CALM), "{said:?}");
}

/// A client can also make the server take streams back (CVE-2025-8671): here by giving a stream
/// more room than there can be.
///
/// Acts: `http.error_resets_max`.
#[tokio::test]
async fn streams_that_the_server_must_reset_end_the_connection() {
    const RESETS_MAX: u32 = 5;
    let reset = |count: u32| {
        let mut frames = Frames::default();
        for n in 0..count {
            let head = Frames::head("POST", "/infer", &[]);
            frames.frame(HEADERS, END_HEADERS, 2 * n + 1, &head);
            let room = 0x7fff_ffff_u32.to_be_bytes();
            frames.frame(WINDOW_UPDATE, 0, 2 * n + 1, &room);
        }
        frames.frame(PING, 0, 0, &[7; 8]);
        frames.bytes()
    };
    let limit = RESETS_MAX.to_string();
    let host = TestHost::start_with(&[("http.error_resets_max", &limit)]).await;
    let mut connection = host.raw().await;
    assert!(connection.write(&reset(RESETS_MAX)).await);
    let mut said = Vec::new();
    while !Frames::kinds(&said).contains(&PING) {
        let more = connection.read_some(PATIENCE).await;
        assert!(!more.is_empty(), "as many as are allowed: {said:?}");
        said.extend(more);
    }
    let resets = Frames::kinds(&said).into_iter();
    let resets = resets.filter(|kind| *kind == RST_STREAM).count();
    assert_eq!(resets, RESETS_MAX as usize);
    let mut connection = host.raw().await;
    let _ = connection.write(&reset(RESETS_MAX + 1)).await;
    let said = connection.read_all(PATIENCE).await;
    assert_eq!(Frames::goaway(&said), Some(ENHANCE_YOUR_CALM), "{said:?}");
}

/// Acts: `http.streams_max`.
#[tokio::test]
async fn a_stream_over_the_limit_is_refused_and_the_others_go_on() {
    const STREAMS_MAX: u32 = 3;
    let limit = STREAMS_MAX.to_string();
    let host = TestHost::start_with(&[("http.streams_max", &limit)]).await;
    let mut connection = host.raw().await;
    let mut frames = Frames::default();
    for n in 0..=STREAMS_MAX {
        let head = Frames::head("POST", "/infer", &[]);
        frames.frame(HEADERS, END_HEADERS, 2 * n + 1, &head);
    }
    // An empty body is an answer of 400, so the first stream lives.
    frames.frame(DATA, END_STREAM, 1, &[]);
    assert!(connection.write(&frames.bytes()).await);
    let mut said = Vec::new();
    while !Frames::kinds(&said).contains(&HEADERS) {
        let more = connection.read_some(PATIENCE).await;
        assert!(!more.is_empty(), "{said:?}");
        said.extend(more);
    }
    let resets: Vec<_> = Frames::read(&said)
        .into_iter()
        .filter(|(kind, _)| *kind == RST_STREAM)
        .map(|(_, payload)| payload)
        .collect();
    assert_eq!(resets, [REFUSED_STREAM.to_be_bytes()]);
    assert_eq!(Frames::goaway(&said), None);
}

/// A head of HTTP/2 goes on in as many frames as it likes (CVE-2024-27316).
#[tokio::test]
async fn a_head_without_end_ends_the_connection() {
    let host = TestHost::start().await;
    let mut connection = host.raw().await;
    let mut frames = Frames::default();
    frames.frame(HEADERS, END_STREAM, 1, &Frames::get("/health", &[]));
    assert!(connection.write(&frames.bytes()).await);
    let mut more = Frames::default();
    more.frame(
        CONTINUATION,
        0,
        1,
        &Frames::get("/health", &[("x-a", "b")])[50..],
    );
    let mut sent = 0_usize;
    while sent < 4 << 20 && connection.write(&more.0).await {
        sent += more.0.len();
    }
    let said = connection.read_all(PATIENCE).await;
    assert!(sent < 4 << 20, "4 MiB of one head were taken");
    assert!(
        Frames::goaway(&said).is_some() || said.is_empty(),
        "{said:?}"
    );
}

/// Acts: `http.header_bytes_max`.
#[tokio::test]
async fn a_head_over_its_limit_is_refused() {
    let host = TestHost::start_with(&[("http.header_bytes_max", "2 KiB")]).await;
    let ask = async |count: usize| {
        let fields = vec![("x-padding", "a value of forty characters, more or less"); count];
        let mut connection = host.raw().await;
        let mut frames = Frames::default();
        let block = Frames::get("/health", &fields);
        frames.frame(HEADERS, END_STREAM | END_HEADERS, 1, &block);
        assert!(connection.write(&frames.bytes()).await);
        let mut said = Vec::new();
        // The head of the answer, or the end.
        while !Frames::kinds(&said)
            .iter()
            .any(|kind| [HEADERS, RST_STREAM, GOAWAY].contains(kind))
        {
            let more = connection.read_some(PATIENCE).await;
            assert!(!more.is_empty(), "{said:?}");
            said.extend(more);
        }
        Frames::read(&said)
    };
    // `:status: 200` is one byte, the 8th of the static table.
    let fine = ask(1).await;
    assert!(
        fine.iter()
            .any(|(kind, block)| *kind == HEADERS && block[0] == 0x88),
        "{fine:?}"
    );
    let refused = ask(100).await;
    assert!(
        !refused
            .iter()
            .any(|(kind, block)| *kind == HEADERS && block[0] == 0x88),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_caller_that_leaves_ends_its_run() {
    let host = TestHost::start().await;
    let bundle = TestBundle::new("burns", "1.0.0", &belljar_test_guests::bytes("burns_fuel"));
    let bundle = bundle.with_limits("deadline = \"50 s\"\nfuel = 900_000_000_000");
    let _ = host.admin().upload(bundle.tar()).await.expect_status(201);
    let wait_for_runs = async |gauge: &str| {
        let since = Instant::now();
        while !host
            .anonymous()
            .get("/metrics")
            .await
            .text()
            .contains(gauge)
        {
            assert!(since.elapsed() < PATIENCE, "never: {gauge}");
            tokio::task::yield_now().await;
        }
    };
    let mut resets = Frames::default();
    resets.frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes());
    for takes_back in [false, true] {
        let mut connection = host.raw().await;
        let mut frames = Frames::default();
        let head = Frames::head("POST", "/infer", &[("content-type", "application/json")]);
        frames.frame(HEADERS, END_HEADERS, 1, &head);
        let body = br#"{"model":"burns","inputs":{"x":[1]}}"#;
        frames.frame(DATA, END_STREAM, 1, body);
        assert!(connection.write(&frames.bytes()).await);
        wait_for_runs("\nbelljar_sandbox_running 1\n").await;
        if takes_back {
            assert!(connection.write(&resets.0).await);
            wait_for_runs("\nbelljar_sandbox_running 0\n").await;
        }
        drop(connection);
        wait_for_runs("\nbelljar_sandbox_running 0\n").await;
    }
}
