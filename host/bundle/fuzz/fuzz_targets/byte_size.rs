//! Text as an amount, a name, a digest or a path: nothing may panic, and what is read survives
//! being written.
#![no_main]

use belljar_bundle::{AssetName, ByteSize, Digest, DurationText, Fuel, ModelId};
use libfuzzer_sys::fuzz_target;

fn survives<T: std::str::FromStr + ToString + PartialEq>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert!(
            value
                .to_string()
                .parse::<T>()
                .is_ok_and(|again| again == value),
            "{text:?}"
        );
    }
}

fuzz_target!(|text: &str| {
    survives::<ByteSize>(text);
    survives::<DurationText>(text);
    survives::<Fuel>(text);
    survives::<Digest>(text);
    survives::<ModelId>(text);
    survives::<AssetName>(text);
});
