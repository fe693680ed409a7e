use belljar_guest::text::{
    Content, JsonSchema, Message, Part, Prompt, RawPrompt, ResponseFormat, Role, Tool,
    ToolCallFragment, ToolChoice,
};
use belljar_guest::{Parameter, Value};

use super::*;
use crate::choice::tests::sampling;
use std::collections::BTreeSet;

fn ask(text: &str) -> Request {
    Request {
        prompt: Prompt::Messages(vec![message(Role::User, text)]),
        max_tokens: 1000,
        stop: vec![],
        sampling: sampling(),
        tools: vec![],
        tool_choice: ToolChoice::Automatic,
        parallel_tool_calls: true,
        response_format: ResponseFormat::Text,
        reasoning_effort: None,
        choice: 0,
        parameters: vec![],
    }
}

fn message(role: Role, text: &str) -> Message {
    Message {
        role,
        name: None,
        content: vec![Part::Text(text.into())],
        tool_calls: vec![],
        tool_call_id: None,
    }
}

fn tool(name: &str, parameters: &str) -> Tool {
    Tool {
        name: name.into(),
        description: None,
        parameters: Some(parameters.into()),
        strict: true,
    }
}

/// What a caller would have at the end.
#[derive(Debug, PartialEq)]
struct Whole {
    text: String,
    reasoning: String,
    /// Name, arguments.
    calls: Vec<(String, String)>,
    finish: FinishReason,
    usage: (u32, u32, u32),
}

/// Pulls the answer that many chunks at a time.
fn run_by(request: &Request, max_chunks: u32) -> Whole {
    let mut answer = Answer::new(request).unwrap();
    let (mut text, mut reasoning, mut calls) = (String::new(), String::new(), vec![]);
    loop {
        let chunks = answer.next(max_chunks).unwrap();
        assert!((1..=max_chunks as usize).contains(&chunks.len()));
        for chunk in chunks {
            match chunk.content {
                Content::Text(fragment) => text += &fragment.text,
                Content::Reasoning(thought) => reasoning += &thought,
                Content::ToolCall(ToolCallFragment {
                    id: Some(id),
                    name: Some(name),
                    index,
                    ..
                }) => {
                    assert!(id.starts_with("call_") && id.len() == 29);
                    assert_eq!(index as usize, calls.len());
                    calls.push((name, String::new()));
                }
                Content::ToolCall(fragment) => {
                    calls[fragment.index as usize].1 += &fragment.arguments
                }
                Content::Refusal(_) => panic!("the fake refuses nothing"),
                Content::Finish(finish) => {
                    assert!(answer.next(max_chunks).unwrap().is_empty());
                    let Usage {
                        prompt_tokens,
                        completion_tokens,
                        reasoning_tokens,
                        ..
                    } = answer.usage();
                    let usage = (prompt_tokens, completion_tokens, reasoning_tokens);
                    return Whole {
                        text,
                        reasoning,
                        calls,
                        finish,
                        usage,
                    };
                }
            }
        }
    }
}

fn run(request: &Request) -> Whole {
    run_by(request, 64)
}

#[test]
fn the_same_request_gives_the_same_answer_however_it_is_pulled() {
    let request = ask("Why are beacons bright?");
    assert_eq!(run(&request), run_by(&request, 1));
    assert_eq!(run(&request), run_by(&request, 7));
}

#[test]
fn seed_prompt_and_choice_each_make_another_answer() {
    let first = run(&ask("Why are beacons bright?")).text;
    let mut seeded = ask("Why are beacons bright?");
    seeded.sampling.seed = Some(0);
    let mut second_choice = ask("Why are beacons bright?");
    second_choice.choice = 1;
    let others = [
        run(&ask("Why are mountains bright?")),
        run(&seeded),
        run(&second_choice),
    ];
    assert!(others.iter().all(|other| other.text != first));
    assert!(first.contains("beacons"), "{first}");
}

#[test]
fn a_shorter_answer_is_the_beginning_of_a_longer_one() {
    let whole = run(&ask("Tell me about rivers"));
    assert_eq!(whole.finish, FinishReason::Stop);
    assert!(whole.text.ends_with('.'), "{}", whole.text);
    for max_tokens in 1..=whole.usage.1 {
        let mut request = ask("Tell me about rivers");
        request.max_tokens = max_tokens;
        let cut = run(&request);
        assert!(whole.text.starts_with(&cut.text));
        assert_eq!(cut.usage.1, max_tokens);
        assert_eq!(tokens::count(&cut.text), max_tokens);
        assert_eq!(
            cut.finish == FinishReason::Stop,
            max_tokens == whole.usage.1
        );
    }
}

