//! What was used, by day, key and model: counted once however a request ends, told as JSON and as
//! CSV, and refused where nobody could mean it.

use std::time::{Duration, Instant};

use belljar::clock::Clock;
use belljar::config::Settings;
use belljar_tests::{Answer, Client, TestBundle, TestHost};
use reqwest::Method;
use serde_json::{Value, json};

use crate::keys::{make_key, open_stream, upload_slow};
use crate::kit::{get_with, host_at_rest};

const DAY: Duration = Duration::from_secs(86_400);

async fn usage(client: &Client, query: &str) -> Vec<Value> {
    let answer = client.get(&format!("/admin/usage?{query}")).await;
    let list = answer.expect_status(200).json();
    assert_eq!(list["object"], "list");
    list["data"].as_array().unwrap().clone()
}

async fn infer(client: &Client) -> Answer {
    let body = json!({"model":"echo","inputs":{"x":[1]}});
    client.post("/infer", &body).await
}

fn number(row: &Value, field: &str) -> u64 {
    row[field]
        .as_u64()
        .unwrap_or_else(|| panic!("{field}: {row}"))
}

#[tokio::test]
async fn use_is_summed_up_by_whatever_is_asked() {
    let (host, hand) = host_at_rest(&[]).await;
    let admin = host.admin();
    let one = make_key(&host, json!({"name":"one"})).await;
    let two = make_key(&host, json!({"name":"two"})).await;
    infer(&one.caller).await.expect_status(200);
    infer(&host.anonymous()).await.expect_status(200);
    hand.advance(31 * DAY);
    let chat =
        json!({"model":"gpt-4o","max_tokens":9,"messages":[{"role":"user","content":"Hi there"}]});
    let said = one.caller.post("/v1/chat/completions", &chat).await;
    let said = said.expect_status(200).json()["usage"].clone();
    infer(&two.caller).await.expect_status(200);
    infer(&two.caller).await.expect_status(200);
    // What runs no model, and what fails.
    one.caller.get("/v1/models").await.expect_status(200);
    let nobody = json!({"model":"nobody","inputs":{"x":[1]}});
    two.caller.post("/infer", &nobody).await.expect_status(404);
    let wrong = json!({"model":"echo","inputs":{"y":[1]},"outputs":["z"]});
    let refused = two.caller.post("/infer", &wrong).await.status;
    assert!((400..500).contains(&refused), "{refused}");

    let rows = usage(&admin, "by=key,model&from=2030-01-01").await;
    let of = |key: &Value, model: &Value| {
        let row = rows
            .iter()
            .find(|row| row["key_id"] == *key && row["model"] == *model);
        row.unwrap_or_else(|| panic!("{key} {model}: {rows:?}"))
    };
    let (none, one_id, two_id) = (Value::Null, json!(one.id), json!(two.id));
    assert_eq!(rows.len(), 6, "{rows:?}");
    assert_eq!(number(of(&none, &json!("echo")), "requests"), 1);
    assert_eq!(of(&one_id, &json!("echo"))["key_name"], "one");
    // Aliases are the model that they stand for.
    let chat = of(&one_id, &json!("fake"));
    for field in ["prompt_tokens", "completion_tokens"] {
        assert_eq!(chat[field], said[field]);
    }
    assert!(
        number(chat, "fuel") > 0 && number(chat, "run_us") > 0,
        "{chat}"
    );
    assert_eq!(number(of(&one_id, &none), "requests"), 1);
    let echoed = of(&two_id, &json!("echo"));
    assert_eq!(
        (
            number(echoed, "requests"),
            number(echoed, "failed_requests")
        ),
        (3, 1)
    );
    let unknown = of(&two_id, &none);
    assert_eq!(
        (
            number(unknown, "requests"),
            number(unknown, "failed_requests")
        ),
        (1, 1)
    );

    let by_month = usage(&admin, "by=month&from=2030-01-01&to=2030-12-31").await;
    let months: Vec<_> = by_month
        .iter()
        .map(|row| (row["month"].as_str().unwrap(), number(row, "requests")))
        .collect();
    assert_eq!(months, [("2030-01", 2), ("2030-02", 6)]);
    // In the order that is asked for; an empty value says nothing.
    let rows = usage(&admin, "by=day,key&from=&to=&key=&model=echo").await;
    assert_eq!(rows.len(), 1, "since the first of this month: {rows:?}");
    assert_eq!(
        (&rows[0]["day"], number(&rows[0], "requests")),
        (&json!("2030-02-01"), 3)
    );
    let rows = usage(&admin, "by=day&from=2030-01-01&to=2030-01-31&key=none").await;
    assert_eq!((rows.len(), number(&rows[0], "requests")), (1, 1));
    let rows = usage(&admin, &format!("by=model&key={}&model=none", one.id)).await;
    assert_eq!((rows.len(), &rows[0]["model"]), (1, &Value::Null));
    assert_eq!(
        usage(&admin, "key=key_0000000000000000").await,
        [] as [Value; 0]
    );
    // The sums are those that the key itself is shown.
    let shown = one.show(&host).await["usage"].clone();
    let rows = usage(&admin, &format!("by=key&from=2030-01-01&key={}", one.id)).await;
    for field in ["requests", "prompt_tokens", "completion_tokens", "fuel"] {
        assert_eq!(rows[0][field], shown[field], "{field}");
    }
    // A key that is gone keeps its rows, without a name.
    admin.delete(&two.path("")).await.expect_status(200);
    let rows = usage(&admin, &format!("by=key&key={}", two.id)).await;
    assert_eq!(
        (number(&rows[0], "requests"), &rows[0]["key_name"]),
        (4, &Value::Null)
    );
}

