//! Text as a manifest: nothing may panic, and what is read has one canonical form.
#![no_main]

use belljar_bundle::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    match Manifest::parse_bytes(data) {
        Ok(manifest) => {
            let canonical = manifest.to_canonical();
            let again = Manifest::parse(&canonical).expect("the canonical form is a manifest");
            assert_eq!(again, manifest);
            assert_eq!(again.to_canonical(), canonical);
        }
        Err(error) => {
            assert!(!error.is_host_fault());
            assert!(error.to_string().len() < 4096);
        }
    }
});