#[test]
fn natural_lengths_vary_within_their_range() {
    let lengths: Vec<u32> = (0..100)
        .map(|n| run(&ask(&format!("Question number {n}"))).usage.1)
        .collect();
    assert!(
        lengths.iter().all(|length| (24..200).contains(length)),
        "{lengths:?}"
    );
    assert!(lengths.iter().max().unwrap() - lengths.iter().min().unwrap() > 80);
}

#[test]
fn load_tests_can_ask_for_an_exact_length() {
    let mut request = ask("Go on");
    request.parameters.push(Parameter {
        name: "ignore_eos".into(),
        value: Value::Boolean(true),
    });
    let whole = run(&request);
    assert_eq!((whole.usage.1, whole.finish), (1000, FinishReason::Length));
    request.parameters[0] = Parameter {
        name: "min_tokens".into(),
        value: Value::Integer(500),
    };
    let whole = run(&request);
    assert!((500..=530).contains(&whole.usage.1));
    assert_eq!(whole.finish, FinishReason::Stop);
}

#[test]
fn stop_strings_end_the_text_before_themselves() {
    let whole = run(&ask("Tell me about rivers")).text;
    for stop in [". ", " the", "river", "e"] {
        let mut request = ask("Tell me about rivers");
        request.stop = vec!["never there".into(), stop.into()];
        let stopped = run(&request);
        let end = whole.find(stop).unwrap();
        assert_eq!(stopped.text, whole[..end], "{stop:?}");
        assert_eq!(stopped.finish, FinishReason::Stop);
        assert_eq!(stopped, run_by(&request, 1));
    }
}

#[test]
fn tokens_make_up_the_text_where_log_probabilities_are_asked_for() {
    let mut request = ask("Tell me about rivers");
    request.sampling.logprobs = Some(3);
    request.stop = vec!["nothing".into()];
    let mut answer = Answer::new(&request).unwrap();
    let chunks = answer.next(1000).unwrap();
    let mut tokens = 0;
    for chunk in &chunks {
        if let Content::Text(fragment) = &chunk.content {
            assert_eq!(fragment.tokens.len(), 1);
            assert_eq!(fragment.tokens[0].bytes, fragment.text.as_bytes());
            assert_eq!(fragment.tokens[0].alternatives.len(), 3);
            tokens += 1;
        }
    }
    assert_eq!(answer.usage().completion_tokens, tokens);
    let plain = run(&ask("Tell me about rivers")).text;
    assert_eq!(
        run(&request).text,
        plain,
        "asking for probabilities changes no word"
    );
}

#[test]
fn thoughts_come_first_and_only_when_asked_for() {
    let mut request = ask("Think about rivers");
    assert_eq!(run(&request).reasoning, "");
    request.reasoning_effort = Some(ReasoningEffort::None);
    assert_eq!(run(&request).reasoning, "");
    request.reasoning_effort = Some(ReasoningEffort::Low);
    let whole = run(&request);
    let (_, completion, reasoning) = whole.usage;
    assert_eq!(tokens::count(&whole.reasoning), reasoning);
    assert_eq!(tokens::count(&whole.text), completion - reasoning);
    assert!(reasoning >= 24 && !whole.text.is_empty());
    request.max_tokens = 10;
    let cut = run(&request);
    assert_eq!(
        (cut.usage.2, cut.usage.1, cut.finish),
        (2, 10, FinishReason::Length)
    );
}

#[test]
fn json_is_valid_and_follows_its_schema() {
    let mut request = ask("Describe a person");
    request.response_format = ResponseFormat::JsonObject;
    let object: serde_json::Value = serde_json::from_str(&run(&request).text).unwrap();
    assert!(object.is_object());

    let schema = r#"{"type":"object","required":["name","age"],"additionalProperties":false,
        "properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":18}}}"#;
    request.response_format = ResponseFormat::JsonSchema(JsonSchema {
        name: "person".into(),
        schema: schema.into(),
        strict: true,
    });
    let whole = run(&request);
    let person: serde_json::Value = serde_json::from_str(&whole.text).unwrap();
    assert!(person["name"].is_string() && person["age"].as_u64().unwrap() >= 18);
    assert_eq!(whole.finish, FinishReason::Stop);
    assert_eq!(tokens::count(&whole.text), whole.usage.1);

    request.max_tokens = 3;
    assert_eq!(run(&request).finish, FinishReason::Length);
}

