#![allow(clippy::unwrap_used)]
use super::*;
use crate::recording::{Answer, Cursors, Header, ModelNames, Recording};
use crate::secrets::secrets_of;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::Duration;

fn exchange(asked: &str, content: Content) -> Exchange {
    Exchange {
        request: Request {
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            query: None,
            headers: Headers::new(),
            body: Body::new(asked.as_bytes().to_vec()),
        },
        answer: Answer {
            status: 200,
            headers: Headers::new(),
            after: Duration::ZERO,
            content,
        },
    }
}

fn whole(text: &str) -> Content {
    Content::Whole(Body::new(text.as_bytes().to_vec()))
}

fn stream(events: &[String]) -> Content {
    let events = events.iter().map(|event| Event {
        after: Duration::ZERO,
        body: Body::new(event.as_bytes().to_vec()),
    });
    Content::Stream(events.collect())
}

fn scrubber(rules: &str) -> Scrubber {
    Scrubber::new(ScrubRules::parse(rules).unwrap())
}

/// The body of a request with this body, once it is scrubbed.
fn scrubbed(rules: &str, body: &str) -> String {
    let scrubbed = scrubber(rules).scrub(exchange(body, whole("")), &[]);
    scrubbed.exchange().request.body.text().unwrap().to_owned()
}

#[test]
fn keys_tokens_and_addresses_are_taken_out_wherever_they_stand() {
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.sflKxwRJSMeKKF2QT4";
    for (secret, left) in [
        ("me.and-you+1@mail.example.org", "[scrubbed:email]"),
        ("sk-proj-abcDEF123456ghi", "[scrubbed:key]"),
        ("sk-ab********wxyz", "[scrubbed:key]"),
        ("ghp_abcdefghijklmnopqrst", "[scrubbed:key]"),
        ("AKIAIOSFODNN7EXAMPLE", "[scrubbed:key]"),
        (jwt, "[scrubbed:token]"),
        ("Bearer 0123456789abcdef0123", "Bearer [scrubbed:token]"),
        (
            "https://user:hunter2@host/",
            "https://user:[scrubbed:password]@host/",
        ),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
            "[scrubbed:private-key]",
        ),
        (
            r#"{"city": "Rome", "password": "hunter2"}"#,
            r#"{"city": "Rome", "password": "[scrubbed:member]"}"#,
        ),
    ] {
        let text = format!("so {secret} it is");
        let left = format!("so {left} it is");
        let body = json!({"messages": [{"content": text}]}).to_string();
        assert_eq!(
            scrubbed("", &body),
            json!({"messages": [{"content": left}]}).to_string()
        );
        assert_eq!(scrubbed("", &text), left, "as plain text");
        assert_eq!(scrubbed("defaults = false", &text), text);
    }
    for plain in [
        "disk-partition-managers",
        "risk_assessment_procedures",
        "a@b",
        "bearer of news",
        "12:30@noon",
        "the secret: none",
    ] {
        assert_eq!(scrubbed("", plain), plain);
    }
}

#[test]
fn every_other_byte_stays() {
    let body = r#"{ "z": 1.50, "a" : ["x@example.org", 1e3], "k\u0065y": "\u0041" }"#;
    assert_eq!(
        scrubbed("", body),
        r#"{ "z": 1.50, "a" : ["[scrubbed:email]", 1e3], "k\u0065y": "\u0041" }"#
    );
}

