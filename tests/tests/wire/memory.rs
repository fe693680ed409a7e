//! What a client sends is not what the server holds.

use std::future::poll_fn;
use std::time::Duration;

use axum::http::Request;
use belljar_tests::{RawConnection, ServerProcess};
use bytes::Bytes;
use reqwest::header::HeaderMap;
use tokio::net::TcpStream;

/// What one client tries to send.
const SENT_BYTES: usize = 300 << 20;

/// What that may cost.
const COST_BYTES_MAX: u64 = 16 << 20;

/// What one client gets rid of that is refused at once: what the server throws away after its
/// answer, and what the system keeps on both sides of the connection.
const REFUSED_BYTES_MAX: usize = (16 + 16) << 20;

/// The most memory that a process ever had resident.
fn peak_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        << 10
}

/// Sends pieces until all are sent or the server has closed.
async fn pour(connection: &mut RawConnection, head: &str, piece: &[u8]) -> usize {
    let mut sent = 0;
    if connection.write(head.as_bytes()).await {
        while sent < SENT_BYTES && connection.write(piece).await {
            sent += piece.len();
        }
    }
    sent
}

#[tokio::test]
async fn a_large_upload_costs_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start_with(&folder.path().join("data"), |command| {
        command.env("BELLJAR_REQUIRE_API_KEY", "true");
    })
    .await;
    let admin = server.admin();
    let key = admin.key().unwrap();
    // The first of each kind sets up what later ones use again.
    let _ = admin.get("/models").await.expect_status(200);
    let _ = admin
        .post(
            "/infer",
            &serde_json::json!({"model": "echo", "inputs": {"x": [1]}}),
        )
        .await;

    let mut chunk = format!("{:x}\r\n", 1 << 20).into_bytes();
    chunk.resize(chunk.len() + (1 << 20), b'x');
    chunk.extend_from_slice(b"\r\n");
    let plain = vec![b'x'; 1 << 20];
    let chunked = "transfer-encoding: chunked";
    let announced = format!("content-length: {SENT_BYTES}");
    let authorization = format!("authorization: Bearer {key}");
    for (what, path, kind, rights, length, piece) in [
        (
            "without a key",
            "/models",
            "application/x-tar",
            "x: y",
            chunked,
            &chunk,
        ),
        (
            "announced, without a key",
            "/models",
            "application/x-tar",
            "x: y",
            &announced,
            &plain,
        ),
        (
            "no archive",
            "/models",
            "application/x-tar",
            &authorization,
            chunked,
            &chunk,
        ),
        (
            "no archive, announced",
            "/models",
            "application/x-tar",
            &authorization,
            &announced,
            &plain,
        ),
        (
            "too large a body",
            "/infer",
            "application/json",
            &authorization,
            &announced,
            &plain,
        ),
        (
            "a body without end",
            "/infer",
            "application/json",
            &authorization,
            chunked,
            &chunk,
        ),
    ] {
        let before = peak_bytes(server.pid());
        let mut connection = RawConnection::open(server.address()).await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\n{rights}\r\n{length}\r\n\r\n"
        );
        let sent = pour(&mut connection, &head, piece).await;
        // The kernel adds up the counts of threads as it likes: a peak can read lower later.
        let cost = peak_bytes(server.pid()).saturating_sub(before);
        assert!(
            cost < COST_BYTES_MAX,
            "{what}: {sent} bytes sent cost {cost} bytes of memory"
        );
        if what != "a body without end" {
            assert!(sent <= REFUSED_BYTES_MAX, "{what}: {sent} bytes sent");
        }
    }
}

/// Processor time that a process has used, in all its threads.
fn cpu_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(ticks * 10)
}

/// What a reader of forms must keep until it knows what it is: what comes before the first field,
/// the heads of fields, and the fields that are not the bundle.
#[tokio::test]
async fn a_form_that_hides_its_bytes_costs_little_memory_and_time() {
    const AT_ONCE: usize = 8;
    const CPU_TIME_MAX: Duration = Duration::from_secs(4);
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start_with(&folder.path().join("data"), |command| {
        command
            .env("BELLJAR_REQUIRE_API_KEY", "true")
            .env("BELLJAR_QUOTA_UPLOADS_MAX", "8");
    })
    .await;
    let admin = server.admin();
    let key = admin.key().unwrap();
    let _ = admin.get("/models").await.expect_status(200);
    let head = format!(
        "POST /models HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\
         content-type: multipart/form-data; boundary=x\r\ncontent-length: {SENT_BYTES}\r\n\r\n"
    );
    let field = "--x\r\ncontent-disposition: form-data; name=";
    for (what, start, piece) in [
        ("no field", "aaaa".to_owned(), vec![0; 1 << 20]),
        (
            "line ends before the first field",
            String::new(),
            b"\r\n".repeat(1 << 19),
        ),
        (
            "a head without end",
            format!("{field}\"file\"; filename=\""),
            vec![b'f'; 1 << 20],
        ),
        (
            "another field without end",
            format!("{field}\"other\"\r\n\r\n"),
            vec![b'o'; 1 << 20],
        ),
        (
            "other fields without end",
            String::new(),
            format!("{field}\"other\"\r\n\r\nx\r\n")
                .repeat(20_000)
                .into_bytes(),
        ),
        (
            "padding behind the boundary",
            "--x".to_owned(),
            vec![b' '; 1 << 20],
        ),
        (
            "almost a boundary",
            String::new(),
            b"\r\n--y".repeat(200_000),
        ),
    ] {
        let (memory, time) = (peak_bytes(server.pid()), cpu_time(server.pid()));
        let mut senders = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            let (head, piece) = (format!("{head}{start}"), piece.clone());
            let address = server.address();
            senders.spawn(async move {
                let mut connection = RawConnection::open(address).await;
                let sent = pour(&mut connection, &head, &piece).await;
                (sent, connection.read_some(Duration::from_secs(10)).await)
            });
        }
        for (sent, answer) in senders.join_all().await {
            assert!(sent <= REFUSED_BYTES_MAX, "{what}: {sent} bytes sent");
            // What was sent after the answer may have reset the connection.
            let answer = String::from_utf8_lossy(&answer);
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
                "{what}: {answer}"
            );
        }
        let memory = peak_bytes(server.pid()).saturating_sub(memory);
        let time = cpu_time(server.pid()) - time;
        assert!(
            memory < 2 * COST_BYTES_MAX,
            "{what}: {memory} bytes of memory"
        );
        assert!(time < CPU_TIME_MAX, "{what}: {time:?} of processor time");
    }
    // Bans, if there were any, would tell the same as a server that hangs.
    let _ = admin.get("/models").await.expect_status(200);
}