#[test]
fn tools_are_called_as_the_choice_says() {
    let schema = r#"{"type":"object","required":["city"],"properties":{"city":{"type":"string"}}}"#;
    let mut request = ask("What is the weather in Oslo, and the time?");
    request.tools = vec![
        tool("get_weather", schema),
        tool("get_time", schema),
        tool("send_mail", "{}"),
    ];

    let names = |whole: &Whole| {
        whole
            .calls
            .iter()
            .map(|call| call.0.clone())
            .collect::<Vec<_>>()
    };
    let whole = run(&request);
    assert_eq!(names(&whole), ["get_weather", "get_time"]);
    assert_eq!(
        (whole.finish, whole.text.as_str()),
        (FinishReason::ToolCalls, "")
    );
    for (_, arguments) in &whole.calls {
        let arguments: serde_json::Value = serde_json::from_str(arguments).unwrap();
        assert!(arguments["city"].is_string());
    }

    request.parallel_tool_calls = false;
    assert_eq!(names(&run(&request)), ["get_weather"]);
    request.tool_choice = ToolChoice::Forbidden;
    assert_eq!(run(&request).finish, FinishReason::Stop);
    request.tool_choice = ToolChoice::Named("send_mail".into());
    let whole = run(&request);
    assert_eq!(whole.calls, [("send_mail".into(), "{}".into())]);

    request.prompt = Prompt::Messages(vec![message(Role::User, "Hello")]);
    request.tool_choice = ToolChoice::Automatic;
    assert_eq!(run(&request).finish, FinishReason::Stop);
    request.tool_choice = ToolChoice::Required;
    assert_eq!(run(&request).calls.len(), 1);
}

