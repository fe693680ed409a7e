//! Requests that OpenAI refuses with the member that is wrong: tools and their answers, schemas,
//! members that exclude each other. And those that it takes, although a model cannot honour them.

use crate::chat::ask;
use crate::host::SHARED;
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

fn tool(parameters: Value, strict: bool) -> Value {
    json!({"tools":[{"type":"function","function":
        {"name":"f","parameters":parameters,"strict":strict}}]})
}

fn format(schema: Value, strict: bool) -> Value {
    json!({"response_format":{"type":"json_schema","json_schema":
        {"name":"n","schema":schema,"strict":strict}}})
}

#[tokio::test]
async fn slips_of_tools_and_schemas_name_their_member() {
    let call =
        |id: &str| json!({"id":id,"type":"function","function":{"name":"f","arguments":"{}"}});
    let user = json!({"role":"user","content":"x"});
    let asks = |ids: &[&str]| {
        let calls: Vec<Value> = ids.iter().map(|id| call(id)).collect();
        json!({"role":"assistant","content":null,"tool_calls":calls})
    };
    let says = |id: &str| json!({"role":"tool","tool_call_id":id,"content":"y"});
    let talk = |messages: &[Value]| json!({"messages":messages});
    let loose = json!({"type":"object","properties":{"a":{"type":"string"}}});
    let half = json!({"type":"object","additionalProperties":false,"required":["a"],
        "properties":{"a":{"type":"string"},"b":{"type":"string"}}});
    let of = |schema: Value| {
        json!({"type":"object","additionalProperties":false,"required":["a"],
            "properties":{"a":schema}})
    };
    for (more, param) in [
        (talk(&[user.clone(), says("1")]), "messages[1].role"),
        (talk(&[says("1")]), "messages[0].role"),
        (
            talk(&[user.clone(), asks(&["1"]), user.clone()]),
            "messages[1].tool_calls",
        ),
        (
            talk(&[user.clone(), asks(&["1"])]),
            "messages[1].tool_calls",
        ),
        (
            talk(&[user.clone(), asks(&["1", "2"]), says("1"), user.clone()]),
            "messages[1].tool_calls",
        ),
        (
            talk(&[user.clone(), asks(&["1"]), says("2")]),
            "messages[2].tool_call_id",
        ),
        (
            talk(&[
                user.clone(),
                asks(&["1"]),
                says("1"),
                user.clone(),
                says("1"),
            ]),
            "messages[4].role",
        ),
        (
            talk(&[
                user.clone(),
                json!({"role":"assistant","tool_calls":[
                {"type":"function","function":{"name":"f","arguments":"{}"}}]}),
            ]),
            "messages[1].tool_calls[0].id",
        ),
        (
            talk(&[
                user.clone(),
                json!({"role":"assistant","tool_calls":[
                {"id":"1","type":"func","function":{"name":"f","arguments":"{}"}}]}),
                says("1"),
            ]),
            "messages[1].tool_calls[0].type",
        ),
        (
            talk(&[
                json!({"role":"assistant","function_call":{"name":"f","arguments":"{}"}}),
                json!({"role":"function","content":"y"}),
            ]),
            "messages[1].name",
        ),
        (json!({"stop":["a","b","c","d","e"]}), "stop"),
        (json!({"tools":[]}), "tools"),
        (json!({"functions":[]}), "functions"),
        (
            json!({"max_tokens":5,"max_completion_tokens":5}),
            "max_tokens",
        ),
        (
            tool(json!({"type":"objekt"}), false),
            "tools[0].function.parameters",
        ),
        (
            tool(json!({"type":"string"}), false),
            "tools[0].function.parameters",
        ),
        (
            tool(
                json!({"type":"object","properties":{"a":{"type":"int"}}}),
                false,
            ),
            "tools[0].function.parameters",
        ),
        (tool(loose.clone(), true), "tools[0].function.parameters"),
        (tool(half.clone(), true), "tools[0].function.parameters"),
        (format(loose.clone(), true), "response_format"),
        (format(half.clone(), true), "response_format"),
        (format(json!({"type":"nothing"}), false), "response_format"),
        (tool(json!({}), true), "tools[0].function.parameters"),
        (
            tool(json!({"anyOf":[{"type":"object"}]}), true),
            "tools[0].function.parameters",
        ),
        (tool(of(json!({})), true), "tools[0].function.parameters"),
        (
            tool(of(json!({"oneOf":[{"type":"string"}]})), true),
            "tools[0].function.parameters",
        ),
        (format(of(json!({"type":"array"})), true), "response_format"),
        (
            json!({"response_format":{"type":"json_schema","json_schema":
                {"name":"a name","schema":{}}}}),
            "response_format.json_schema.name",
        ),
    ] {
        let answer = SHARED.anonymous().post(CHAT, &ask(more.clone())).await;
        assert_eq!(answer.status, 400, "{more}: {}", answer.text());
        let error = answer.json()["error"].clone();
        assert_eq!(error["param"], param, "{more}: {error}");
        assert_eq!(error["type"], "invalid_request_error");
    }
    let strict = json!({"type":"object","additionalProperties":false,"required":["a"],
        "properties":{"a":{"type":["string","null"]}}});
    for more in [
        talk(&[
            user.clone(),
            asks(&["1", "2"]),
            says("2"),
            says("1"),
            user.clone(),
        ]),
        talk(&[
            user.clone(),
            asks(&["1"]),
            says("1"),
            asks(&["1"]),
            says("1"),
        ]),
        talk(&[
            user.clone(),
            json!({"role":"assistant","audio":{"id":"audio_1"}}),
            user.clone(),
        ]),
        json!({"stop":["a","b","c","d"]}),
        tool(loose.clone(), false),
        tool(of(json!({"oneOf":[{"type":"string"},{}]})), false),
        tool(
            of(json!({"anyOf":[{"type":"string"},{"type":"null"}]})),
            true,
        ),
        tool(strict.clone(), true),
        format(strict, true),
        format(loose, false),
    ] {
        let answer = SHARED.anonymous().post(CHAT, &ask(more.clone())).await;
        assert_eq!(answer.status, 200, "{more}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_pattern_is_followed_or_refused_by_its_place() {
    let client = SHARED.anonymous();
    for pattern in [
        r"^[^@\s]+@[^@\s]+$",
        r"\bword\b",
        r"^[^\x00-\x7F]{2,}$",
        r"^\p{L}[\p{L}\p{M}' -]*$",
        r"^\x41\u0042$",
        r"(?i)^yes|no$",
        r"^(a)\1$",
        r"[[:alpha:]]+",
        "",
    ] {
        let schema = json!({"type":"object","required":["a"],"additionalProperties":false,
            "properties":{"a":{"type":"string","pattern":pattern,"minLength":1}}});
        let answer = client.post(CHAT, &ask(format(schema.clone(), true))).await;
        let answer = answer.expect_status(200).json();
        let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
        let made: Value = serde_json::from_str(text).unwrap();
        assert!(made["a"].is_string(), "{pattern}: {made}");
        let mut body = ask(tool(schema, true));
        body["tool_choice"] = json!("required");
        let _ = client.post(CHAT, &body).await.expect_status(200);
    }
    for (pattern, is_strict, status) in [
        (r"^(?=.*[A-Z])(?=.*\d).{8,}$", false, 200),
        (r"^(?=.*[A-Z])(?=.*\d).{8,}$", true, 400),
        (r"^(?!admin).*$", true, 400),
        (r"(?<=\$)\d+", false, 200),
        (r"(?<=\$)\d+", true, 400),
        (r"(", false, 400),
        (r"\", true, 400),
    ] {
        let schema = json!({"type":"object","required":["a"],"additionalProperties":false,
            "properties":{"a":{"type":"string","pattern":pattern}}});
        for (more, param) in [
            (format(schema.clone(), is_strict), "response_format"),
            (tool(schema, is_strict), "tools[0].function.parameters"),
        ] {
            let answer = client.post(CHAT, &ask(more)).await.expect_status(status);
            if status == 400 {
                let error = answer.json()["error"].clone();
                assert_eq!(error["param"], param);
                let message = error["message"].as_str().unwrap();
                assert!(message.contains("`properties.a.pattern`"), "{message}");
            }
        }
    }
}
