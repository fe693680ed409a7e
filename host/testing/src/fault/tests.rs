#![allow(clippy::unwrap_used)]
use super::*;
use crate::matching::Facts;
use proptest::prelude::*;

fn fault(text: &str) -> Fault {
    text.parse().unwrap()
}

/// What an editor does with a body, in two pieces.
fn edited(text: &str, form: Form, body: &[u8]) -> Vec<Step> {
    let mut editor = Editor::new(&fault(text), form);
    let mut steps = Vec::new();
    let (one, two) = body.split_at(body.len() / 2);
    editor.push(one, &mut steps);
    editor.push(two, &mut steps);
    editor.finish(&mut steps);
    steps
}

/// The bytes of these steps, and what else there is to do.
fn split(steps: Vec<Step>) -> (Vec<u8>, Vec<Step>) {
    let mut bytes = Vec::new();
    let mut others = Vec::new();
    for step in steps {
        match step {
            Step::Bytes(more) => bytes.extend(more),
            Step::Slow(slow) => {
                for (wait, more) in slow {
                    others.push(Step::Wait(wait));
                    bytes.extend(more);
                }
            }
            other => others.push(other),
        }
    }
    (bytes, others)
}

fn text(text: &str, form: Form, body: &str) -> String {
    let (bytes, others) = split(edited(text, form, body.as_bytes()));
    assert_eq!(others, []);
    String::from_utf8(bytes).unwrap()
}

const CHAT: &str = "data: {\"n\":1}\n\ndata: {\"n\":2}\n\ndata: {\"n\":3}\n\ndata: [DONE]\n\n";

#[test]
fn each_row_can_be_asked_for_and_every_name_is_one() {
    for row in FAULTS {
        let argument = match row.argument {
            Argument::None => "",
            Argument::Chunks | Argument::Chunk => "=2",
            Argument::Time => "=1s",
            Argument::Text(_) => match row.name {
                "status" => "=503",
                "slow" => "=10B/s",
                _ => "=1",
            },
        };
        let with = match row.name {
            "retry-after" | "code" | "message" => "status=429;",
            "after" => "stall=1s;",
            _ => "",
        };
        let text = format!("{with}{}{argument}", row.name);
        let read = fault(&text);
        assert_eq!(read.to_string(), text);
        assert_ne!(
            read,
            Fault {
                text,
                ..Fault::default()
            },
            "{} does nothing",
            row.name
        );
        assert_eq!(
            FAULTS.iter().filter(|other| other.name == row.name).count(),
            1
        );
        assert!(row.doc.ends_with('.'));
    }
}

#[test]
fn what_is_no_fault_says_why() {
    for (text, expected) in [
        ("", "an empty fault"),
        (" ; ", "an empty fault"),
        (
            "stats=500",
            "there is no fault `stats`: did you mean `status`?",
        ),
        ("quux", "there is no fault `quux`"),
        (
            "status",
            "`status` needs a status from 400 to 599 behind it, as in `status=…`",
        ),
        (
            "status=200",
            "`200` is no status of an error: expected 400 to 599",
        ),
        ("reset=1", "`reset` takes nothing behind it"),
        (
            "cut-after",
            "`cut-after` needs a number of chunks behind it, as in `cut-after=…`",
        ),
        ("cut-after=-1", "`-1` is no number from 0 to 1000000"),
        (
            "status=500;status=501",
            "`status` does not go with what stands before it",
        ),
        (
            "status=500;reset",
            "`reset` does not go with what stands before it",
        ),
        (
            "cut-after=1;reset-after=2",
            "`reset-after` does not go with what stands before it",
        ),
        (
            "retry-after=2",
            "`retry-after` goes with `status`, which is not there",
        ),
        ("after=2", "`after` goes with `stall`, which is not there"),
        (
            "timeout=1s;slow=1B/s",
            "`timeout` does not go with what stands before it",
        ),
        (
            "slow=1",
            "`1` is no pace: expected bytes a second, as in `100B/s`, `64KiB/s`",
        ),
        (
            "stall=1",
            "`1` is no time: expected a number and `us`, `ms`, `s`, `m` or `h`, as in `200ms`",
        ),
        ("code=a b", "`a b` has characters that cannot stand there"),
    ] {
        let error = text.parse::<Fault>().unwrap_err().to_string();
        assert_eq!(error, expected, "{text}");
    }
    let long = format!("message={}", "a".repeat(2_000));
    assert_eq!(long.parse::<Fault>().unwrap_err(), FaultError::TooLong);
}

