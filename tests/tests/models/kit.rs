//! A server with a tiny model, and where known models are kept.

use std::path::PathBuf;
use std::sync::{LazyLock, mpsc};

use belljar::embedded::Runtime;
use belljar_tests::{Client, TestBundle, TestHost};
use serde_json::{Value, json};

use crate::made::{self, Kind, Spec};

/// The limits of a model of a few hundred megabytes.
pub(crate) const LIMITS: &str = "memory = \"256 MiB\"\nfuel = 200_000_000_000\n\
                                 load_fuel = 50_000_000_000\ndeadline = \"300 s\"";

/// A server with a model `tiny`, for all tests: compiling the runtime takes longer than they do.
pub(crate) static SHARED: LazyLock<Shared> = LazyLock::new(Shared::start);

pub(crate) struct Shared {
    server: TestHost,
}

impl Shared {
    fn start() -> Self {
        let (sender, receiver) = mpsc::channel();
        // On a runtime of its own: each test's runtime ends with that test.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let settings = [
                    ("exempt_networks", "127.0.0.0/8"),
                    ("policy.deadline_max", "5 min"),
                ];
                let server = TestHost::start_with(&settings).await;
                let file = made::tiny(&Spec {
                    kind: Kind::Q8_0,
                    ..Spec::default()
                });
                let bundle = bundle("tiny", &file.bytes());
                let _ = server.admin().upload(bundle.tar()).await.expect_status(201);
                sender.send(Self { server }).unwrap();
                std::future::pending::<()>().await;
            });
        });
        receiver.recv().unwrap()
    }

    pub(crate) fn anonymous(&self) -> Client {
        self.server.anonymous()
    }

    pub(crate) async fn key(&self, scopes: &str) -> Client {
        self.server.key(scopes).await
    }

    pub(crate) fn admin(&self) -> Client {
        self.server.admin()
    }
}

/// A bundle of the runtime and a file.
pub(crate) fn bundle(name: &str, file: &[u8]) -> TestBundle {
    let runtime = Runtime::of("gguf").unwrap().component().unwrap();
    TestBundle::new(name, "1.0.0", &runtime)
        .with_asset("model.gguf", file)
        .with_limits(LIMITS)
}

/// A chat request to `tiny` with more members.
pub(crate) fn chat(more: &Value) -> Value {
    let mut body = json!({
        "model": "tiny",
        "max_tokens": 24,
        "messages": [{"role": "user", "content": "the thing in the jar"}],
    });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

/// The first choice of an answer to a chat request.
pub(crate) async fn choice(client: &Client, more: &Value) -> Value {
    let answer = client.post("/v1/chat/completions", &chat(more)).await;
    answer.expect_status(200).json()["choices"][0].clone()
}

/// A file of what other programs have computed: from the folder `BELLJAR_REFERENCE`.
pub(crate) fn reference(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("BELLJAR_REFERENCE")?).join(name);
    path.is_file().then_some(path)
}
