//! Faults, latencies and JSON paths as text: what has been read is printed as what reads the same.
#![no_main]

use belljar_testing::fault::Fault;
use belljar_testing::json_path::JsonPath;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(fault) = text.parse::<Fault>() {
        assert_eq!(fault.to_string().parse(), Ok(fault.clone()));
        assert!(!fault.kind().is_empty() || text.trim_start().starts_with(';'));
    }
    if let Ok(path) = text.parse::<JsonPath>() {
        assert_eq!(path.to_string().parse().ok(), Some(path));
    }
});