/// A message of the size that is allowed may cost its copies (as it came, read, decoded, for the
/// model), and not what each of its signs costs a reader of it.
#[tokio::test]
async fn to_screen_a_large_message_costs_its_copies() {
    const MESSAGE_BYTES: usize = 8 << 20;
    const COPIES_MAX: u64 = 8;
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(&folder.path().join("data")).await;
    let client = server.admin();
    let ask = async |content: &str| {
        let body = serde_json::json!({
            "model": "fake",
            "max_tokens": 1,
            "messages": [{"role": "user", "content": content}],
        });
        client.post("/v1/chat/completions", &body).await.status
    };
    assert_eq!(ask("Please say yes.").await, 200);
    // Talk, so that all of it is read, and then a token a byte, of which nothing repeats.
    let mut message =
        "Please tell me what you think about all of these signs, would you? ".repeat(4);
    let mut state = 1_u32;
    while message.len() < MESSAGE_BYTES {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        message.push(char::from(b".,:!?~^[]"[(state >> 24) as usize % 9]));
    }
    let before = peak_bytes(server.pid());
    let status = ask(&message).await;
    let cost = peak_bytes(server.pid()).saturating_sub(before);
    assert!(matches!(status, 200 | 400), "{status}");
    let copies = cost / MESSAGE_BYTES as u64;
    assert!(
        copies <= COPIES_MAX,
        "{status}: {copies} times {MESSAGE_BYTES} bytes"
    );
}

/// Makes one call of gRPC with a message, and gives the end of its answer.
async fn call(server: &ServerProcess, message: &[u8]) -> HeaderMap {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let (requests, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let path = "/inference.GRPCInferenceService/ModelInfer";
    let request = Request::post(format!("http://{}{path}", server.address()))
        .header("content-type", "application/grpc")
        .body(())
        .unwrap();
    let mut requests = requests.ready().await.unwrap();
    let (answer, mut body) = requests.send_request(request, false).unwrap();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let mut rest = Bytes::from([&[0][..], &length, message].concat());
    while !rest.is_empty() {
        body.reserve_capacity(rest.len());
        let room = poll_fn(|context| body.poll_capacity(context)).await;
        let room = room.unwrap().unwrap().min(rest.len());
        let piece = rest.split_to(room);
        body.send_data(piece, rest.is_empty()).unwrap();
    }
    let mut answer = answer.await.unwrap();
    while let Some(data) = answer.body_mut().data().await {
        let data = data.unwrap().len();
        answer
            .body_mut()
            .flow_control()
            .release_capacity(data)
            .unwrap();
    }
    let trailers = answer.body_mut().trailers().await.unwrap();
    trailers.unwrap_or_else(|| answer.headers().clone())
}

/// Two bytes of an empty field must not become the hundreds that a tree of them would take.
#[tokio::test]
async fn a_message_of_many_empty_fields_costs_little_memory() {
    const FIELDS: usize = 4 << 20;
    // What came, joined to one message, and the bytes of a tensor while its buffer grows.
    const MESSAGE_COST_BYTES_MAX: u64 = 96 << 20;
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(&folder.path().join("data")).await;
    let field = |number: u8, content: &[u8]| {
        let mut length = content.len();
        let mut field = vec![number << 3 | 2];
        while length > 127 {
            field.push(u8::try_from(length & 127).unwrap() | 128);
            length >>= 7;
        }
        field.push(u8::try_from(length).unwrap());
        [&field[..], content].concat()
    };
    let model = field(1, b"echo");
    let strings = field(8, b"").repeat(FIELDS);
    let tensor = [field(1, b"x"), field(2, b"BYTES"), field(5, &strings)].concat();
    let before = peak_bytes(server.pid());
    for (what, fields) in [
        ("options", field(4, b"").repeat(FIELDS)),
        ("inputs", field(5, b"").repeat(FIELDS)),
        ("outputs", field(6, b"").repeat(FIELDS)),
        ("raw contents", field(7, b"").repeat(FIELDS)),
        ("strings", field(5, &tensor)),
    ] {
        let end = call(&server, &[&model[..], &fields].concat()).await;
        assert!(end.contains_key("grpc-status"), "{what}: {end:?}");
        let cost = peak_bytes(server.pid()).saturating_sub(before);
        assert!(cost < MESSAGE_COST_BYTES_MAX, "{what}: {cost} bytes");
    }
}
