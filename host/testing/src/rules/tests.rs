#![allow(clippy::unwrap_used)]
mod files;

use super::*;
use crate::distribution::Recorded;
use crate::latency::{Latency, Profiles};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

/// A request of a client, with what rules see of it.
#[derive(Clone, Default)]
struct Client {
    model: &'static str,
    headers: Vec<(String, String)>,
    body: Value,
    messages: Vec<RuleMessage>,
    tools: Vec<String>,
    is_stream: bool,
}

fn says(role: &'static str, text: &str) -> RuleMessage {
    RuleMessage {
        role,
        text: text.to_owned(),
        ..RuleMessage::default()
    }
}

/// A client whose user says this.
fn user(text: &str) -> Client {
    Client {
        model: "gpt-4o",
        body: json!({"model": "gpt-4o", "messages": [{"role": "user", "content": text}]}),
        messages: vec![says("user", text)],
        ..Client::default()
    }
}

/// A conversation in which a tool was called and has given this.
fn with_result(text: &str) -> Client {
    let call = RuleToolCall {
        id: "call_1".to_owned(),
        name: "get_weather".to_owned(),
        arguments: "{}".to_owned(),
    };
    let calls = RuleMessage {
        tool_calls: vec![call],
        ..says("assistant", "")
    };
    let result = RuleMessage {
        tool_call_id: Some("call_1".to_owned()),
        ..says("tool", text)
    };
    let mut client = user("What is the weather in Paris?");
    client.messages.extend([calls, result]);
    client.tools = vec!["get_weather".to_owned()];
    client
}

impl Client {
    fn request(&self) -> RuleRequest<'_> {
        RuleRequest {
            model: self.model,
            path: "/v1/chat/completions",
            world: "w",
            headers: &self.headers,
            body: &self.body,
            messages: &self.messages,
            tools: &self.tools,
            is_stream: self.is_stream,
        }
    }
}

/// The rules of a file that stands alone.
fn parse(text: &str) -> Result<Rules, RulesError> {
    parse_beside(text, &no_data_sets)
}

fn parse_beside(
    text: &str,
    data_set: &dyn Fn(&str) -> Result<String, String>,
) -> Result<Rules, RulesError> {
    let latency = |text: &str| {
        let read = Latency::read(text, &Profiles::shipped(), &Recorded::default());
        read.map(drop).map_err(|error| error.to_string())
    };
    let latency = &latency;
    Rules::parse(text, &Surroundings { data_set, latency })
}

fn rules(text: &str) -> Rules {
    parse(text).unwrap_or_else(|error| panic!("{error}"))
}

fn wrong(text: &str) -> Vec<String> {
    let error = parse(text).unwrap_err();
    error.problems().iter().map(ToString::to_string).collect()
}

fn answer(rules: &Rules, client: &Client) -> Option<ScriptedAnswer> {
    rules.answer(&client.request(), |_| 0).unwrap()
}

