//! Projects without a component, which are built on a base of the server: written, pushed, shown
//! and worked on by the program's commands, and refused over HTTP.

use std::fs;

use belljar_bundle::pack::{Packing, pack_folder_with};
use belljar_bundle::{Base, Digest};
use belljar_tests::{Answer, TestBundle, TestHost, guests};
use serde_json::json;

use crate::dev::{Dev, until};
use crate::kit::Desk;

const PROJECT: &str = "schema = 1\nname = \"mine\"\nversion = \"1.0.0\"\nbase = \"keeper\"\n";

/// The component of the base: a guest that keeps its assets and answers with their `total` size.
fn component() -> Vec<u8> {
    guests::bytes("loads_assets")
}

fn base(version: &str) -> TestBundle {
    TestBundle::new("keeper", version, &component()).with_line("is_base = true")
}

/// A project on the base, with a source of five bytes.
fn project() -> Desk {
    let desk = Desk::new();
    desk.write("mine/model.toml", PROJECT);
    desk.write("mine/model.py", "12345");
    desk
}

/// The flags that name a server to a command.
fn at(host: &TestHost) -> [String; 4] {
    let key = host.data_dir().join("admin.key");
    [
        "--server".to_owned(),
        format!("http://{}", host.address()),
        "--admin-key-file".to_owned(),
        key.to_str().unwrap().to_owned(),
    ]
}

fn with<'a>(arguments: &[&'a str], flags: &'a [String; 4]) -> Vec<&'a str> {
    let flags = flags.iter().map(String::as_str);
    arguments.iter().copied().chain(flags).collect()
}

async fn ask(host: &TestHost) -> Answer {
    let body = json!({"model": "mine", "inputs": {}});
    host.anonymous().post("/infer", &body).await
}

fn total_of(answer: &Answer) -> Option<u64> {
    answer.json()["outputs"]["total"].as_u64()
}

/// How many bytes of sources the model says it has.
async fn total(host: &TestHost) -> Option<u64> {
    total_of(&ask(host).await.expect_status(200))
}