#[tokio::test]
async fn use_is_counted_once_however_a_request_ends() {
    let host = TestHost::start().await;
    upload_slow(&host).await;
    let trap = TestBundle::hostile("traps").tar();
    host.admin().upload(trap).await.expect_status(201);
    let key = make_key(&host, json!({})).await;
    // A stream whose caller leaves has used what was made, and has not failed.
    drop(open_stream(&key.caller).await);
    let row = async |model: &str| {
        let query = format!("by=model&key={}&model={model}", key.id);
        usage(&host.admin(), &query)
            .await
            .into_iter()
            .next()
            .unwrap_or_default()
    };
    let left = Instant::now();
    loop {
        let slow = row("slow").await;
        let is_over = ["requests", "fuel", "completion_tokens", "prompt_tokens"]
            .iter()
            .all(|field| slow[*field].as_u64().is_some_and(|n| n > 0));
        if is_over {
            assert_eq!(
                (number(&slow, "requests"), number(&slow, "failed_requests")),
                (1, 0)
            );
            break;
        }
        assert!(left.elapsed() < Duration::from_secs(10), "{slow}");
        tokio::task::yield_now().await;
    }
    let ask = json!({"model":"traps","inputs":{"x":[1]}});
    key.caller.post("/infer", &ask).await.expect_status(502);
    let traps = row("traps").await;
    assert_eq!(
        (
            number(&traps, "requests"),
            number(&traps, "failed_requests")
        ),
        (1, 1)
    );
    // A stream to its end, and an answer in the background.
    let chat = json!({"model":"fake","stream":true,"max_tokens":5,
        "messages":[{"role":"user","content":"Hi there"}]});
    key.caller
        .post("/v1/chat/completions", &chat)
        .await
        .expect_status(200);
    let fake = row("fake").await;
    assert_eq!(
        (number(&fake, "requests"), number(&fake, "failed_requests")),
        (1, 0)
    );
    assert!(
        (1..=5).contains(&number(&fake, "completion_tokens")),
        "{fake}"
    );
    let response = json!({"model":"fake","background":true,"input":"Hi there"});
    let begun = key
        .caller
        .post("/v1/responses", &response)
        .await
        .expect_status(200);
    let path = format!("/v1/responses/{}", begun.json()["id"].as_str().unwrap());
    let begun = Instant::now();
    while number(&row("fake").await, "requests") < 2 {
        let response = key.caller.get(&path).await.json();
        assert!(begun.elapsed() < Duration::from_secs(30), "{response}");
    }
    assert!(number(&row("fake").await, "fuel") > number(&fake, "fuel"));
}

#[tokio::test]
async fn csv_has_the_same_rows_and_no_formulas() {
    let (host, _) = host_at_rest(&[]).await;
    let admin = host.admin();
    let bad = make_key(&host, json!({"name":"=HYPERLINK(\"http://x\",\"y\")"})).await;
    infer(&bad.caller).await.expect_status(200);
    let expect = |fuel: &Value, run_us: &Value| {
        format!(
            "day,key_id,key_name,model,requests,failed_requests,prompt_tokens,completion_tokens,\
             fuel,run_us\r\n2030-01-01,\"{}\",\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\",\
             \"echo\",1,0,0,0,{fuel},{run_us}\r\n",
            bad.id
        )
    };
    let query = "by=day,key,model";
    let row = usage(&admin, query).await.remove(0);
    let expect = expect(&row["fuel"], &row["run_us"]);
    let path = format!("/admin/usage?{query}");
    for (path, accept) in [
        (format!("{path}&format=csv"), "application/json"),
        (path.clone(), "text/csv"),
        (path.clone(), "text/csv;q=0.9, application/json;q=0.1"),
    ] {
        let answer = get_with(&admin, &path, &[("accept", accept)]).await;
        assert_eq!(
            answer.header("content-type"),
            "text/csv; charset=utf-8; header=present"
        );
        assert_eq!(
            answer.header("content-disposition"),
            "attachment; filename=\"usage-2030-01-01-2030-01-01.csv\""
        );
        assert_eq!(answer.text(), expect);
    }
    for (path, accept) in [
        (format!("{path}&format=json"), "text/csv"),
        (path.clone(), "application/json, text/csv"),
        (path.clone(), "*/*"),
    ] {
        let answer = get_with(&admin, &path, &[("accept", accept)]).await;
        assert_eq!(answer.json()["data"][0], row, "{accept}");
    }
}