/// What is said, without what it is said with.
fn said(rules: &Rules, client: &Client) -> String {
    match answer(rules, client).map(|answer| answer.content) {
        Some(ScriptedContent::Said(said)) => said.text.unwrap_or_default(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

/// A rule with these conditions and one answer.
fn when(conditions: &str) -> Rules {
    rules(&format!(
        "[[rule]]\nname = 'r'\nanswer.text = 'yes'\n[rule.match]\n{conditions}\n"
    ))
}

#[test]
fn the_first_rule_that_matches_wins() {
    let rules = rules(
        r#"
        [[rule]]
        name = "weather-answer"
        match.tool_result.contains = "sunny"
        answer.text = "It is sunny."

        [[rule]]
        name = "weather-call"
        match.last_user.contains = "weather"
        answer.tool_calls = [{ name = "get_weather", arguments = { city = "Paris" } }]

        [[rule]]
        name = "rest"
        answer.echo = true
        "#,
    );
    assert_eq!(
        rules.names().collect::<Vec<_>>(),
        ["weather-answer", "weather-call", "rest"]
    );
    let first = answer(&rules, &user("What is the weather in Paris?")).unwrap();
    assert_eq!(first.rule, "weather-call");
    let ScriptedContent::Said(Said {
        tool_calls,
        text: None,
        ..
    }) = first.content
    else {
        panic!("{first:?}");
    };
    assert_eq!(tool_calls.len(), 1);
    assert_eq!(tool_calls[0].name, "get_weather");
    assert_eq!(tool_calls[0].arguments, r#"{"city":"Paris"}"#);
    assert!(tool_calls[0].id.starts_with("call_"));
    // The turn is told by what is in the conversation, wherever that is.
    let mut client = with_result("sunny, 25 °C");
    assert_eq!(said(&rules, &client), "It is sunny.");
    client.messages.push(says("user", "Thanks!"));
    assert_eq!(said(&rules, &client), "It is sunny.");
    assert_eq!(said(&rules, &user("Hello")), "Hello");
}

#[test]
fn every_condition_holds_of_what_it_says_and_of_nothing_else() {
    let mut client = with_result("rain");
    client.headers = vec![("x-tenant".to_owned(), "blue-1".to_owned())];
    client.messages.insert(0, says("system", "Be brief."));
    client.is_stream = true;
    for (holds, does_not) in [
        ("model = 'gpt-*'", "model = 'o3'"),
        ("model = ['o3', '*4o']", "model = ['o3', 'gpt-4']"),
        ("path = '/v1/*'", "path = '/v2/*'"),
        ("stream = true", "stream = false"),
        ("header.X-Tenant = 'blue-1'", "header.x-tenant = 'blue'"),
        (
            "header.x-tenant.starts_with = 'blue'",
            "header.x-tenant.ends_with = 'blue'",
        ),
        (
            "header.x-tenant.present = true",
            "header.x-tenant.present = false",
        ),
        (
            "header.x-other.present = false",
            "header.x-other.present = true",
        ),
        (
            "last_user = 'What is the weather in Paris?'",
            "last_user = 'what is the weather in paris?'",
        ),
        (
            "last_user = { equals = 'what is the WEATHER in paris?', ignore_case = true }",
            "last_user = { contains = 'London', ignore_case = true }",
        ),
        (
            "last_user.matches = '^What .* in \\w+\\?$'",
            "last_user.matches = '^weather'",
        ),
        (
            "last_user.matches = '(?i)PARIS'",
            "last_user.matches = 'PARIS'",
        ),
        (
            "last_user = { contains = 'weather', ends_with = '?' }",
            "last_user = { contains = 'weather', ends_with = '!' }",
        ),
        ("system.contains = 'brief'", "system.present = false"),
        (
            "last = { role = 'tool', contains = 'rain' }",
            "last.role = 'user'",
        ),
        (
            "message = { role = 'user', contains = 'Paris' }",
            "message = { role = 'user', contains = 'rain' }",
        ),
        (
            "message = [{ role = 'user' }, { role = 'tool' }]",
            "message = [{ role = 'user' }, { role = 'developer' }]",
        ),
        ("tool_result = 'rain'", "tool_result = 'sun'"),
        (
            "tool_result = { tool = 'get_*', contains = 'rain' }",
            "tool_result = { tool = 'set_*', contains = 'rain' }",
        ),
        ("offers_tool = 'get_weather'", "offers_tool = 'get_time'"),
        ("calls_tool = 'get_*'", "calls_tool = 'get_time'"),
        (
            "body = '$.messages[?@.role==\"user\"]'",
            "body = '$.messages[?@.role==\"tool\"]'",
        ),
        (
            "body = { path = '$.messages[*].content', contains = 'Paris' }",
            "body = { path = '$.messages[*].content', contains = 'London' }",
        ),
        (
            "body = { path = '$.model', equals = 'gpt-4o' }",
            "body = { path = '$.model', equals = 'o3' }",
        ),
        (
            "body = { path = '$.messages', equals = [{ role = 'user', content = 'What is the weather in Paris?' }] }",
            "body = { path = '$.messages', equals = [] }",
        ),
        (
            "body = { path = '$.messages[*]', count = 1 }",
            "body = { path = '$.messages[*]', count = 2 }",
        ),
        (
            "body = { path = '$.tools[*]', count = 0 }",
            "body = { path = '$.tools[*]', count = 1 }",
        ),
        (
            "body = { path = '$.tools', present = false }",
            "body = { path = '$.model', present = false }",
        ),
        (
            "body = [{ path = '$.model' }, { path = '$.n', present = false }]",
            "body = [{ path = '$.model' }, { path = '$.n' }]",
        ),
        ("not.stream = false", "not.stream = true"),
        (
            "not = { model = 'gpt-*', last.role = 'user' }",
            "not = { model = 'gpt-*', last.role = 'tool' }",
        ),
    ] {
        assert_eq!(said(&when(holds), &client), "yes", "{holds}");
        let rules = when(does_not);
        assert_eq!(said(&rules, &client), "", "{does_not}");
        // What does not hold is told, by the key that says it.
        let nearest = rules.nearest(&client.request()).unwrap().to_string();
        let key = does_not.split([' ', '.', '=']).next().unwrap();
        assert!(
            nearest.starts_with(&format!("the nearest is `r`, whose `{key}")),
            "{nearest}"
        );
    }
}

#[test]
fn answers_are_of_every_kind() {
    let rules = rules(
        r#"
        [[rule]]
        name = "all"
        match.last_user = "all"
        [rule.answer]
        reasoning = "Let me think about {{ last_user }}."
        text = "Done."
        tool_calls = [
            { name = "a", arguments = '{"broken": ', id = "call_a" },
            { name = "{{ model }}", arguments = { q = "{{ last_user }}", n = [1, 2.5, true] } },
            { name = "c" },
        ]
        finish_reason = "length"
        usage = { prompt_tokens = 7, completion_tokens = 9, cached_tokens = 3 }
        delay = "250ms"
        latency = "ttft=200ms,itl=20ms"

        [[rule]]
        name = "json"
        match.last_user = "json"
        answer.json = { city = "{{ model }}", list = [1, { a = "b" }] }

        [[rule]]
        name = "refusal"
        match.last_user = "refusal"
        answer.refusal = "I will not."

        [[rule]]
        name = "fault"
        match.last_user = "fault"
        answer.fault = "status=429;retry-after=2"

        [[rule]]
        name = "slow"
        match.last_user = "slow"
        answer.fault = "slow=100B/s"

        [[rule]]
        name = "cut"
        match.last_user = "cut"
        answer = { text = "one two three", fault = "cut-after=2" }

        [[rule]]
        name = "model"
        match.last_user = "model"
        answer = { generated = true, latency = "itl=1ms" }

        [[rule]]
        name = "vector"
        match.last_user = "vector"
        answer.embedding = [1, -0.5]
        "#,
    );
    let get = |text: &str| answer(&rules, &user(text)).unwrap();
    let all = get("all");
    assert_eq!(
        (all.delay, all.latency.as_deref()),
        (Duration::from_millis(250), Some("ttft=200ms,itl=20ms"))
    );
    let ScriptedContent::Said(said) = all.content else {
        panic!()
    };
    assert_eq!(said.reasoning.as_deref(), Some("Let me think about all."));
    assert_eq!(said.text.as_deref(), Some("Done."));
    assert_eq!(said.finish, Some(SaidFinish::Length));
    assert_eq!(
        (said.usage.prompt_tokens, said.usage.reasoning_tokens),
        (Some(7), None)
    );
    let calls: Vec<_> = said
        .tool_calls
        .iter()
        .map(|it| (it.name.as_str(), it.arguments.as_str()))
        .collect();
    assert_eq!(
        calls,
        [
            ("a", r#"{"broken": "#),
            ("gpt-4o", r#"{"n":[1,2.5,true],"q":"all"}"#),
            ("c", "{}"),
        ]
    );
    let ids: std::collections::BTreeSet<_> = said.tool_calls.iter().map(|it| &it.id).collect();
    assert_eq!(ids.len(), 3, "no two calls are one");
    assert_eq!(said.tool_calls[0].id, "call_a");

    let ScriptedContent::Said(json) = get("json").content else {
        panic!()
    };
    assert_eq!(
        json.text.as_deref(),
        Some(r#"{"city":"gpt-4o","list":[1,{"a":"b"}]}"#)
    );
    let ScriptedContent::Said(refusal) = get("refusal").content else {
        panic!()
    };
    assert_eq!(
        (refusal.refusal.as_deref(), refusal.text),
        (Some("I will not."), None)
    );
    let fault = get("fault");
    assert_eq!(fault.content, ScriptedContent::Nothing);
    assert_eq!(fault.fault.unwrap().to_string(), "status=429;retry-after=2");
    let slow = get("slow");
    assert!(
        slow.content == ScriptedContent::Generated && slow.fault.is_some(),
        "{slow:?}"
    );
    let cut = get("cut");
    assert!(matches!(cut.content, ScriptedContent::Said(_)) && cut.fault.is_some());
    let model = get("model");
    assert_eq!(
        (model.content, model.latency.as_deref()),
        (ScriptedContent::Generated, Some("itl=1ms"))
    );
    assert_eq!(
        get("vector").content,
        ScriptedContent::Embedding(vec![1.0, -0.5])
    );
}

#[test]
fn templates_see_the_request_and_no_secret() {
    let mut client = with_result("rain");
    client.messages.insert(0, says("developer", "Be brief."));
    client.headers = [("x-tenant", "blue"), ("authorization", "Bearer s3cret")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let made = |text: &str| {
        let rules = rules(&format!(
            "[[rule]]\nname = 'r'\nmatch.last_user.matches = 'in (?<city>\\w+)'\nanswer.text = '''{text}'''"
        ));
        said(&rules, &client)
    };
    for (template, text) in [
        ("{{ captured.city }}", "Paris"),
        (
            "{{ model }} {{ path }} {{ world }} {{ rule }}",
            "gpt-4o /v1/chat/completions w r",
        ),
        (
            "{{ system }}|{{ last }}|{{ tool_result }}",
            "Be brief.|rain|rain",
        ),
        ("{{ turn }} {{ count }}", "2 1"),
        (
            "{{ tools|join(',') }} {{ messages|length }}",
            "get_weather 4",
        ),
        ("{{ messages[2].tool_calls[0].name }}", "get_weather"),
        ("{{ body.messages[0].role }}", "user"),
        ("{{ headers['x-tenant'] }}", "blue"),
        ("{{ headers.authorization|default('none') }}", "none"),
        ("{{ headers|tojson }}", r#"{"x-tenant": "blue"}"#),
    ] {
        assert_eq!(made(template), text, "{template}");
    }
    let file = "[[rule]]\nname = 'r'\nmatch.header.Authorization = 'x'\nanswer.text = ''";
    assert_eq!(
        wrong(file),
        ["line 3, column 14: `Authorization` holds a secret, which no rule sees"]
    );
}

#[test]
fn a_template_that_fails_names_its_rule() {
    let rules = rules("[[rule]]\nname = 'r'\nanswer.text = '{{ captured.city }}'");
    let client = user("hi");
    let error = rules.answer(&client.request(), |_| 0).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the rule `r`: the template fails: "),
        "{error}"
    );
    assert_eq!(TEMPLATE_NAMES.len(), 15);
}

#[test]
fn a_sequence_goes_on_at_each_request() {
    let file = |repeat: &str| {
        format!(
            "[[rule]]\nname = 'r'\n[rule.answer]\n{repeat}\nsequence = [{{ fault = 'status=503' }}, {{ text = 'b' }}, {{ text = '{{{{ count }}}}' }}]"
        )
    };
    let client = user("hi");
    let run = |repeat: &str| {
        let rules = rules(&file(repeat));
        let mut counts = HashMap::<String, u64>::new();
        let mut all = Vec::new();
        for _ in 0..5 {
            let answer = rules.answer(&client.request(), |rule| {
                let count = counts.entry(rule.to_owned()).or_default();
                *count += 1;
                *count - 1
            });
            let answer = answer.unwrap().unwrap();
            all.push(match (answer.content, answer.fault) {
                (ScriptedContent::Said(said), None) => said.text.unwrap(),
                (ScriptedContent::Nothing, Some(fault)) => fault.to_string(),
                other => panic!("{other:?}"),
            });
        }
        all
    };
    assert_eq!(run(""), ["status=503", "b", "3", "4", "5"]);
    assert_eq!(run("repeat = 'last'"), ["status=503", "b", "3", "4", "5"]);
    assert_eq!(
        run("repeat = 'cycle'"),
        ["status=503", "b", "3", "status=503", "b"]
    );
}

const DATA: &str = r#"
[[rule]]
name = "data"
[rule.answer]
data = '''
{"request": "What is 1 + 1?", "answer": "2 {{ not a template }}"}

{"request": {"temperature": 0, "messages": [{"content": "What is 1 + 1?"}]}, "answer": {"json": {"a": 1}}}
{"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]}
{"request": "What is 1 + 1?", "answer": "never"}
'''
[[rule]]
name = "rest"
match.last_user = "rest"
answer.text = "rest"
"#;

#[test]
fn a_data_set_answers_by_content() {
    let rules = rules(DATA);
    let mut client = user("What is 1 + 1?");
    assert_eq!(said(&rules, &client), "2 {{ not a template }}");
    // The first line that fits wins, of whatever kind it is: this one is the second.
    client.body["temperature"] = json!(0.0);
    assert_eq!(said(&rules, &client), "2 {{ not a template }}");
    client.messages = vec![says("user", "As parts, which the line does not look at")];
    assert_eq!(said(&rules, &client), r#"{"a":1}"#);
    let mut client = user("Q");
    assert_eq!(
        said(&rules, &client),
        "",
        "without the system's message it is another conversation"
    );
    client.messages.insert(0, says("system", "S"));
    assert_eq!(said(&rules, &client), "A");
    assert_eq!(
        said(&rules, &user("rest")),
        "rest",
        "no line fits, so the next rule is asked"
    );
}

#[test]
fn the_nearest_line_of_a_data_set_is_told() {
    let rules = rules(DATA.split("[[rule]]\nname = \"rest\"").next().unwrap());
    let client = user("What is 1 + 2?");
    let nearest = rules.nearest(&client.request()).unwrap().to_string();
    assert_eq!(
        nearest,
        "the nearest is `data`, whose `line 1 of the data set`: expected \"What is 1 + 1?\", found \"What is 1 + 2?\""
    );
}

#[test]
fn the_nearest_rule_is_told_with_what_is_different() {
    let rules = rules(
        r#"
        strict = true
        [[rule]]
        name = "other-model"
        match = { model = "o3", last_user = "What is the capital of France?" }
        answer.text = ""
        [[rule]]
        name = "paris"
        match = { model = "gpt-*", last_user = "What is the capital of France?" }
        answer.text = ""
        [[rule]]
        name = "poem"
        match = { model = "gpt-*", last_user = "Write a poem." }
        answer.text = ""
        "#,
    );
    assert!(rules.is_strict());
    let client = user("What is the capital of Italy?");
    let nearest = rules.nearest(&client.request()).unwrap();
    assert_eq!(nearest.rule, "paris");
    assert_eq!(
        nearest.to_string(),
        "the nearest is `paris`, whose `last_user`: expected …\" the capital of France?\", found …\" the capital of Italy?\", from character 24 on"
    );
    assert!(parse("").unwrap().nearest(&client.request()).is_none());
}
