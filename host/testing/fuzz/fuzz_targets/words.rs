//! Faults, latencies and JSON paths as text: faults and paths that have been read are printed as
//! what reads the same, and a latency that has been read can be printed.
#![no_main]

use belljar_testing::distribution::Recorded;
use belljar_testing::fault::Fault;
use belljar_testing::json_path::JsonPath;
use belljar_testing::latency::{Latency, Profiles};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static PROFILES: LazyLock<Profiles> = LazyLock::new(Profiles::shipped);

fuzz_target!(|text: &str| {
    if let Ok(fault) = text.parse::<Fault>() {
        assert_eq!(fault.to_string().parse(), Ok(fault.clone()));
        assert!(!fault.kind().is_empty() || text.trim_start().starts_with(';'));
    }
    if let Ok(Some(latency)) = Latency::read(text, &PROFILES, &Recorded::default()) {
        assert!(!latency.to_string().is_empty());
    }
    if let Ok(path) = text.parse::<JsonPath>() {
        assert_eq!(path.to_string().parse().ok(), Some(path));
    }
});
