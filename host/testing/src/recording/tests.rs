#![allow(clippy::unwrap_used)]
use super::*;
use serde_json::{Value, json};
use std::time::Duration;

fn request(path: &str, body: &Value) -> Request {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    Request {
        method: "POST".to_owned(),
        path: path.to_owned(),
        query: Some(query.to_owned()).filter(|query| !query.is_empty()),
        headers: Headers::new(),
        body: Body::new(body.to_string().into_bytes()),
    }
}

fn exchange(path: &str, body: &Value, answer: &str) -> Exchange {
    Exchange {
        request: request(path, body),
        answer: Answer {
            status: 200,
            headers: Headers::new(),
            after: Duration::ZERO,
            content: Content::Whole(Body::new(answer.as_bytes().to_vec())),
        },
    }
}

fn recording(exchanges: Vec<Exchange>, names: ModelNames) -> Recording {
    let header = Header::new(&["$.messages[*].id".parse().unwrap()]);
    Recording::new(header, exchanges, names).unwrap()
}

/// What a recording answers, or why it does not.
fn answered(recording: &Recording, request: &Request, cursors: &mut Cursors) -> String {
    match recording.find(request, cursors) {
        Ok(found) => match &found.answer.content {
            Content::Whole(body) => body.text().unwrap().to_owned(),
            Content::Stream(_) => "a stream".to_owned(),
        },
        Err(miss) => miss.to_string(),
    }
}

const CHAT: &str = "/v1/chat/completions";