/// Waits until the model says that.
async fn serves(host: &TestHost, bytes: u64) {
    until("an answer", async || {
        let answer = ask(host).await;
        (answer.status == 200 && total_of(&answer) == Some(bytes)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_sources_is_pushed_to_a_server_that_has_its_base() {
    let desk = project();
    let host = TestHost::start().await;
    let flags = at(&host);
    let push = with(&["push", "mine", "--wait"], &flags);
    // Before there is one.
    let (_, told) = desk.fails(&push);
    assert!(
        told.contains("built on the base `keeper`, which the server does not have: it has none"),
        "{told}"
    );
    let _ = host.admin().upload(base("1.0.0").tar()).await;
    desk.ok(&push);
    assert_eq!(total(&host).await, Some(5));
    // Both say so.
    let (shown, _) = desk.ok(&with(&["models", "show", "mine@1.0.0"], &flags));
    assert!(shown.contains("built on      keeper@1.0.0"), "{shown}");
    let (shown, _) = desk.ok(&with(&["models", "show", "keeper@1.0.0"], &flags));
    assert!(shown.contains("is a base"), "{shown}");
    let listed = host.admin().get("/models/keeper").await.json();
    let digest = Digest::of(&component()).to_string();
    assert_eq!(listed["versions"][0]["base_component"], digest);
    // A version stands for its content, here as elsewhere.
    desk.write("mine/model.py", "123456");
    let (_, told) = desk.fails(&push);
    assert!(told.contains("mine@1.0.0 exists"), "{told}");
    desk.write("mine/model.toml", PROJECT.replace("1.0.0", "1.1.0"));
    desk.ok(&push);
    assert_eq!(total(&host).await, Some(6));
    // Another version of the base than there is.
    let other = PROJECT.replace("1.0.0", "1.2.0");
    let other = other.replace("\"keeper\"", "\"keeper@3.0.0\"");
    desk.write("mine/model.toml", other);
    let (_, told) = desk.fails(&push);
    assert!(
        told.contains("`keeper@3.0.0`") && told.contains("it has keeper@1.0.0"),
        "{told}"
    );
}

/// What needs no server says that a server is needed.
#[test]
fn without_a_server_a_folder_of_sources_is_not_packed() {
    let desk = project();
    let ask = ["run", "mine", "--input", "{}"];
    for command in [&["pack", "mine"][..], &["check", "mine"], &ask] {
        let output = desk.run(command);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{command:?}");
        assert!(told.contains("the base `keeper` of a server"), "{told}");
    }
}

#[tokio::test]
async fn a_base_that_is_not_there_or_is_another_is_refused_with_a_code() {
    let desk = project();
    let host = TestHost::start().await;
    let admin = host.admin();
    let plain = TestBundle::new("keeper", "1.0.0", &component());
    let _ = admin.upload(plain.tar()).await.expect_status(201);
    let _ = admin.upload(base("2.0.0").tar()).await.expect_status(201);
    let packed = |version: &str, component: &[u8]| {
        let base = Base {
            id: format!("keeper@{version}").parse().unwrap(),
            component: Digest::of(component),
        };
        let packing = Packing {
            base: Some(&base),
            ..Packing::default()
        };
        let mut tar = Vec::new();
        pack_folder_with(&desk.path("mine"), &packing, &mut tar).unwrap();
        tar
    };
    for (version, component, code) in [
        ("9.0.0", component(), "base_unknown"),
        ("1.0.0", component(), "base_not_offered"),
        ("2.0.0", b"another".to_vec(), "base_differs"),
    ] {
        let answer = admin.upload(packed(version, &component)).await;
        assert_eq!((answer.status, answer.code()), (400, code.to_owned()));
    }
    assert_eq!(admin.get("/models/mine").await.status, 404);
    // A key that has other models learns nothing of this one.
    let other = host
        .key_for("models:write,models:read", Some(&["mine"]))
        .await;
    for version in ["1.0.0", "2.0.0"] {
        let answer = other.upload(packed(version, &component())).await;
        assert_eq!(
            (answer.status, answer.code()),
            (400, "base_unknown".to_owned())
        );
    }
    let tar = packed("2.0.0", &component());
    assert!(tar.len() < 8 << 10, "{} bytes", tar.len());
    let answer = admin.upload(tar).await.expect_status(201).json();
    assert_eq!(answer["base"], "keeper@2.0.0");
    assert_eq!(total(&host).await, Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_are_served_while_they_are_written() {
    let desk = project();
    let host = TestHost::start().await;
    let flags = at(&host);
    let dev = Dev::start_as_it_is(&desk, &with(&[], &flags));
    let admin = host.admin();
    let _ = admin.upload(base("1.0.0").tar()).await.expect_status(201);
    // Whether the first look came before the base or after it.
    desk.write("mine/model.py", "1234567");
    serves(&host, 7).await;
    desk.write("mine/helpers/words.py", "123");
    serves(&host, 10).await;
    // Tests are none of the model's.
    desk.write("mine/test_model.py", "12345");
    desk.write("mine/model.py", "1");
    serves(&host, 4).await;
    let printed = dev.end();
    assert!(printed.contains("none: it is built on keeper"), "{printed}");
}

#[test]
fn projects_of_bases_and_on_them_are_written_for_languages_that_have_some() {
    let desk = Desk::new();
    for language in ["python", "js"] {
        let name = format!("{language}-base");
        let (told, _) = desk.ok(&["new", &name, "--lang", language, "--base"]);
        assert!(told.contains(&format!("belljar push {name}")), "{told}");
        let on = format!("{name}@1.0.0");
        let mine = format!("{language}-mine");
        let (told, _) = desk.ok(&["new", &mine, "--lang", language, "--on", &on]);
        assert!(told.contains(&format!("belljar dev {mine}")), "{told}");
        assert!(!told.contains("build"), "{told}");
        let manifest = fs::read_to_string(desk.path(&format!("{mine}/model.toml"))).unwrap();
        assert!(manifest.contains(&format!("base = \"{on}\"")), "{manifest}");
        // No tool is looked for but the SDK's files.
        let (told, _) = desk.ok(&["doctor", &mine]);
        assert!(told.contains("none are needed"), "{told}");
    }
    for language in ["rust", "c"] {
        let output = desk.run(&["new", "other", "--lang", language, "--base"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains("bases of python and js alone"), "{told}");
        assert!(!desk.path("other").exists());
    }
    let both = desk.run(&["new", "other", "--lang", "js", "--base", "--on", "js-base"]);
    assert_eq!(both.status.code(), Some(2));
}
