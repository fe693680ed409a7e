//! Raw bytes as an upload. Nothing may panic, no failure may be ours, and what is taken must
//! survive a commit and be found whole.
#![no_main]

use std::sync::LazyLock;

use belljar_bundle::{ArchiveLimits, SignaturePolicy, Store};
use libfuzzer_sys::fuzz_target;

static STORE: LazyLock<Store> = LazyLock::new(|| Store::temporary().expect("a temporary store"));

fuzz_target!(|data: &[u8]| {
    match STORE.unpack(
        data,
        &ArchiveLimits::for_testing(),
        &SignaturePolicy::default(),
    ) {
        Ok(checked) => {
            let digest = checked.digest();
            let stored = checked.commit().expect("a checked bundle commits");
            stored.verify().expect("a committed bundle is whole");
            assert_eq!(
                STORE
                    .open_bundle(&digest)
                    .expect("it is visible")
                    .manifest(),
                stored.manifest()
            );
        }
        Err(error) => assert!(!error.is_host_fault(), "{error}"),
    }
});