#[test]
fn requests_are_equal_by_their_json_without_what_says_who_asks() {
    let asked = json!({"model": "m", "messages": [{"role": "user", "content": "Hi", "id": "a"}], "temperature": 1});
    let recording = recording(vec![exchange(CHAT, &asked, "1")], ModelNames::Recorded);
    let ask = |body: &str| {
        let mut request = request(CHAT, &Value::Null);
        request.body = Body::new(body.as_bytes().to_vec());
        answered(&recording, &request, &mut Cursors::default())
    };
    for same in [
        r#"{ "temperature": 1.0, "messages": [{"id":"b","content":"Hi","role":"user"}], "model": "m" }"#,
        r#"{"model":"m","messages":[{"role":"user","content":"H\u0069"}],"temperature":1,"user":"u","seed":7,"metadata":{"a":1}}"#,
    ] {
        assert_eq!(ask(same), "1", "{same}");
    }
    let other = ask(r#"{"model":"n","messages":[{"role":"user","content":"Hi"}],"temperature":1}"#);
    assert_eq!(
        other,
        "this POST /v1/chat/completions is not in the recording: exchange 1 is the nearest, and \
         differs in `$.model`: expected \"m\", found \"n\""
    );
}

#[test]
fn the_name_of_a_recording_stands_for_any_model() {
    let asked = |model| json!({"model": model, "input": "x"});
    let recording = recording(
        vec![exchange("/v1/embeddings", &asked("gpt"), "1")],
        ModelNames::Any,
    );
    let request = request("/v1/embeddings", &asked("case"));
    assert_eq!(answered(&recording, &request, &mut Cursors::default()), "1");
}

#[test]
fn repeats_come_in_order_and_the_last_one_stays() {
    let (hi, ho) = (json!({"a": "hi"}), json!({"a": "ho"}));
    let recording = recording(
        vec![
            exchange(CHAT, &hi, "1"),
            exchange(CHAT, &ho, "of another"),
            exchange(CHAT, &hi, "2"),
        ],
        ModelNames::Recorded,
    );
    let (mut one, mut other) = (Cursors::default(), Cursors::default());
    let ask = |cursors: &mut Cursors| answered(&recording, &request(CHAT, &hi), cursors);
    assert_eq!(ask(&mut one), "1");
    assert_eq!(ask(&mut one), "2");
    assert_eq!(ask(&mut other), "1", "who asks apart begins anew");
    assert_eq!(ask(&mut one), "2");
}

#[test]
fn a_miss_names_the_nearest_and_its_first_difference() {
    let asked = |texts: [&str; 2]| json!({"messages": texts, "stream": true});
    let recording = recording(
        vec![
            exchange(CHAT, &asked(["You are terse.", "What is one?"]), ""),
            exchange(
                CHAT,
                &asked(["You are terse.", "What is the capital of France?"]),
                "",
            ),
            exchange("/v1/embeddings?api-version=1", &json!({"input": "x"}), ""),
        ],
        ModelNames::Recorded,
    );
    let miss = |path: &str, body: &Value| {
        answered(&recording, &request(path, body), &mut Cursors::default())
    };
    let told = miss(
        CHAT,
        &asked(["You are terse.", "What is the capital of Spain?"]),
    );
    assert!(told.contains("exchange 2 is the nearest"), "{told}");
    assert!(told.contains("`$.messages[1]`: expected "), "{told}");
    let told = miss("/v1/messages", &json!({}));
    assert_eq!(
        told,
        "POST /v1/messages is not in the recording, which has POST /v1/chat/completions (2), POST \
         /v1/embeddings (1)"
    );
    let told = miss("/v1/embeddings?api-version=2", &json!({"input": "x"}));
    assert!(
        told.contains("`$.query`: expected \"api-version=1\""),
        "{told}"
    );
}

#[test]
fn what_was_scrubbed_out_of_a_request_is_no_difference() {
    let recorded = json!({"messages": ["I am [scrubbed:email].", "Hi"]});
    let recording = recording(vec![exchange(CHAT, &recorded, "1")], ModelNames::Recorded);
    let ask = |texts: [&str; 2]| {
        let request = request(CHAT, &json!({"messages": texts}));
        answered(&recording, &request, &mut Cursors::default())
    };
    assert_eq!(ask(["I am me@example.org.", "Hi"]), "1");
    let told = ask(["I am me@example.org.", "Ho"]);
    assert!(
        told.contains("`$.messages[1]`: expected \"Hi\", found \"Ho\""),
        "{told}"
    );
}

#[test]
fn uploads_are_the_same_whatever_stands_between_their_parts() {
    let upload = |between: &str, text: &str| {
        let mut request = request("/v1/audio/transcriptions", &Value::Null);
        let kind = format!("multipart/form-data; boundary={between}");
        request.headers.insert("content-type".to_owned(), kind);
        request.body = Body::new(
            [
                b"--",
                between.as_bytes(),
                b"\r\n\r\n\xff",
                text.as_bytes(),
                b"\r\n--",
                between.as_bytes(),
                b"--",
            ]
            .concat(),
        );
        request
    };
    let mut recorded = exchange("/", &Value::Null, "1");
    recorded.request = upload("aaa", "x");
    let recording = recording(vec![recorded], ModelNames::Recorded);
    let mut cursors = Cursors::default();
    assert_eq!(
        answered(&recording, &upload("bbbbbb", "x"), &mut cursors),
        "1"
    );
    let told = answered(&recording, &upload("aaa", "y"), &mut cursors);
    assert!(told.contains("exchange 1 is the nearest"), "{told}");
}

fn read(text: &[u8]) -> Result<Recording, RecordingError> {
    Recording::read(text, ModelNames::Recorded)
}

#[test]
fn what_is_written_is_read() {
    let header = Header::new(&["$.a".parse().unwrap()]);
    let one = exchange(CHAT, &json!({"a": 1}), "{}");
    let text = format!(
        "{}\n{}\n",
        header.to_line().unwrap(),
        one.to_line().unwrap()
    );
    let recording = read(text.as_bytes()).unwrap();
    assert_eq!(recording.header(), &header);
    assert_eq!(recording.exchanges(), [one]);
    // The last line need not end.
    assert!(read(text.trim_end().as_bytes()).is_ok());
}

#[test]
fn a_hostile_file_is_refused_with_the_line() {
    let header = Header::new(&[]).to_line().unwrap();
    let one = exchange(CHAT, &json!({}), "{}").to_line().unwrap();
    for (text, reason) in [
        (String::new(), "line 1: this is no recording: it is empty"),
        (
            "x\n".to_owned(),
            "line 1: this is no recording: expected value",
        ),
        (
            "{}\n".to_owned(),
            "line 1: this is no recording: `recording`, its form, is missing",
        ),
        (
            header.replace(":1,", ":2,"),
            "line 1: the recording has the form 2; this version reads form 1",
        ),
        (
            header.replace("$.user", "$["),
            "line 1: this is no recording: `ignored`: `$[` is no path",
        ),
        (format!("{header}\n{one}\n\n"), "line 3: EOF while parsing"),
        (
            format!("{header}\n{one}\n{{\"request\":"),
            "line 3: EOF while parsing",
        ),
        (
            format!("{header}\n{}", "[".repeat(100_000)),
            "line 2: invalid type",
        ),
    ] {
        let error = read(text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(reason), "{error}");
    }
    let error = read(format!("{header}\n\u{0}").replace('\u{0}', "x").as_bytes()).unwrap_err();
    assert!(
        error.to_string().starts_with("line 2: expected value"),
        "{error}"
    );
    let error = read(&[header.as_bytes(), b"\n\xff\n"].concat()).unwrap_err();
    assert_eq!(error.to_string(), "line 2: it is not UTF-8");
    let many = format!(
        "{{\"recording\":1,\"ignored\":[{}\"$.a\"]}}",
        "\"$.a\",".repeat(IGNORED_MAX)
    );
    let error = read(many.as_bytes()).unwrap_err().to_string();
    assert!(
        error.contains("`ignored` has more than 64 paths"),
        "{error}"
    );
}

/// A line without an end, as large as somebody likes, costs its bound and no more.
#[test]
fn a_line_is_read_up_to_its_bound() {
    struct Endless(u64);
    impl std::io::Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            buffer.fill(b'x');
            self.0 += buffer.len() as u64;
            Ok(buffer.len())
        }
    }
    let mut endless = std::io::BufReader::with_capacity(1 << 20, Endless(0));
    let error = Recording::read(&mut endless, ModelNames::Recorded).unwrap_err();
    assert!(
        error.to_string().starts_with("line 1: it has more than"),
        "{error}"
    );
    assert!(endless.get_ref().0 <= LINE_BYTES_MAX as u64 + (2 << 20));
}

#[test]
fn a_recording_has_so_many_exchanges_and_no_more() {
    let header = Header::new(&[]);
    let exchanges = vec![exchange("/", &Value::Null, ""); EXCHANGES_MAX + 1];
    let error = Recording::new(header, exchanges, ModelNames::Recorded).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the recording has more than 100000 exchanges"
    );
}
