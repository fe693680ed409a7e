//! What the embedded language model says: its content, and what that costs.

use crate::host::SHARED;
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

/// The fuel that one chat costs.
async fn fuel_of(body: &Value) -> u64 {
    let admin = SHARED.admin();
    let key = admin
        .post("/admin/keys", &json!({"name":"fuel","scopes":["infer"]}))
        .await
        .expect_status(201)
        .json();
    let caller = SHARED.anonymous().with_key(key["key"].as_str().unwrap());
    let _ = caller.post(CHAT, body).await.expect_status(200);
    let path = format!("/admin/keys/{}", key["id"].as_str().unwrap());
    let shown = admin.get(&path).await.expect_status(200).json();
    shown["usage"]["fuel"].as_u64().unwrap()
}

async fn answer(body: &Value) -> Value {
    let answer = SHARED.anonymous().post(CHAT, body).await;
    answer.expect_status(200).json()["choices"][0].clone()
}

fn chat(prompt: &str, more: Value) -> Value {
    let mut body = json!({"model":"fake","seed":1,"messages":[{"role":"user","content":prompt}]});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn tool(name: &str, properties: Value) -> Value {
    let required: Vec<&String> = properties.as_object().unwrap().keys().collect();
    json!([{"type":"function","function":{"name":name,"parameters":{"type":"object",
        "properties":properties,"required":required}}}])
}

/// The arguments of the calls of an answer, each with the name of its tool.
fn calls(choice: &Value) -> Vec<(String, Value)> {
    let calls = choice["message"]["tool_calls"].as_array();
    calls
        .into_iter()
        .flatten()
        .map(|call| {
            let function = &call["function"];
            let arguments = serde_json::from_str(function["arguments"].as_str().unwrap());
            (
                function["name"].as_str().unwrap().to_owned(),
                arguments.unwrap(),
            )
        })
        .collect()
}

fn object_of(choice: &Value) -> Value {
    serde_json::from_str(choice["message"]["content"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_short_chat_is_cheap() {
    // Chat is what load tests run against.
    let mut spent = Vec::new();
    for tokens in [1, 32, 1032] {
        let more = json!({"max_tokens":tokens,"ignore_eos":true});
        let fuel = fuel_of(&chat("Tell me about bell jars.", more)).await;
        println!("{tokens} tokens: {fuel} of fuel");
        spent.push(fuel);
    }
    assert!(
        spent[0] <= 20_500 && spent[1] <= 42_500 && spent[2] <= 740_000,
        "{spent:?}"
    );
}

#[tokio::test]
async fn arguments_take_the_words_of_the_prompt() {
    let tools = tool(
        "book_hotel",
        json!({"city":{"type":"string"},"nights":{"type":"integer"}}),
    );
    let more = json!({"tools":tools,"tool_choice":"required"});
    assert_eq!(
        calls(&answer(&chat("Paris, 4 nights", more)).await),
        [("book_hotel".to_owned(), json!({"city":"Paris","nights":4}))]
    );
    let tools = tool(
        "send_email",
        json!({
            "to":{"type":"string","format":"email"},
            "subject":{"type":"string"},
            "priority":{"enum":["low","normal","high"]},
        }),
    );
    let prompt =
        "Send an email to ada@example.com with the subject \"Lunch on Friday\", high priority";
    assert_eq!(
        calls(&answer(&chat(prompt, json!({"tools":tools}))).await),
        [(
            "send_email".to_owned(),
            json!({"to":"ada@example.com","subject":"Lunch on Friday","priority":"high"})
        )]
    );
}

#[tokio::test]
async fn a_tool_is_called_for_each_thing_and_its_answers_are_taken_up() {
    let tools = tool("get_weather", json!({"city":{"type":"string"}}));
    let question = "What is the weather in Paris and Rome?";
    let first = answer(&chat(question, json!({"tools":tools}))).await;
    let cities: Vec<Value> = calls(&first)
        .into_iter()
        .map(|(_, arguments)| arguments)
        .collect();
    assert_eq!(cities, [json!({"city":"Paris"}), json!({"city":"Rome"})]);
    assert_eq!(first["finish_reason"], "tool_calls");

    let ids: Vec<&Value> = first["message"]["tool_calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| &call["id"])
        .collect();
    let messages = json!([
        {"role":"user","content":question},
        first["message"],
        {"role":"tool","tool_call_id":ids[0],"content":"{\"temperature\":18,\"sky\":\"partly cloudy\"}"},
        {"role":"tool","tool_call_id":ids[1],"content":"Sunny, 25°C"},
    ]);
    let second = answer(&chat("", json!({"tools":tools,"messages":messages}))).await;
    assert_eq!(second["finish_reason"], "stop");
    let text = second["message"]["content"].as_str().unwrap();
    for expect in ["Paris", "18", "partly cloudy", "Rome", "Sunny, 25°C"] {
        assert!(text.contains(expect), "{text}");
    }
    let more = json!({"tools":tools,"messages":messages,"tool_choice":"required"});
    assert_eq!(answer(&chat("", more)).await["finish_reason"], "tool_calls");

    let one = answer(&chat(
        question,
        json!({"tools":tools,"parallel_tool_calls":false}),
    ))
    .await;
    assert_eq!(
        calls(&one),
        [("get_weather".to_owned(), json!({"city":"Paris"}))]
    );
}

#[tokio::test]
async fn structured_answers_take_the_words_of_the_prompt_and_are_plausible_besides() {
    let format = |schema: Value| json!({"response_format":{"type":"json_schema","json_schema":{"name":"answer","strict":true,"schema":schema}}});
    let schema = json!({"type":"object","additionalProperties":false,
        "required":["name","age","birthday","email","website","status"],"properties":{
            "name":{"type":"string"},"age":{"type":"integer"},
            "birthday":{"type":"string","format":"date"},"email":{"type":"string"},
            "website":{"type":"string","format":"uri"},"status":{"enum":["active","gone"]}}});
    let made = object_of(&answer(&chat("Extract: Jason is 25 years old", format(schema))).await);
    assert_eq!(
        (&made["name"], &made["age"], &made["status"]),
        (&json!("Jason"), &json!(25), &json!("active"))
    );
    assert_eq!(made["email"], "jason@example.com");
    assert!(made["birthday"].as_str().unwrap() < "2010");
    assert!(made["website"].as_str().unwrap().starts_with("https://"));

    let prompt = "Describe a city as JSON with the keys name, country and population.";
    let made = object_of(
        &answer(&chat(
            prompt,
            json!({"response_format":{"type":"json_object"}}),
        ))
        .await,
    );
    let keys: Vec<&String> = made.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["country", "name", "population"]);
    assert!(made["population"].is_number());
}

#[tokio::test]
async fn what_is_nested_as_deep_as_it_may_be_is_answered_or_refused() {
    let deep = |levels: usize, end: &str, from: &str, to: &str| {
        let text = from.repeat(levels) + end + &to.repeat(levels);
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let list = r#"{"type":"array","minItems":1,"items":"#;
    let object = r#"{"type":"object","required":["a"],"properties":{"a":"#;
    let choice = r#"{"anyOf":[{"type":"null"},"#;
    let all = r#"{"allOf":["#;
    for (levels, end, from, to) in [
        (28, r#"{"type":"string"}"#, list, "}"),
        (14, r#"{"type":"string"}"#, object, "}}"),
        (
            14,
            r#"{"type":"string","pattern":"((((((((((((((a))))))))))))))+"}"#,
            choice,
            "]}",
        ),
        (14, r#"{"type":"string"}"#, all, "]}"),
        (28, r#"{"not":{"type":"null"}}"#, r#"{"not":"#, "}"),
    ] {
        let inner = deep(levels, end, from, to);
        let schema = json!({"type":"object","required":["x"],"properties":{"x":inner}});
        let more = json!({"response_format":{"type":"json_schema","json_schema":{"name":"deep","schema":schema}}});
        let answer = SHARED.anonymous().post(CHAT, &chat("Paris", more)).await;
        assert!(
            [200, 400].contains(&answer.status),
            "{from}: {} {}",
            answer.status,
            answer.text()
        );
    }
    let endless = json!({"$ref":"#/$defs/a","$defs":{"a":{"type":"object","required":["a"],
        "properties":{"a":{"anyOf":[{"$ref":"#/$defs/a"}]}}}}});
    let more = json!({"response_format":{"type":"json_schema","json_schema":{"name":"endless","schema":endless}}});
    let answer = SHARED.anonymous().post(CHAT, &chat("Paris", more)).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
}

#[tokio::test]
async fn a_schema_that_the_prompt_writes_out_is_followed() {
    let schema = json!({"type":"object","required":["city","nights"],"properties":{
        "city":{"type":"string","title":"City"},"nights":{"type":"integer"}}});
    let told = format!("Answer with JSON that follows this schema:\n\n{schema}\n\nNothing else.");
    let expect = json!({"city":"Paris","nights":4});
    for (messages, more) in [
        (
            json!([{"role":"system","content":told},{"role":"user","content":"Paris, 4 nights"}]),
            json!({}),
        ),
        (
            json!([{"role":"user","content":format!("{told}\n\nParis, 4 nights")}]),
            json!({}),
        ),
        (
            json!([{"role":"system","content":told},{"role":"user","content":"Paris, 4 nights"}]),
            json!({"response_format":{"type":"json_object"}}),
        ),
    ] {
        let body = chat("", more);
        let body = json!({"messages":messages,"model":"fake","seed":1,
            "response_format":body["response_format"]});
        assert_eq!(object_of(&answer(&body).await), expect, "{body}");
    }
    let fenced = chat(
        &format!("{told} Paris, 4 nights.\n\nAnswer in a ```json block."),
        json!({}),
    );
    let choice = answer(&fenced).await;
    let text = choice["message"]["content"].as_str().unwrap();
    let inside = text.strip_prefix("```json\n").unwrap();
    let inside: Value = serde_json::from_str(inside.strip_suffix("\n```").unwrap()).unwrap();
    assert_eq!(inside, expect);
    // A question about a schema of somebody's is a question, where it does not speak of an answer.
    let talk = answer(&chat(
        "What is a schema in JSON? Is {\"a\":1} one?",
        json!({}),
    ))
    .await;
    assert!(
        serde_json::from_str::<Value>(talk["message"]["content"].as_str().unwrap()).is_err(),
        "{talk}"
    );
}

#[tokio::test]
async fn a_list_of_objects_has_one_for_each_thing_of_the_prompt() {
    let trip = json!({"type":"object","required":["city","nights"],"properties":{
        "city":{"type":"string"},"nights":{"type":"integer"}}});
    let trips = json!({"trips":{"type":"array","items":trip}});
    let one = json!([{"city":"Paris","nights":4}]);
    let two = json!([{"city":"Paris","nights":4},{"city":"Rome","nights":2}]);
    for (prompt, expect) in [
        ("Paris, 4 nights", &one),
        ("Paris for 4 nights and Rome for 2 nights", &two),
        ("4 nights in Paris and 2 nights in Rome", &two),
    ] {
        let schema = json!({"type":"object","properties":trips,"required":["trips"]});
        let format = json!({"type":"json_schema","json_schema":{"name":"t","schema":schema}});
        let choice = answer(&chat(prompt, json!({"response_format":format}))).await;
        assert_eq!(object_of(&choice)["trips"], *expect, "{prompt}");
        // Optional arguments are given where something inside them is said.
        let mut tools = tool("book", trips.clone());
        tools[0]["function"]["parameters"]["required"] = json!([]);
        let more = json!({"tools":tools,"tool_choice":"required"});
        let (_, arguments) = calls(&answer(&chat(prompt, more)).await).remove(0);
        assert_eq!(arguments["trips"], *expect, "{prompt}");
    }
}

#[tokio::test]
async fn what_was_sent_is_opened_and_named() {
    let messages = json!([{"role":"user","content":[
        {"type":"text","text":"What is this?"},
        {"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAoAAAAHgCAIAAAA="}},
        {"type":"input_audio","input_audio":{"format":"wav","data":"UklGRgAAAABXQVZFZm10IBAAAAABAAEACAAAABAAAAACABAAZGF0YSgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}},
        {"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERi0xLjQgPDwvVHlwZS9QYWdlcy9Db3VudCAzPj4gPDwvVGl0bGUoQW5udWFsIHJlcG9ydCk+Pg=="}},
    ]}]);
    let said = answer(&chat("", json!({"messages":messages}))).await;
    let text = said["message"]["content"].as_str().unwrap();
    for expect in [
        "the 640×480 PNG image",
        "the 2.5 s WAV recording",
        "“Annual report” (3 pages)",
    ] {
        assert!(text.contains(expect), "{text}");
    }
    let schema = json!({"type":"object","additionalProperties":false,
        "required":["width","height","page_count","title","duration_seconds"],"properties":{
            "width":{"type":"integer"},"height":{"type":"integer"},
            "page_count":{"type":"integer"},"title":{"type":"string"},
            "duration_seconds":{"type":"number"}}});
    let format =
        json!({"type":"json_schema","json_schema":{"name":"facts","strict":true,"schema":schema}});
    let more = json!({"messages":messages,"response_format":format});
    assert_eq!(
        object_of(&answer(&chat("", more)).await),
        json!({"width":640,"height":480,"page_count":3,"title":"Annual report","duration_seconds":2.5})
    );
}

#[tokio::test]
async fn names_of_reasoning_models_think_and_count_it() {
    let used = async |path: &str, body: Value| {
        let answer = SHARED.anonymous().post(path, &body).await;
        answer.expect_status(200).json()
    };
    let ask = |model: &str, more: Value| {
        let mut body = chat("Tell me about bell jars.", more);
        body["model"] = json!(model);
        body
    };
    for (model, more, thinks, tells) in [
        ("gpt-4o", json!({}), false, false),
        ("gpt-5-mini", json!({}), true, false),
        ("o4-mini", json!({"max_completion_tokens":40}), true, false),
        ("gpt-5-mini", json!({"reasoning_effort":"low"}), true, true),
        (
            "gpt-5-mini",
            json!({"reasoning_effort":"none"}),
            false,
            false,
        ),
    ] {
        let answer = used(CHAT, ask(model, more)).await;
        let thought = &answer["usage"]["completion_tokens_details"]["reasoning_tokens"];
        assert_eq!(thought.as_u64().unwrap() > 0, thinks, "{answer}");
        let message = &answer["choices"][0]["message"];
        assert_eq!(message["reasoning_content"].is_string(), tells, "{answer}");
        assert!(!message["content"].as_str().unwrap().is_empty(), "{answer}");
    }
    let stream = SHARED.anonymous();
    let stream = stream.post(CHAT, &ask("o3", json!({"stream":true}))).await;
    assert!(
        !stream
            .expect_status(200)
            .text()
            .contains("reasoning_content")
    );

    let body = json!({"model":"gpt-5-mini","input":"Tell me about bell jars."});
    let response = used("/v1/responses", body).await;
    assert_eq!(response["output"][0]["type"], "message", "{response}");
    let details = &response["usage"]["output_tokens_details"];
    assert!(
        details["reasoning_tokens"].as_u64().unwrap() > 0,
        "{response}"
    );
}

#[tokio::test]
async fn orders_meetings_and_lists_go_where_they_belong() {
    let item = json!({"type":"object","required":["product","quantity","unit_price"],"properties":{
        "product":{"type":"string"},"quantity":{"type":"integer"},"unit_price":{"type":"number"}}});
    let tools = tool(
        "create_order",
        json!({"customer":{"type":"string"},"items":{"type":"array","items":item},"currency":{"type":"string"}}),
    );
    let prompt = "Order 3 keyboards at $49.99 each and 2 mice at $19.50 each for Maria Lopez";
    let (_, made) = calls(&answer(&chat(prompt, json!({"tools":tools}))).await).remove(0);
    assert_eq!(
        made,
        json!({"customer":"Maria Lopez","currency":"USD","items":[
            {"product":"keyboards","quantity":3,"unit_price":49.99},
            {"product":"mice","quantity":2,"unit_price":19.5}]})
    );

    let text = json!({"type":"string"});
    let tools = tool(
        "schedule_meeting",
        json!({"title":text,"attendees":{"type":"array","items":text},
            "start_time":{"type":"string","format":"date-time"},"duration_minutes":{"type":"integer"},
            "location":text}),
    );
    let prompt = "Schedule a 45 minute meeting titled \"Budget review\" with Anna, Bob and Chen \
        on March 5, 2027 at 2:30 pm in Room 12";
    let (_, made) = calls(&answer(&chat(prompt, json!({"tools":tools}))).await).remove(0);
    assert_eq!(
        made,
        json!({"title":"Budget review","attendees":["Anna","Bob","Chen"],"duration_minutes":45,
            "start_time":"2027-03-05T14:30:00Z","location":"Room 12"})
    );

    let tools = tool("add_items", json!({"items":{"type":"array","items":text}}));
    let prompt = "Add milk, eggs and bread to my shopping list";
    let (_, made) = calls(&answer(&chat(prompt, json!({"tools":tools}))).await).remove(0);
    assert_eq!(made, json!({"items":["milk","eggs","bread"]}));
}

#[tokio::test]
async fn answers_have_the_form_that_is_asked_for() {
    let said = async |prompt: &str| {
        let answer = answer(&chat(prompt, json!({"max_tokens":2000}))).await;
        answer["message"]["content"].as_str().unwrap().to_owned()
    };
    assert_eq!(said("Reply with exactly: PONG").await, "PONG");
    assert_eq!(said("What's 15% of 240?").await, "15% of 240 is 36.");
    assert_eq!(
        said("Translate 'good morning' to German").await,
        "guten Morgen"
    );
    let in_three = said("In 3 sentences, describe the ocean.").await;
    assert_eq!(in_three.matches(['.', '?']).count(), 3, "{in_three}");
    assert_eq!(
        said("Write 250 words about bees")
            .await
            .split_whitespace()
            .count(),
        250
    );
    let list = said("List 4 reasons to visit Lisbon").await;
    assert_eq!(
        list.lines()
            .filter(|line| line.starts_with(|c: char| c.is_ascii_digit()))
            .count(),
        4
    );
    let table = said("Make a table comparing Python and Rust with 3 rows").await;
    assert_eq!(
        table.lines().next(),
        Some("| Aspect | Python | Rust |"),
        "{table}"
    );
    assert_eq!(table.lines().count(), 5, "{table}");
    assert!(
        said("Write a JavaScript function")
            .await
            .contains("```javascript\n")
    );
    assert!(said("Расскажи о Байкале").await.contains("Байкал"));
    assert!(said("请解释一下量子计算。").await.contains("量子计算"));
}
