//! The PROXY header: not a byte behind it is read, whatever it says.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "."]
mod http {
    #[path = "../../src/http/proxy_protocol.rs"]
    mod proxy_protocol;

    pub(crate) async fn read(stream: &mut &[u8]) -> Result<Option<std::net::IpAddr>, String> {
        let patience = super::Duration::from_secs(1);
        proxy_protocol::read(stream, patience)
            .await
            .map_err(|error| error.to_string())
    }
}

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
});

fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    let found = RUNTIME.block_on(http::read(&mut rest));
    let used = data.len() - rest.len();
    if found.is_ok() {
        let announced = usize::from(u16::from_be_bytes([data[14], data[15]]));
        assert_eq!(used, 16 + announced);
        // The same header and nothing behind it says the same.
        let mut alone = &data[..used];
        assert_eq!(RUNTIME.block_on(http::read(&mut alone)), found);
    }
});