#[test]
fn a_tool_is_called_for_each_of_several_things() {
    let schema = r#"{"type":"object","required":["city"],"properties":{"city":{"type":"string"}}}"#;
    let called = |said: &str, tools: Vec<Tool>, parallel: bool| {
        let mut request = ask(said);
        request.tools = tools;
        request.parallel_tool_calls = parallel;
        run(&request).calls
    };
    let call = |name: &str, arguments: &str| (name.into(), arguments.into());
    let weather = || vec![tool("get_weather", schema)];
    let both = [
        call("get_weather", r#"{"city":"Paris"}"#),
        call("get_weather", r#"{"city":"Rome"}"#),
    ];
    assert_eq!(
        called("What is the weather in Paris and Rome?", weather(), true),
        both
    );
    assert_eq!(
        called("Weather in Paris, and the weather in Rome", weather(), true),
        both
    );
    assert_eq!(
        called("What is the weather in Paris and Rome?", weather(), false),
        both[..1]
    );
    assert_eq!(called("巴黎和罗马的天气", weather(), true).len(), 2);
    let route = r#"{"type":"object","required":["origin","destination"],
        "properties":{"origin":{"type":"string"},"destination":{"type":"string"}}}"#;
    assert_eq!(
        called(
            "Find a flight from Paris to Rome",
            vec![tool("find_flight", route)],
            true
        ),
        [call(
            "find_flight",
            r#"{"origin":"Paris","destination":"Rome"}"#
        )]
    );
    let time = || vec![tool("get_weather", schema), tool("get_time", schema)];
    assert_eq!(
        called(
            "What is the weather in Paris, and the time in Tokyo?",
            time(),
            true
        ),
        [
            call("get_weather", r#"{"city":"Paris"}"#),
            call("get_time", r#"{"city":"Tokyo"}"#)
        ]
    );
    let list = r#"{"type":"object","required":["cities"],
        "properties":{"cities":{"type":"array","items":{"type":"string"}}}}"#;
    assert_eq!(
        called(
            "Compare the weather in Paris and Rome",
            vec![tool("weather", list)],
            true
        ),
        [call("weather", r#"{"cities":["Paris","Rome"]}"#)]
    );
}

#[test]
fn a_tool_s_answer_is_answered_in_words() {
    let mut request = ask("");
    request.prompt = Prompt::Messages(vec![
        message(Role::User, "What is the weather?"),
        message(Role::Tool, "{\"celsius\": 12}"),
    ]);
    request.tools = vec![tool("get_weather", "{}")];
    let whole = run(&request);
    assert_eq!((whole.finish, whole.calls.len()), (FinishReason::Stop, 0));
    assert_eq!(whole.text, "Here is what I found: the celsius is 12.");
    assert_eq!(tokens::count(&whole.text), whole.usage.1);
    request.tool_choice = ToolChoice::Required;
    assert_eq!(run(&request).finish, FinishReason::ToolCalls);
}

#[test]
fn wrong_requests_are_the_callers_fault() {
    let mut unknown = ask("x");
    unknown.tool_choice = ToolChoice::Named("nothing".into());
    let mut none = ask("x");
    none.tool_choice = ToolChoice::Required;
    let mut broken = ask("x");
    broken.tools = vec![tool("t", "{")];
    broken.tool_choice = ToolChoice::Required;
    let mut schema = ask("x");
    schema.response_format = ResponseFormat::JsonSchema(JsonSchema {
        name: "n".into(),
        schema: "no".into(),
        strict: true,
    });
    for request in [unknown, none, broken, schema] {
        assert!(matches!(
            Answer::new(&request).err(),
            Some(Error::InvalidInput(_))
        ));
    }
}

#[test]
fn prompts_of_all_kinds_are_counted_and_answered() {
    let mut request = ask("Hello, world");
    assert_eq!(run(&request).usage.0, 3 + 3 + 3);
    request.prompt = Prompt::Text(RawPrompt {
        text: "Once upon a time".into(),
        suffix: None,
    });
    assert_eq!(run(&request).usage.0, 4);
    request.prompt = Prompt::Tokens(vec![1, 2, 3, 4, 5]);
    assert_eq!(run(&request).usage.0, 5);
    assert!(!run(&request).text.is_empty());
}

/// How many different words the answers to many seeds have.
fn words_over_seeds(change: impl Fn(&mut Request)) -> usize {
    let mut seen = BTreeSet::new();
    for seed in 0..30 {
        let mut request = ask("Tell me about bell jars.");
        request.max_tokens = 60;
        request.sampling.seed = Some(seed);
        change(&mut request);
        let text = run(&request).text;
        seen.extend(text.split_whitespace().map(String::from));
    }
    seen.len()
}

#[test]
fn temperature_widens_what_is_said() {
    let at =
        |temperature| words_over_seeds(|request| request.sampling.temperature = Some(temperature));
    let widths = [0.0, 0.4, 1.0, 2.0].map(at);
    assert!(widths.is_sorted_by(|one, other| one < other), "{widths:?}");
    // One text, whatever the seed.
    assert!(widths[0] < 60, "{widths:?}");
    let narrow = words_over_seeds(|request| request.sampling.top_p = Some(0.1));
    assert!(narrow < words_over_seeds(|_| {}), "{narrow}");
}

/// How many words come twice in long answers, of a thousand.
fn repeated(change: impl Fn(&mut Request)) -> usize {
    let (mut all, mut different) = (0, 0);
    for seed in 0..20 {
        let mut request = ask("Tell me about bell jars.");
        request.max_tokens = 150;
        request.sampling.seed = Some(seed);
        let endless = Value::Boolean(true);
        request.parameters = vec![Parameter {
            name: "ignore_eos".into(),
            value: endless,
        }];
        change(&mut request);
        let text = run(&request).text;
        let words: Vec<&str> = text.split_whitespace().collect();
        all += words.len();
        different += words.iter().collect::<BTreeSet<_>>().len();
    }
    1000 - different * 1000 / all
}

#[test]
fn penalties_put_off_what_was_said() {
    for kind in 0..2 {
        let at = |penalty| {
            repeated(|request| {
                let sampling = &mut request.sampling;
                if kind == 0 {
                    sampling.presence_penalty = Some(penalty);
                } else {
                    sampling.frequency_penalty = Some(penalty);
                }
            })
        };
        let shares = [-2.0, -1.0, 0.0, 1.0, 2.0].map(at);
        assert!(shares.is_sorted_by(|one, other| one > other), "{shares:?}");
    }
}