#[tokio::test]
async fn pages_follow_one_another() {
    let (host, hand) = host_at_rest(&[]).await;
    let admin = host.admin();
    for _ in 0..5 {
        infer(&host.anonymous()).await.expect_status(200);
        hand.advance(DAY);
    }
    let all = usage(&admin, "by=day").await;
    assert_eq!(all.len(), 5);
    let (mut path, mut rows) = ("/admin/usage?by=day&limit=2&after=".to_owned(), Vec::new());
    loop {
        let page = admin.get(&path).await.expect_status(200);
        let list = page.json();
        rows.extend(list["data"].as_array().unwrap().clone());
        let link = page.header("link");
        assert_eq!(list["has_more"] == true, !link.is_empty());
        let Some(next) = list["next"].as_str() else {
            break;
        };
        path = format!("/admin/usage?by=day&limit=2&after={next}");
        assert_eq!(link, format!("<{path}>; rel=\"next\""));
    }
    assert_eq!(rows, all);
    let next = admin.get("/admin/usage?by=day&limit=1").await.json()["next"].clone();
    let elsewhere = format!("/admin/usage?by=model&after={}", next.as_str().unwrap());
    let refused = admin.get(&elsewhere).await.expect_status(400);
    assert_eq!(refused.json()["error"]["param"], "after");
}

#[tokio::test]
async fn what_nobody_can_mean_is_refused_by_its_name() {
    let (host, _) = host_at_rest(&[]).await;
    let admin = host.admin();
    let long = "x".repeat(300);
    for (query, param) in [
        ("from=2030-02-30", "from"),
        ("from=yesterday", "from"),
        ("from=20300101", "from"),
        ("from=-000001-01-01", "from"),
        ("from=0000-01-01", "from"),
        ("to=2030-01-01T00:00:00Z", "to"),
        ("to=99999-01-01", "to"),
        ("from=2030-01-02&to=2030-01-01", "from"),
        ("from=2030-01-02", "from"),
        ("by=colour", "by"),
        ("by=key,", "by"),
        ("by=key,key", "by"),
        ("by=day,month", "by"),
        ("by=key;model", "by"),
        ("format=xml", "format"),
        ("limit=0", "limit"),
        ("limit=10001", "limit"),
        ("after=zz", "after"),
        ("after=5b5d", "after"),
        (&format!("key={long}"), "key"),
        (&format!("model={long}"), "model"),
    ] {
        let answer = admin.get(&format!("/admin/usage?{query}")).await;
        let answer = answer.expect_status(400);
        assert_eq!(
            answer.json()["error"]["param"],
            param,
            "{query}: {}",
            answer.text()
        );
    }
    for query in ["colour=red", "limit=-1", "limit=many", "by=key&by=model"] {
        let answer = admin.get(&format!("/admin/usage?{query}")).await;
        assert_eq!(answer.expect_status(400).code(), "invalid_query", "{query}");
    }
    // However long the time, and whatever a name is.
    for query in [
        "from=0001-01-01&to=9999-12-31&by=month,key,model",
        "key=%27%20or%20day%3E0",
        "model=%25",
    ] {
        let answer = admin.get(&format!("/admin/usage?{query}")).await;
        // A name that looks like an attack is refused before anybody looks for it.
        assert!(
            [200, 400].contains(&answer.status),
            "{query}: {}",
            answer.text()
        );
        if answer.status == 200 {
            assert_eq!(answer.json()["data"], json!([]), "{query}");
        }
    }
}

