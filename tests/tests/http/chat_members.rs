//! The members of `POST /v1/chat/completions` and `POST /v1/embeddings`: what OpenAI documents is
//! taken, what other servers document goes to the model, and the rest is as the settings say.

use crate::chat::ask;
use crate::host::SHARED;
use belljar_tests::{TestBundle, TestHost};
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn what_openai_documents_is_taken() {
    let client = SHARED.anonymous();
    let custom = json!({"type":"custom","custom":{"name":"calc","description":"Sums.",
        "format":{"type":"grammar","grammar":{"syntax":"regex","definition":"[0-9+]+"}}}});
    let function = json!({"type":"function","function":{"name":"look"}});
    let image = |detail: &str| {
        json!({"messages":[{"role":"user","content":[{"type":"text","text":"hi"},
            {"type":"image_url","image_url":{"url":"https://example.com/x.png","detail":detail}}]}]})
    };
    let efforts = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
    let mut cases: Vec<Value> = efforts
        .iter()
        .map(|effort| json!({"reasoning_effort":effort}))
        .collect();
    cases.extend(["low", "medium", "high"].map(|word| json!({"verbosity":word})));
    cases.extend(
        ["auto", "default", "flex", "scale", "priority", "fast"]
            .map(|tier| json!({"service_tier":tier})),
    );
    cases.extend(["auto", "low", "high", "original"].map(image));
    cases.extend([
        json!({"modalities":["text","audio"],"audio":{"voice":"ash","format":"mp3"}}),
        json!({"web_search_options":{"search_context_size":"low"}}),
        json!({"prediction":{"type":"content","content":"x"},"store":true,"metadata":{"a":"b"}}),
        json!({"prompt_cache_key":"k","prompt_cache_retention":"24h","safety_identifier":"s"}),
        json!({"prompt_cache_options":{"mode":"implicit","ttl":"30m"}}),
        json!({"moderation":{"model":"omni-moderation-latest","policy":{"input":{"mode":"score"}}}}),
        json!({"stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false}}),
        json!({"tools":[custom, function]}),
        json!({"tools":[custom, function],"tool_choice":{"type":"custom","custom":{"name":"calc"}}}),
        json!({"tools":[custom, function],"tool_choice":{"type":"allowed_tools","allowed_tools":
            {"mode":"required","tools":[{"type":"function","function":{"name":"look"}}]}}}),
    ]);
    for more in cases {
        let answer = client.post(CHAT, &ask(more.clone())).await;
        assert_eq!(answer.status, 200, "{more}: {}", answer.text());
        assert_eq!(answer.header("x-belljar-ignored"), "", "{more}");
    }
}

#[tokio::test]
async fn a_custom_tool_is_called_as_one() {
    let tools = json!([{"type":"custom","custom":{"name":"calc"}},
        {"type":"function","function":{"name":"look"}}]);
    let named = |kind: &str, name: &str| json!({"type":kind,kind:{"name":name}});
    let client = SHARED.anonymous();
    let body = ask(json!({"tools":tools,"tool_choice":named("custom", "calc")}));
    let answer = client.post(CHAT, &body).await.expect_status(200).json();
    let call = &answer["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(
        (&call["type"], &call["custom"]["name"]),
        (&json!("custom"), &json!("calc"))
    );
    assert!(
        call["custom"]["input"].is_string() && call.get("function").is_none(),
        "{call}"
    );
    let mut body = body;
    body["stream"] = json!(true);
    let text = client.post(CHAT, &body).await.expect_status(200).text();
    assert!(
        text.contains(r#""type":"custom","custom":{"name":"calc","input":"#),
        "{text}"
    );
    let body = ask(json!({"tools":tools,"tool_choice":named("function", "look")}));
    let answer = client.post(CHAT, &body).await.expect_status(200).json();
    let call = &answer["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(
        (&call["type"], &call["function"]["name"]),
        (&json!("function"), &json!("look"))
    );
    // And goes back into the conversation as it came.
    let back = ask(json!({"messages":[{"role":"user","content":"x"},
        {"role":"assistant","content":null,"tool_calls":[
            {"id":"call_1","type":"custom","custom":{"name":"calc","input":"1+1"}}]},
        {"role":"tool","tool_call_id":"call_1","content":"2"}]}));
    let _ = client.post(CHAT, &back).await.expect_status(200);
}

#[tokio::test]
async fn what_clients_of_other_servers_send_goes_to_the_model() {
    let client = SHARED.anonymous();
    // `fake` knows these two: it goes on past its natural end.
    let short = ask(json!({"max_tokens":400}));
    let long = ask(json!({"max_tokens":400,"ignore_eos":true}));
    let tokens = async |body: &Value| {
        let answer = client.post(CHAT, body).await.expect_status(200).json();
        answer["usage"]["completion_tokens"].as_u64().unwrap()
    };
    assert!(tokens(&short).await < 400);
    assert_eq!(tokens(&long).await, 400);
    let more = json!({"min_tokens":2,"repetition_penalty":1.1,"top_k":5,"min_p":0.1,
        "chat_template_kwargs":{"enable_thinking":false},"guided_json":{"type":"object"},
        "guided_regex":"a+","stop_token_ids":[1,2],"mirostat":0,"keep_alive":"5m",
        "provider":{"order":["a"]},"best_of":null});
    let answer = client.post(CHAT, &ask(more)).await.expect_status(200);
    assert_eq!(answer.header("x-belljar-ignored"), "");
    // No bound on the likeliest tokens, as other servers write it.
    for all in [-1, 0] {
        let body = ask(json!({"top_k":all}));
        let _ = client.post(CHAT, &body).await.expect_status(200);
        let body = json!({"model":"fake","prompt":"x","top_k":all});
        let answer = client.post("/v1/completions", &body).await;
        let _ = answer.expect_status(200);
        let body = json!({"model":"fake","input":"x","top_k":all,"min_p":0.1});
        let answer = client.post("/v1/responses", &body).await;
        let _ = answer.expect_status(200);
    }
    let body = json!({"model":"fake","input":"x","input_type":"query","truncate":"END"});
    let answer = client
        .post("/v1/embeddings", &body)
        .await
        .expect_status(200);
    assert_eq!(answer.header("x-belljar-ignored"), "input_type, truncate");
}

/// Acts: `input.unknown_members`.
#[tokio::test]
async fn what_nobody_documents_is_refused_or_passed_over_as_the_settings_say() {
    let client = SHARED.anonymous();
    for (name, message) in [
        (
            "temprature",
            "Unrecognized request argument supplied: temprature. Did you mean temperature?",
        ),
        ("zzzzz", "Unrecognized request argument supplied: zzzzz"),
    ] {
        let answer = client
            .post(CHAT, &ask(json!({name:1})))
            .await
            .expect_status(400);
        let error = answer.json()["error"].clone();
        assert_eq!(error["message"], message);
        assert_eq!(
            (&error["param"], &error["code"]),
            (&json!(name), &json!("unknown_parameter"))
        );
    }
    let body = json!({"model":"fake","input":"x","dimension":4});
    let answer = client
        .post("/v1/embeddings", &body)
        .await
        .expect_status(400);
    assert!(answer.text().contains("Did you mean dimensions?"));

    let host = TestHost::start_with(&[("input.unknown_members", "ignore")]).await;
    let client = host.anonymous();
    let odd = "<b>\n".repeat(3);
    for stream in [false, true] {
        let body = ask(json!({"temprature":1,"zzzzz":{"a":[1]},odd.as_str():1,"stream":stream}));
        let answer = client.post(CHAT, &body).await.expect_status(200);
        let mut names: Vec<&str> = answer.header("x-belljar-ignored").split(", ").collect();
        names.sort_unstable();
        assert_eq!(names, ["temprature", "zzzzz"]);
    }
    let answer = client
        .post("/v1/embeddings", &body)
        .await
        .expect_status(200);
    assert_eq!(answer.header("x-belljar-ignored"), "dimension");
}

#[tokio::test]
async fn what_a_model_says_of_a_member_names_it() {
    let client = SHARED.anonymous();
    let schema = json!({"type":"object","required":["next"],"properties":{"next":{"$ref":"#"}}});
    let format = json!({"type":"json_schema","json_schema":{"name":"n","schema":schema}});
    let tools = json!([{"type":"function","function":{"name":"f","parameters":schema}}]);
    for (more, param) in [
        (json!({"response_format":format}), "response_format"),
        (json!({"tools":tools,"tool_choice":"required"}), "tools"),
    ] {
        let answer = client.post(CHAT, &ask(more)).await.expect_status(400);
        assert_eq!(answer.code(), "invalid_input");
        assert_eq!(answer.json()["error"]["param"], param, "{}", answer.text());
    }
    let body = json!({"model":"fake","input":"x","dimensions":60_000});
    let answer = client
        .post("/v1/embeddings", &body)
        .await
        .expect_status(400);
    assert_eq!(answer.json()["error"]["param"], "dimensions");
    let component = belljar_test_guests::bytes("slow_infer");
    let name = format!("slow-{}", crate::host::serial());
    let bundle = TestBundle::new(&name, "1.0.0", &component);
    let _ = SHARED.admin().upload(bundle.tar()).await.expect_status(201);
    let body = json!({"model":name,"inputs":{"n":[0.5]}});
    let answer = client.post("/infer", &body).await.expect_status(400);
    assert_eq!(
        answer.json()["error"]["param"],
        "inputs.n",
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn members_about_the_service_are_checked() {
    let client = SHARED.anonymous();
    let long = "x".repeat(513);
    for (more, param) in [
        (json!({"service_tier":"gold"}), "service_tier"),
        (
            json!({"prediction":{"type":"guess","content":"x"}}),
            "prediction.type",
        ),
        (
            json!({"web_search_options":{"search_context_size":"all"}}),
            "web_search_options.search_context_size",
        ),
        (
            json!({"prompt_cache_retention":"99h"}),
            "prompt_cache_retention",
        ),
        (json!({"metadata":{"a":long}}), "metadata.a"),
        (json!({"metadata":{"k".repeat(65):"x"}}), "metadata"),
        (json!({"tool_choice":"required"}), "tool_choice"),
        (json!({"parallel_tool_calls":true}), "parallel_tool_calls"),
        (json!({"n":129}), "n"),
    ] {
        let mut body = json!({"model":"fake","messages":[{"role":"user","content":"hi"}]});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let refused = client.post("/v1/chat/completions", &body).await;
        let refused = refused.expect_status(400).json();
        assert_eq!(refused["error"]["param"], param, "{more}: {refused}");
    }
}

#[tokio::test]
async fn a_request_has_as_many_answers_as_openai_gives() {
    let client = SHARED.anonymous();
    let mut body = json!({"model":"fake","n":128,"max_tokens":2,
        "messages":[{"role":"user","content":"hi"}]});
    let answer = client.post("/v1/chat/completions", &body).await;
    let answer = answer.expect_status(200).json();
    assert_eq!(answer["choices"].as_array().unwrap().len(), 128);
    // Each answer has a copy of the request, so a large one has fewer.
    body["messages"][0]["content"] = json!("a sea ".repeat(400_000));
    let refused = client.post("/v1/chat/completions", &body).await;
    let refused = refused.expect_status(400).json();
    assert_eq!(refused["error"]["param"], "n", "{refused}");
}
