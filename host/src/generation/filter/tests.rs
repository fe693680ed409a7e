use super::super::batch::EventBatch;
use super::*;
use text::{Content, FinishReason};

fn limits(max_tokens: u32, stop: &[&str]) -> OutputLimits {
    let stop = stop.iter().map(ToString::to_string).collect();
    OutputLimits {
        max_tokens,
        stop,
        prompt_tokens_max: 100,
        prompt_tokens_estimate: 5,
        encoding: None,
        bias: None,
    }
}

fn words(text: &str) -> Content {
    let token = |piece: &str| text::Token {
        id: 7,
        bytes: piece.as_bytes().to_vec(),
        logprob: Some(-1.0),
        alternatives: Vec::new(),
    };
    let tokens = text.split_inclusive(' ').map(token).collect();
    Content::Text(text::TextFragment {
        text: text.to_owned(),
        tokens,
    })
}

fn run(limits: &OutputLimits, contents: Vec<Content>) -> (String, Vec<TimedEvent>) {
    let mut filter = OutputFilter::new(limits);
    let mut out = Vec::new();
    for content in contents {
        filter
            .take(
                text::Chunk {
                    content,
                    delay_us: 5,
                },
                &mut out,
            )
            .expect("a sound chunk");
    }
    filter.finish(&mut out);
    let text = out.iter().map(|timed| match &timed.event {
        Event::Text(fragment) => fragment.text.as_str(),
        _ => "",
    });
    (text.collect(), out)
}

fn last(events: &[TimedEvent]) -> Option<FinishReason> {
    match events.last()?.event {
        Event::Finish(reason) => Some(reason),
        _ => None,
    }
}

#[test]
fn the_guest_may_end_with_the_last_token_and_not_later() {
    let ended = vec![words("one two "), Content::Finish(FinishReason::Stop)];
    let (text, events) = run(&limits(2, &[]), ended);
    assert_eq!(
        (text.as_str(), last(&events)),
        ("one two ", Some(FinishReason::Stop))
    );

    let endless = vec![words("one two "), words("three "), words("four ")];
    let (text, events) = run(&limits(2, &[]), endless);
    assert_eq!(
        (text.as_str(), last(&events)),
        ("one two ", Some(FinishReason::Length))
    );
    assert_eq!(events.len(), 2, "nothing comes after the end");
}

#[test]
fn tokens_go_with_their_text() {
    let (text, events) = run(
        &limits(9, &["two three"]),
        vec![words("one "), words("two "), words("three four ")],
    );
    assert_eq!(
        (text.as_str(), last(&events)),
        ("one ", Some(FinishReason::Stop))
    );
    let tokens: usize = events
        .iter()
        .map(|timed| match &timed.event {
            Event::Text(fragment) => fragment.tokens.len(),
            _ => 0,
        })
        .sum();
    assert_eq!(tokens, 1, "the tokens of the stop string are not shown");
    assert_eq!(
        events.iter().map(|timed| timed.delay_us).sum::<u64>(),
        15,
        "no delay is lost"
    );
}

#[test]
fn held_text_comes_before_what_follows_it() {
    let call = |index, name: Option<&str>| {
        Content::ToolCall(text::ToolCallFragment {
            index,
            id: None,
            name: name.map(ToOwned::to_owned),
            arguments: "{}".to_owned(),
        })
    };
    let (text, events) = run(
        &limits(9, &["\n\n"]),
        vec![words("hm\n"), call(0, Some("f"))],
    );
    assert_eq!(text, "hm\n");
    assert!(
        matches!(&events.get(2).map(|timed| &timed.event), Some(Event::ToolCall(call)) if call.id.is_some())
    );

    let mut filter = OutputFilter::new(&limits(9, &[]));
    for content in [call(1, Some("f")), call(0, None), call(0, Some(""))] {
        let refused = filter.take(
            text::Chunk {
                content,
                delay_us: 0,
            },
            &mut Vec::new(),
        );
        assert!(matches!(refused, Err(RunError::InvalidOutput { .. })));
    }
}

