//! Kills while use is being counted: what was shown is there, and never more than was made.

use std::time::Duration;

use belljar_tests::{Client, ServerProcess, warm_up};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

/// How often the server is killed.
const KILLS: u32 = 25;
/// Callers with a key each.
const CALLERS: usize = 3;
/// The longest life of a server, from ready to SIGKILL.
const LIFE_MAX: Duration = Duration::from_millis(150);

/// What is known of one key.
#[derive(Clone, Debug, Default)]
struct Counted {
    id: String,
    secret: String,
    /// Requests that were sent, answered or not.
    sent: u64,
    /// Requests that were answered.
    answered: u64,
    /// The row that was last shown.
    shown: Option<Value>,
}

/// The sums of a key by the ledger.
async fn row(admin: &Client, id: &str) -> Option<Value> {
    let path = format!("/admin/usage?by=key&from=2000-01-01&key={id}");
    let answer = admin.try_get(&path).await?.expect_status(200);
    Some(answer.json()["data"][0].clone())
}

fn requests(row: &Value) -> u64 {
    row["requests"].as_u64().unwrap_or(0)
}

impl Counted {
    /// Works until the server is gone, and looks at the ledger now and then.
    async fn live(mut self, client: Client, admin: Client, mut random: StdRng) -> Self {
        let caller = client.with_key(&self.secret);
        let body = json!({"model":"echo","inputs":{"x":[1]}});
        loop {
            self.sent += 1;
            let request = caller.request(reqwest::Method::POST, "/infer").json(&body);
            let Some(answer) = caller.send(request).await else {
                return self;
            };
            let _ = answer.expect_status(200);
            self.answered += 1;
            if random.random_bool(0.2) {
                match row(&admin, &self.id).await {
                    Some(row) => {
                        // This life's, and all of the lives before.
                        assert!(requests(&row) <= self.sent, "{row}: {self:?}");
                        self.shown = Some(row);
                    }
                    None => return self,
                }
            }
        }
    }

    /// After a kill: no less than was shown, no more than was sent.
    async fn verify(&mut self, admin: &Client) {
        let row = row(admin, &self.id).await.expect("the server answers");
        assert!(requests(&row) <= self.sent, "{row}: {self:?}");
        let fuel = |row: &Value| row["fuel"].as_u64().unwrap_or(0);
        if let Some(shown) = &self.shown {
            assert!(requests(&row) >= requests(shown), "{row}: {self:?}");
            assert!(fuel(&row) >= fuel(shown), "{row}: {self:?}");
        }
        // What is shown now is what counts from here on.
        self.sent = requests(&row);
        self.shown = Some(row);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn use_that_was_shown_survives_kills_and_none_is_counted_twice() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    warm_up(&data).await;
    let mut random = StdRng::seed_from_u64(rand::random());
    let mut keys: Vec<Counted> = Vec::new();
    let (mut answered, mut kept) = (0, 0);
    for life in 0..=KILLS {
        let server = ServerProcess::start(&data).await;
        let admin = server.admin();
        for key in &mut keys {
            key.verify(&admin).await;
        }
        kept = keys.iter().map(|key| key.sent).sum();
        while keys.len() < CALLERS {
            let body = json!({"name":"counted","scopes":["infer"]});
            let made = admin
                .post("/admin/keys", &body)
                .await
                .expect_status(201)
                .json();
            let text = |field: &str| made[field].as_str().unwrap().to_owned();
            keys.push(Counted {
                id: text("id"),
                secret: text("key"),
                ..Counted::default()
            });
        }
        if life == KILLS {
            assert!(server.terminate().await.success());
            break;
        }
        let lives: Vec<_> = keys
            .drain(..)
            .map(|key| {
                let random = StdRng::seed_from_u64(random.random());
                tokio::spawn(key.live(server.anonymous(), admin.clone(), random))
            })
            .collect();
        tokio::time::sleep(LIFE_MAX.mul_f64(random.random_range(0.0..1.0))).await;
        server.kill();
        for life in lives {
            keys.push(life.await.unwrap());
        }
        answered = keys.iter().map(|key| key.answered).sum();
    }
    println!("{KILLS} kills: {answered} requests answered, {kept} kept");
    assert!(kept > u64::from(KILLS) && kept <= answered + u64::from(KILLS) * 3);
}