#[test]
fn members_paths_names_and_patterns_of_rules() {
    assert_eq!(
        scrubbed(
            "",
            r#"{"Api-Key":"short","token":"Hi","properties":{"password":{"type":"string"}}}"#
        ),
        r#"{"Api-Key":"[scrubbed:member]","token":"Hi","properties":{"password":{"type":"string"}}}"#
    );
    assert_eq!(
        scrubbed(
            "paths = [\"$.tenant\", \"$..pin\"]",
            r#"{"tenant":{"id":7,"n":"x"},"a":[{"pin":1}]}"#
        ),
        r#"{"tenant":{"id":"[scrubbed:path]","n":"[scrubbed:path]"},"a":[{"pin":"[scrubbed:path]"}]}"#
    );
    assert_eq!(
        scrubbed("", r#"{"me@example.org":1}"#),
        r#"{"[scrubbed:email]":1}"#
    );
    let rules = "[[pattern]]\nname = \"order\"\nregex = 'ORD-(?P<secret>\\d+)'";
    assert_eq!(
        scrubbed(rules, r#"{"a":"of ORD-123 me@example.org"}"#),
        r#"{"a":"of ORD-[scrubbed:order] [scrubbed:email]"}"#
    );
}

#[test]
fn credentials_are_kept_in_no_header_query_or_body() {
    let mut one = exchange(
        "{\"key\":\"0123456789abc\"}",
        whole("Incorrect key: 0123456789abc."),
    );
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    one.request.headers = Headers::from([
        header("authorization", "Bearer 0123456789abc"),
        header("x-api-key", "0123456789abc"),
        header("cookie", "session=0123456789abc"),
        header("content-type", "application/json"),
        header("user-agent", "curl"),
        header("x-tier", "of me@example.org"),
    ]);
    one.request.query = Some("key=0123456789abc&b=2&a=0123456789abc".to_owned());
    one.answer.headers = Headers::from([
        header("set-cookie", "a=0123456789abc"),
        header("x-ratelimit-remaining-tokens", "7"),
        header("server", "x"),
    ]);
    let headers = one.request.headers.clone();
    let pairs = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let secrets = secrets_of(pairs, one.request.query.as_deref().unwrap());
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    let scrubbed = scrubber("headers = [\"X-Tier\"]").scrub(one, &secrets);
    assert_eq!(
        scrubbed.to_line().unwrap(),
        concat!(
            r#"{"request":{"method":"POST","path":"/v1/chat/completions","#,
            r#""query":"a=[scrubbed:secret]&b=2","#,
            r#""headers":{"content-type":"application/json","x-tier":"of [scrubbed:email]"},"#,
            r#""json":{"key":"[scrubbed:secret]"}},"#,
            r#""answer":{"status":200,"headers":{"x-ratelimit-remaining-tokens":"7"},"#,
            r#""after_ms":0.0,"text":"Incorrect key: [scrubbed:secret]."}}"#,
        )
    );
    assert_eq!(scrubbed.places(), 4);
}

#[test]
fn paths_and_queries_are_looked_at_as_what_they_stand_for() {
    let mut one = exchange("", whole(""));
    one.request.path = "/v1/users/me%40example.org/keys/sk-abcdefghijklmn".to_owned();
    one.request.query = Some("q=me%40example.org&r=1".to_owned());
    let scrubbed = scrubber("").scrub(one, &[]);
    let request = &scrubbed.exchange().request;
    assert_eq!(
        request.path,
        "/v1/users/[scrubbed:email]/keys/[scrubbed:key]"
    );
    assert_eq!(request.query.as_deref(), Some("q=[scrubbed:email]&r=1"));
    assert!(scrubbed.to_line().is_ok());
}

fn delta(index: u32, text: &str) -> String {
    let chunk = json!({
        "id": "chatcmpl-0123456789abcdef",
        "choices": [{"index": index, "delta": {"content": text}}],
    });
    format!("data: {chunk}\n\n")
}

/// The texts of the events, by their choice.
fn texts(scrubbed: &Scrubbed) -> [String; 2] {
    let mut texts = [String::new(), String::new()];
    let Content::Stream(events) = &scrubbed.exchange().answer.content else {
        panic!("no stream");
    };
    for event in events {
        let text = event.body.text().unwrap();
        let json = text.strip_prefix("data: ").unwrap();
        let chunk: Value = serde_json::from_str(json).unwrap();
        let choice = &chunk["choices"][0];
        let index = usize::try_from(choice["index"].as_u64().unwrap()).unwrap();
        texts[index].push_str(choice["delta"]["content"].as_str().unwrap());
        assert_eq!(chunk["id"], "chatcmpl-0123456789abcdef");
    }
    texts
}

#[test]
fn what_runs_over_events_is_taken_out_of_all_of_them() {
    let events = [
        delta(0, "Ask jo"),
        delta(1, "key: sk-abc"),
        delta(0, "hn@exam"),
        delta(1, "defghijklmnop!"),
        delta(0, "ple.org"),
        delta(0, " today"),
    ];
    let scrubbed = scrubber("").scrub(exchange("{}", stream(&events)), &[]);
    assert_eq!(
        texts(&scrubbed),
        ["Ask [scrubbed:email] today", "key: [scrubbed:key]!"]
    );
    let line = scrubbed.to_line().unwrap();
    for part in ["hn@exam", "ple.org", "sk-abc", "defghijklmnop"] {
        assert!(!line.contains(part), "{part}: {line}");
    }
    // The arguments of a call, which is JSON in a text in pieces.
    let piece = |text: &str| {
        let data =
            json!({"type": "content_block_delta", "index": 1, "delta": {"partial_json": text}});
        format!("event: content_block_delta\ndata: {data}\n\n")
    };
    let events = [piece("{\"pass"), piece("word\": \"hun"), piece("ter2\"}")];
    let line = scrubber("")
        .scrub(exchange("{}", stream(&events)), &[])
        .to_line()
        .unwrap();
    assert!(!line.contains("hun") && !line.contains("ter2"), "{line}");
}

#[test]
fn bytes_that_are_no_text_are_looked_through() {
    let mut one = exchange("", whole(""));
    one.request.body = Body::new(b"\xff\xfeme@example.org\x000123456789abc\xff".to_vec());
    let scrubbed = scrubber("").scrub(one, &["0123456789abc"]);
    assert_eq!(
        scrubbed.exchange().request.body.bytes(),
        b"\xff\xfe[scrubbed:email]\x00[scrubbed:secret]\xff"
    );
}

/// JSON deeper than values are read is looked into all the same.
#[test]
fn depth_hides_nothing() {
    let deep = format!(
        "{}\"\\u006de@example.org\"{}",
        "[".repeat(500),
        "]".repeat(500)
    );
    let left = scrubbed("", &deep);
    assert!(left.contains("[[\"[scrubbed:email]\"]]"), "{left}");
}

proptest! {
    /// However an answer is cut into events and wherever the secret stands in it, no line of a
    /// recording has it, and the request that was asked is still the one that is found.
    #[test]
    fn no_secret_is_in_a_line(
        before in "[a-zA-Z .,:é\"\\\\\n]{0,20}",
        after in "[ .,:é\"\\\\\n][a-zA-Z .,:é\"\\\\\n]{0,20}",
        which in 0usize..4,
        cuts in prop::collection::vec(1usize..9, 1..12),
    ) {
        let secret = [
            "jane.doe@mail.example.org",
            "sk-live-abcdefghijkl12345",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.sflKxwRJSM",
            "hunter2hunter2",
        ][which];
        let text = format!("{before} {secret}{after}");
        let mut events = Vec::new();
        let chars: Vec<char> = text.chars().collect();
        let mut rest = chars.as_slice();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, further) = rest.split_at((*cut).min(rest.len()));
            events.push(delta(0, &piece.iter().collect::<String>()));
            rest = further;
        }
        let asked = json!({"messages": [{"role": "user", "content": text}]}).to_string();
        let one = exchange(&asked, stream(&events));
        let request = one.request.clone();
        let scrubbed = scrubber("").scrub(one, &["hunter2hunter2"]);
        let line = scrubbed.to_line().unwrap();
        prop_assert!(!line.contains(secret), "{}", line);
        let [left, _] = texts(&scrubbed);
        prop_assert!(!left.contains(secret), "{}", left);
        let recorded = Exchange::from_line(&line).unwrap();
        let recording =
            Recording::new(Header::new(&[]), vec![recorded], ModelNames::Recorded).unwrap();
        let found = recording.find(&request, &mut Cursors::default());
        prop_assert!(found.is_ok(), "{:?}", found);
    }
}