#[test]
fn streams_lose_what_the_fault_says() {
    let events = |fault| text(fault, Form::Events, CHAT);
    assert_eq!(events("no-done"), CHAT.replace("data: [DONE]\n\n", ""));
    assert_eq!(
        events("duplicate=2"),
        CHAT.replace(
            "data: {\"n\":2}\n\n",
            "data: {\"n\":2}\n\ndata: {\"n\":2}\n\n"
        )
    );
    assert_eq!(
        events("reorder=1"),
        "data: {\"n\":2}\n\ndata: {\"n\":1}\n\ndata: {\"n\":3}\n\ndata: [DONE]\n\n"
    );
    assert_eq!(
        events("malformed-sse=2"),
        "data: {\"n\":1}\n\ndata: {\"n\"\nthis line is no field\n\ndata: {\"n\":3}\n\ndata: [DONE]\n\n"
    );
    assert_eq!(
        events("malformed-json"),
        CHAT.replacen("{\"n\":1}", "{\"n\"", 1)
    );
    let (bytes, _) = split(edited("invalid-utf8=3", Form::Events, CHAT.as_bytes()));
    assert!(std::str::from_utf8(&bytes).is_err());
    assert_eq!(bytes.len(), CHAT.len() + 1);
}

#[test]
fn a_body_ends_where_the_fault_says() {
    for (fault, ending) in [
        ("cut-after=2", Ending::Cut),
        ("reset-after=2", Ending::Reset),
        ("half-close=2", Ending::HalfClose),
    ] {
        let (bytes, others) = split(edited(fault, Form::Events, CHAT.as_bytes()));
        assert_eq!(bytes, b"data: {\"n\":1}\n\ndata: {\"n\":2}\n\n");
        assert_eq!(others, [Step::End(ending)]);
        let whole = "x".repeat(200);
        let (bytes, others) = split(edited(fault, Form::Whole, whole.as_bytes()));
        assert_eq!((bytes.len(), others), (128, vec![Step::End(ending)]));
    }
    let steps = edited("reset-after=0", Form::Events, CHAT.as_bytes());
    assert_eq!(steps, [Step::End(Ending::Reset)]);
    let steps = edited("reset-after=9", Form::Events, CHAT.as_bytes());
    assert_eq!(
        steps.last(),
        Some(&Step::End(Ending::Reset)),
        "a short one, too"
    );
    let steps = edited("cut-after=9", Form::Events, CHAT.as_bytes());
    assert_eq!(steps.len(), 4, "it was not as long");
}

#[test]
fn a_body_waits_where_the_fault_says() {
    let second = Step::Wait(Duration::from_secs(1));
    let steps = edited("stall=1s", Form::Events, CHAT.as_bytes());
    assert_eq!((steps.first(), steps.len()), (Some(&second), 5));
    let steps = edited("stall=1s;after=2", Form::Events, CHAT.as_bytes());
    assert_eq!(steps.get(2), Some(&second));
    let steps = edited("stall=1s;after=1", Form::Whole, &[b'x'; 100]);
    assert_eq!((steps.get(1), steps.len()), (Some(&second), 3));
    for (fault, form) in [
        ("stall=1s;after=9", Form::Events),
        ("stall=1s;after=2", Form::Whole),
    ] {
        let steps = edited(fault, form, CHAT.as_bytes());
        assert_eq!(steps.last(), Some(&second), "a short one, too");
    }
    let (bytes, waits) = split(edited("slow=100B/s", Form::Whole, &[b'x'; 50]));
    assert_eq!(bytes.len(), 50);
    let all: Duration = waits
        .iter()
        .map(|step| match step {
            Step::Wait(time) => *time,
            _ => Duration::ZERO,
        })
        .sum();
    assert_eq!(all, Duration::from_millis(500));
}

#[test]
fn events_end_as_any_server_writes_them() {
    let body = "data:1\r\n\r\nevent: x\r\ndata:2\r\n\r\ndata:[DONE]\r\n\r\n";
    for size in [1, 2, 3, 64] {
        let mut editor = Editor::new(&fault("cut-after=1"), Form::Events);
        let mut steps = Vec::new();
        for piece in body.as_bytes().chunks(size) {
            editor.push(piece, &mut steps);
        }
        let (bytes, others) = split(steps);
        assert_eq!(bytes, b"data:1\r\n\r\n", "{size}");
        assert_eq!(others, [Step::End(Ending::Cut)]);
    }
    let without = text("no-done", Form::Events, body);
    assert_eq!(without, body.replace("data:[DONE]\r\n\r\n", ""));
}

#[test]
fn comments_are_no_chunks() {
    let body = ":\n\ndata: 1\n\n:\n\ndata: 2\n\n";
    let (bytes, _) = split(edited("cut-after=1", Form::Events, body.as_bytes()));
    assert_eq!(bytes, b":\n\ndata: 1\n\n");
}

