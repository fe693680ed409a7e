#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

fn answer(content: Content) -> Exchange {
    Exchange {
        request: Request {
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            ..Request::default()
        },
        answer: Answer {
            status: 200,
            headers: Headers::from([("content-type".to_owned(), "application/json".to_owned())]),
            after: Duration::from_micros(1_250),
            content,
        },
    }
}

#[test]
fn a_line_is_read_by_people() {
    let mut exchange = answer(Content::Stream(vec![
        Event {
            after: Duration::ZERO,
            body: Body::new(b"data: {}\n\n".to_vec()),
        },
        Event {
            after: Duration::from_millis(20),
            body: Body::new(b"data: \xff\n\n".to_vec()),
        },
    ]));
    exchange.request.body = Body::new(br#"{"b":1,"a":2.50}"#.to_vec());
    assert_eq!(
        exchange.to_line().unwrap(),
        concat!(
            r#"{"request":{"method":"POST","path":"/v1/chat/completions","json":{"b":1,"a":2.50}},"#,
            r#""answer":{"status":200,"headers":{"content-type":"application/json"},"after_ms":1.25,"#,
            r#""events":[{"after_ms":0.0,"text":"data: {}\n\n"},"#,
            r#"{"after_ms":20.0,"base64":"ZGF0YTog/woK"}]}}"#,
        )
    );
}

#[test]
fn what_is_no_exchange_is_refused_with_the_reason() {
    let line = answer(Content::Whole(Body::new(b"{}".to_vec())))
        .to_line()
        .unwrap();
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for (from, to, reason) in [
        ("\"POST\"", "\"post\"", "request.method"),
        ("\"/v1", "\"v1", "request.path"),
        ("\"/v1", "\"/v1 /", "request.path"),
        ("200", "100", "answer.status: 100"),
        ("200", "600", "answer.status: 600"),
        ("1.25", "-1.0", "after_ms: -1"),
        ("1.25", "1e9", "after_ms: 1000000000"),
        (
            "\"json\":{}",
            "\"json\":{},\"text\":\"\"",
            "more than one of",
        ),
        (
            "\"json\":{}",
            "\"json\":{},\"events\":[]",
            "a body and events",
        ),
        ("\"json\":{}", "\"base64\":\"*\"", "its base64 is none"),
        (
            "\"json\":{}",
            &format!("\"json\":{deep}"),
            "its JSON is more than 127 deep",
        ),
        ("content-type", "Content-Type", "a name is none of a header"),
        (
            "application/json",
            "a\\r\\nset-cookie: b",
            "control character",
        ),
        ("\"after_ms\":1.25,", "", "missing field `after_ms`"),
        (
            "\"status\"",
            "\"extra\":1,\"status\"",
            "unknown field `extra`",
        ),
    ] {
        let wrong = line.replacen(from, to, 1);
        assert_ne!(wrong, line, "{from}");
        let error = Exchange::from_line(&wrong).unwrap_err().to_string();
        assert!(error.contains(reason), "{from} {to}: {error}");
    }
    for wrong in ["", "{}", "null", &deep] {
        assert!(Exchange::from_line(wrong).is_err(), "{wrong}");
    }
}

/// What is read here is what lookups read.
#[test]
fn depth_is_that_of_what_is_read() {
    for depth in [1, 126, 127, 128, 129] {
        let json = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let is_read = serde_json::from_str::<Value>(&json).is_ok();
        assert_eq!(super::depth(&json) <= DEPTH_MAX, is_read, "{depth}");
    }
    assert_eq!(depth(r#"{"a[\"[":[1,"]{"]}"#), 2);
}

#[test]
fn what_is_too_large_is_not_written() {
    let whole = |bytes: usize| {
        let body = Body::new(vec![b'x'; bytes]);
        answer(Content::Whole(body)).to_line()
    };
    assert!(whole(BODY_BYTES_MAX).is_ok());
    let error = whole(BODY_BYTES_MAX + 1).unwrap_err().to_string();
    assert!(error.contains("at most 16777216 are allowed"), "{error}");
    let event = Event {
        after: Duration::ZERO,
        body: Body::default(),
    };
    let events = |count| answer(Content::Stream(vec![event.clone(); count])).to_line();
    assert!(events(EVENTS_MAX).is_ok());
    assert!(events(EVENTS_MAX + 1).is_err());
    let mut long = answer(Content::Whole(Body::default()));
    long.request.path = format!("/{}", "x".repeat(HEAD_BYTES_MAX));
    assert!(long.to_line().is_err());
}

fn any_body() -> impl Strategy<Value = Body> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..24),
        r#" ?\{"a": ?[0-9]\.[0-9]{1,3}\}[ \n]?"#.prop_map(String::into_bytes),
        "[^a]{0,12}".prop_map(String::into_bytes),
    ]
    .prop_map(Body::new)
}

proptest! {
    /// Every byte of a body comes back, and times to the microsecond.
    #[test]
    fn what_is_written_is_read(
        asked in any_body(),
        whole in any_body(),
        events in prop::option::of(prop::collection::vec((any_body(), 0u64..600_000_000), 0..4)),
        after in 0u64..600_000_000,
    ) {
        let content = match events {
            None => Content::Whole(whole),
            Some(events) => Content::Stream(
                events
                    .into_iter()
                    .map(|(body, after)| Event { after: Duration::from_micros(after), body })
                    .collect(),
            ),
        };
        let mut exchange = answer(content);
        exchange.request.body = asked;
        exchange.answer.after = Duration::from_micros(after);
        let line = exchange.to_line().unwrap();
        prop_assert!(!line.contains('\n'));
        let mut read = Exchange::from_line(&line).unwrap();
        prop_assert!(read.answer.after.abs_diff(exchange.answer.after) < Duration::from_micros(1));
        read.answer.after = exchange.answer.after;
        if let (Content::Stream(read), Content::Stream(written)) =
            (&mut read.answer.content, &exchange.answer.content)
        {
            for (read, written) in read.iter_mut().zip(written) {
                prop_assert!(read.after.abs_diff(written.after) < Duration::from_micros(1));
                read.after = written.after;
            }
        }
        prop_assert_eq!(read, exchange);
    }

    #[test]
    fn whatever_a_line_is_it_is_read_or_refused(line in r#"[{}\[\]":,a-z0-9_ \\]{0,80}"#) {
        let _ = Exchange::from_line(&line);
    }
}
