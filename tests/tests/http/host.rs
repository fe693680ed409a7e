//! The servers that the tests of this program share.

use belljar_tests::{Client, TestBundle, TestHost};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, mpsc};
use std::time::Duration;
use tokio::runtime::Handle;

/// How long a test waits for bytes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A server that lives as long as this process.
pub(crate) struct Host {
    server: TestHost,
    runtime: Handle,
}

/// The server that most tests share: no keys required, with `fake` and `echo`.
pub(crate) static SHARED: LazyLock<Host> = LazyLock::new(|| Host::start(&[]));

/// A server that wants a key for everything.
pub(crate) static LOCKED: LazyLock<Host> =
    LazyLock::new(|| Host::start(&[("require_api_key", "true")]));

impl Host {
    pub(crate) fn start(settings: &'static [(&'static str, &'static str)]) -> Self {
        let (sender, receiver) = mpsc::channel();
        // On a runtime of its own: each test's runtime ends with that test.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                // Tests that break the rules share an address with all others.
                let spared = [("exempt_networks", "127.0.0.0/8")];
                let settings = [settings, &spared].concat();
                let server = TestHost::start_with(&settings).await;
                let runtime = Handle::current();
                sender.send(Self { server, runtime }).unwrap();
                std::future::pending::<()>().await;
            });
        });
        receiver.recv().unwrap()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub(crate) fn anonymous(&self) -> Client {
        self.server.anonymous()
    }

    pub(crate) fn admin(&self) -> Client {
        self.server.admin()
    }

    /// A caller with a key for these scopes, and for these models if any are named.
    pub(crate) async fn key(
        &'static self,
        scopes: &'static str,
        models: &'static [&'static str],
    ) -> Client {
        let models = (!models.is_empty()).then_some(models);
        // The database belongs to the server's runtime.
        let key = self.runtime.spawn(self.server.key_for(scopes, models));
        key.await.unwrap()
    }

    /// Uploads a hostile guest under a name of its own and gives that name.
    pub(crate) async fn guest(&self, guest: &str, limits: &str) -> String {
        let name = format!("{}-{}", guest.replace('_', "-"), serial());
        let component = belljar_test_guests::bytes(guest);
        let mut bundle = TestBundle::new(&name, "1.0.0", &component);
        if !limits.is_empty() {
            bundle = bundle.with_limits(limits);
        }
        let _ = self.admin().upload(bundle.tar()).await.expect_status(201);
        name
    }
}

/// A number that no other test has.
pub(crate) fn serial() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