#[test]
fn arguments_are_no_json() {
    let whole =
        r#"{"choices":[{"message":{"tool_calls":[{"function":{"arguments":"{\"a\":1}"}}]}}]}"#;
    assert!(text("bad-arguments", Form::Whole, whole).contains(r#""arguments":"{{\"a\":1}""#));
    let piece = |text: &str| {
        format!(
            "data: {{\"choices\":[{{\"delta\":{{\"tool_calls\":[{{\"function\":{{\"arguments\":{text:?}}},\"index\":0}}]}},\"index\":0}}]}}\n\n"
        )
    };
    let body = ["", "{\"a\"", ":1}"].map(piece).concat();
    let expected = ["", "{{\"a\"", ":1}"].map(piece).concat();
    assert_eq!(text("bad-arguments", Form::Events, &body), expected);
    let anthropic = "event: content_block_delta\ndata: {\"delta\":{\"partial_json\":\"{}\",\"type\":\"input_json_delta\"},\"index\":0,\"type\":\"content_block_delta\"}\n\n";
    assert_eq!(
        text("bad-arguments", Form::Events, anthropic),
        anthropic.replace("\"{}\"", "\"{{}\"")
    );
}

#[test]
fn answers_are_empty() {
    let whole = |body: &str| text("empty-choices", Form::Whole, body);
    assert_eq!(
        whole(r#"{"choices":[1],"id":"a"}"#),
        r#"{"choices":[],"id":"a"}"#
    );
    assert_eq!(whole(r#"{"output":[1]}"#), r#"{"output":[]}"#);
    assert_eq!(whole(r#"{"content":[1]}"#), r#"{"content":[]}"#);
    assert_eq!(whole("no JSON"), "no JSON");
    let events = "event: response.created\ndata: {\"response\":{\"output\":[]},\"type\":\"response.created\"}\n\nevent: response.output_item.added\ndata: {\"type\":\"response.output_item.added\"}\n\nevent: response.completed\ndata: {\"response\":{\"output\":[1]},\"type\":\"response.completed\"}\n\n";
    let expected = "event: response.created\ndata: {\"response\":{\"output\":[]},\"type\":\"response.created\"}\n\nevent: response.completed\ndata: {\"response\":{\"output\":[]},\"type\":\"response.completed\"}\n\n";
    assert_eq!(text("empty-choices", Form::Events, events), expected);
}

#[test]
fn a_rule_is_for_so_many_or_for_a_share() {
    let facts = Facts {
        path: "/v1/chat/completions",
        ..Facts::default()
    };
    let mut rule: FaultRule = "status=500 next=2 path=/v1/*".parse().unwrap();
    let other = Facts {
        path: "/infer",
        ..Facts::default()
    };
    assert_eq!(rule.of(&other), None);
    assert_eq!(rule.left(), Some(2));
    assert!(rule.of(&facts).is_some() && rule.of(&facts).is_some());
    assert!(rule.of(&facts).is_none() && rule.is_used_up());
    assert_eq!(rule.given(), 2);

    let run = |seed: u64| {
        let mut rule: FaultRule = format!("reset rate=0.1 seed={seed}").parse().unwrap();
        (0..1_000)
            .map(|_| rule.of(&facts).is_some())
            .collect::<Vec<_>>()
    };
    let count = run(7).iter().filter(|given| **given).count();
    assert!((70..130).contains(&count), "{count}");
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
    for (text, expected) in [
        (
            "reset next=1 rate=0.5",
            "`next` and `rate` exclude one another",
        ),
        ("reset rate=1.5", "`rate` must be from 0 to 1"),
        (
            "reset seed=1",
            "`seed` goes with `rate`, which is not there",
        ),
        (
            "reset content=(",
            "`(` is no regular expression: unclosed group",
        ),
    ] {
        assert_eq!(text.parse::<FaultRule>().unwrap_err().to_string(), expected);
    }
    assert!("reset sometimes".parse::<FaultRule>().is_err());
}

proptest! {
    /// Whatever comes, in whatever pieces: no panic, the same bytes, and none after the end.
    #[test]
    fn pieces_make_no_difference(body in "(data: [a-z{}\":,\\[\\]]{0,20}\n\n|:\n\n|[a-z\n]{0,9}){0,12}", cuts in prop::collection::vec(0_usize..300, 0..6), which in 0_usize..FAULTS.len()) {
        let faults = ["no-done", "cut-after=2", "malformed-sse=2", "malformed-json=1", "invalid-utf8", "duplicate=3", "reorder=2", "bad-arguments", "empty-choices", "stall=1s;after=1"];
        let fault = fault(faults[which % faults.len()]);
        for form in [Form::Events, Form::Whole] {
            let run = |pieces: &[&[u8]]| {
                let mut editor = Editor::new(&fault, form);
                let mut steps = Vec::new();
                for piece in pieces {
                    editor.push(piece, &mut steps);
                }
                editor.finish(&mut steps);
                split(steps)
            };
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| (*cut).min(body.len())).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut start = 0;
            for cut in cuts {
                pieces.push(&body.as_bytes()[start..cut]);
                start = cut;
            }
            pieces.push(&body.as_bytes()[start..]);
            prop_assert_eq!(run(&pieces), run(&[body.as_bytes()]));
        }
    }
}