#[test]
fn a_guest_is_needed_until_it_is_cut_and_asked_for_its_usage_when_it_ends() {
    let chunks = |contents: Vec<Content>| {
        let chunk = |content| text::Chunk {
            content,
            delay_us: 0,
        };
        contents.into_iter().map(chunk).collect::<Vec<_>>()
    };
    let take = |stop: &[&str], contents| {
        let mut out = Vec::new();
        let mut filter = OutputFilter::new(&limits(3, stop));
        (filter.take_all(chunks(contents), &mut out), out.len())
    };
    let go = ControlFlow::Continue(());
    assert_eq!(take(&[], vec![words("one two three ")]), (Ok(go), 1));
    let end = || Content::Finish(FinishReason::Stop);
    assert_eq!(take(&[], vec![words("one "), end()]), (Ok(go), 2));
    let cut = ControlFlow::Break(());
    // With the string that it was cut at.
    assert_eq!(take(&["two"], vec![words("one two "), end()]), (Ok(cut), 3));
    assert_eq!(
        take(
            &[],
            vec![words("one two three four "), words("five "), end()]
        ),
        (Ok(cut), 2)
    );
}

/// What an answer says, how it ends, and its tokens, where the host counts them; and the parts that a
/// stream gives.
fn counted(
    max_tokens: u32,
    stop: &[&str],
    said: &[&str],
) -> ((String, Option<FinishReason>, u32), Vec<String>) {
    let limits = OutputLimits {
        encoding: Some(Encoding::O200kBase),
        ..limits(max_tokens, stop)
    };
    let mut filter = OutputFilter::new(&limits);
    let mut out = Vec::new();
    for text in said {
        let text = (*text).to_owned();
        let tokens = Vec::new();
        let content = Content::Text(text::TextFragment { text, tokens });
        let chunk = text::Chunk {
            content,
            delay_us: 1,
        };
        filter.take(chunk, &mut out).expect("a sound chunk");
    }
    filter.finish(&mut out);
    let end = last(&out);
    let mut parts = Vec::new();
    let mut batch = EventBatch::new(out);
    while let Some((_, event)) = batch.next() {
        if let Event::Text(fragment) = event {
            parts.push(fragment.text);
        }
    }
    let tokens = filter.usage(None).completion_tokens;
    ((parts.concat(), end, tokens), parts)
}

#[test]
fn an_answer_that_the_host_counts_is_the_same_whatever_its_chunks_were() {
    let whole = "The bell jar stands on a table, internationalisation 日本語 🙂 x.";
    let letters: Vec<_> = whole.split_inclusive(|_| true).collect();
    let tokens = Encoding::O200kBase.encode(whole);
    let stops: [&[&str]; 6] = [
        &[],
        &["jar"],
        &["ell"],
        &["table, int"],
        &["語 "],
        &["none"],
    ];
    for stop in stops {
        for max_tokens in 1..32 {
            let first = tokens.iter().take(max_tokens as usize).copied();
            let room = Encoding::O200kBase.decode(&first.collect::<Vec<_>>());
            let room = whole.floor_char_boundary(room.expect("tokens").len());
            let found = stop
                .iter()
                .find_map(|stop| Some((whole.find(stop)?, stop.len())));
            let end = match found {
                Some((start, length)) if start + length <= room => start,
                _ => room,
            };
            let (answer, _) = counted(max_tokens, stop, &[whole]);
            assert_eq!(answer.0, whole[..end], "{max_tokens} {stop:?}");
            assert!(answer.2 <= max_tokens);
            let (same, _) = counted(max_tokens, stop, &letters);
            assert_eq!(answer, same, "{max_tokens} {stop:?}");
        }
    }
}

#[test]
fn a_stream_gives_each_token_by_itself() {
    let (_, parts) = counted(9, &[], &["The bell jar stands."]);
    assert_eq!(parts, ["The", " bell", " jar", " stands", "."]);
    // What a stop string could begin with waits for the next chunk.
    let (_, parts) = counted(9, &["jar stood"], &["The bell jar ", "stands."]);
    assert_eq!(parts, ["The", " bell", " ", "jar", " stands", "."]);
}

#[test]
fn silence_is_an_answer() {
    let (text, events) = run(&limits(2, &[]), Vec::new());
    assert_eq!(
        (text.as_str(), last(&events)),
        ("", Some(FinishReason::Stop))
    );
}