#[tokio::test]
async fn a_key_reads_its_own_use_and_no_other() {
    let (host, _) = host_at_rest(&[("rate_limit.enabled", "true"), ("rate_limit.rpm", "5")]).await;
    let one = make_key(&host, json!({"tokens_per_month":1_000})).await;
    let two = make_key(&host, json!({})).await;
    infer(&one.caller).await.expect_status(200);
    infer(&two.caller).await.expect_status(200);
    infer(&two.caller).await.expect_status(200);
    let own = two.caller.get("/usage").await.expect_status(200).json();
    assert_eq!(own["data"].as_array().unwrap().len(), 1);
    assert_eq!(
        (
            &own["data"][0]["model"],
            number(&own["data"][0], "requests")
        ),
        (&json!("echo"), 2)
    );
    assert_eq!(
        own["budget"]["requests"],
        json!({"used":2,"limit":null,"remaining":null})
    );
    let own = one
        .caller
        .get("/usage?by=key,day")
        .await
        .expect_status(200)
        .json();
    assert_eq!(own["data"][0]["key_id"], json!(one.id));
    let budget = &own["budget"];
    assert_eq!(
        budget["tokens"],
        json!({"used":0,"limit":1_000,"remaining":1_000})
    );
    assert_eq!(
        (&budget["month"], &budget["renews_at"]),
        (&json!("2030-01"), &json!("2030-02-01T00:00:00Z"))
    );
    // Nor does asking for another's help.
    let refused = one.caller.get(&format!("/usage?key={}", two.id)).await;
    assert_eq!(refused.expect_status(400).json()["error"]["param"], "key");
    one.caller.get("/admin/usage").await.expect_status(403);
    assert_eq!(
        host.anonymous()
            .get("/usage")
            .await
            .expect_status(403)
            .code(),
        "key_needed"
    );
    // Asking is a request of the minute.
    while one.caller.get("/usage").await.status != 429 {}
}

/// Acts: `usage.rows_per_day_max`.
#[tokio::test]
async fn keys_of_the_configuration_and_rows_beyond_a_days_are_counted() {
    let secret = "a-key-of-the-configuration";
    let settings = [("usage.rows_per_day_max", "1")];
    let with_key = |settings: &mut Settings| settings.auth.keys = vec![secret.parse().unwrap()];
    let host = TestHost::start_adjusted(Clock::system(), &settings, with_key).await;
    infer(&host.anonymous().with_key(secret))
        .await
        .expect_status(200);
    infer(&host.anonymous()).await.expect_status(200);
    let rows = usage(&host.admin(), "").await;
    let of: Vec<_> = rows
        .iter()
        .map(|row| (&row["key_id"], &row["model"]))
        .collect();
    let (other, echo) = (json!("(other)"), json!("echo"));
    assert_eq!(of, [(&other, &other), (&json!("config-1"), &echo)]);
}

/// Acts: `usage.retention`.
#[tokio::test]
async fn rows_stay_as_long_as_the_setting_says() {
    let (host, hand) = host_at_rest(&[("usage.retention", "31 d")]).await;
    infer(&host.anonymous()).await.expect_status(200);
    hand.advance(31 * DAY);
    let query = "from=2030-01-01";
    assert_eq!(usage(&host.admin(), query).await.len(), 1);
    hand.advance(DAY);
    assert_eq!(usage(&host.admin(), query).await.len(), 0);
}

/// The command, against a server of this process.
#[tokio::test]
async fn the_command_prints_a_table_csv_and_json() {
    let (host, _) = host_at_rest(&[]).await;
    let key = make_key(&host, json!({"name":"ci"})).await;
    for _ in 0..2 {
        infer(&key.caller).await.expect_status(200);
    }
    let key_file = host.data_dir().join("admin.key");
    let url = format!("http://{}", host.address());
    let run = async |more: &[&str]| {
        let mut command = belljar_tests::command();
        command.args(["usage", "--server", &url, "--admin-key-file"]);
        command.arg(&key_file).args(more);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = output.await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (code, table, error) = run(&[]).await;
    assert_eq!(code, Some(0), "{error}");
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|l| l.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines[0],
        ["KEY", "MODEL", "REQUESTS", "FAILED", "TOKENS", "FUEL"]
    );
    assert_eq!(lines[1][..5], ["ci", "echo", "2", "0", "0"]);
    assert!(table.lines().all(|line| line.len() <= 80), "{table}");
    let (_, csv, _) = run(&["--by", "day,model", "--key", "ci", "--csv"]).await;
    assert!(csv.starts_with("day,model,requests,"), "{csv}");
    assert!(csv.contains("\r\n2030-01-01,\"echo\",2,0,"), "{csv}");
    let (_, rows, _) = run(&["--by", "model", "--from", "2030-01-01", "--json"]).await;
    let row: Value = serde_json::from_str(rows.trim()).unwrap();
    assert_eq!(number(&row, "requests"), 2);
    for wrong in [
        &["--by", "colour"][..],
        &["--from", "soon"],
        &["--csv", "--json"],
    ] {
        assert_eq!(run(wrong).await.0, Some(2), "{wrong:?}");
    }
    let (code, _, error) = run(&["--from", "2031-01-01"]).await;
    assert_eq!(code, Some(1));
    assert!(error.contains("2031-01-01 is after 2030-01-01"), "{error}");
    // Unlike a request, reading is in no row.
    let all = host.admin().request(Method::GET, "/admin/usage?by=month");
    let all = host.admin().send(all).await.unwrap().json();
    assert_eq!(number(&all["data"][0], "requests"), 2);
}
