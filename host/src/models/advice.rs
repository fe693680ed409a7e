//! What the author of a model can write into its manifest, where its `load` had too little.

use belljar_bundle::{ByteSize, Fuel};
use belljar_sandbox::{Cap, CapHit, CompileError, CompileJob};

use super::config::Policy;

/// What a guest needs beside its assets, before anybody has measured it.
const COMPONENT_OWN_BYTES: u64 = 32 << 20;
/// Memory is advised in steps of this many bytes, so that nobody copies a number of nine digits.
const MEMORY_STEP_BYTES: u64 = 16 << 20;

/// What is said behind a failure of `load` that a larger limit would have spared it; nothing where
/// no limit of the manifest would.
pub(super) fn advice(error: &CompileError, job: &CompileJob, policy: &Policy) -> Option<String> {
    let CompileError::Cap(CapHit { cap, limit, used }) = error else {
        return None;
    };
    let (key, setting, has, most, value) = match cap {
        Cap::Memory => {
            let bytes = memory_advised(*used, job);
            let most = policy.budget.memory_bytes_max;
            let value = format!("\"{}\"", ByteSize::bytes(bytes.min(most)));
            ("memory", "policy.memory_max", *limit, most, value)
        }
        // Nobody knows how far it had come.
        Cap::Fuel => {
            let most = policy.load_fuel;
            let value = Fuel(limit.saturating_mul(2).min(most)).to_string();
            ("load_fuel", "policy.load_fuel_max", *limit, most, value)
        }
        _ => return None,
    };
    // Nobody can tell the two apart.
    let loops = match cap {
        Cap::Fuel => "; a loop without end would use that up as well",
        _ => "",
    };
    Some(if has < most {
        format!("; try `limits.{key} = {value}`{loops}")
    } else {
        format!("; it has all that this server allows (`{setting}`){loops}")
    })
}

/// Room for what was asked for last, for all assets at once and for the component itself, and a
/// quarter more for what comes after.
fn memory_advised(asked: u64, job: &CompileJob) -> u64 {
    let assets = job.assets.iter().map(|asset| asset.size);
    let assets = assets.fold(COMPONENT_OWN_BYTES, u64::saturating_add);
    let needed = asked.max(assets);
    needed
        .saturating_add(needed / 4)
        .checked_next_multiple_of(MEMORY_STEP_BYTES)
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use belljar_sandbox::{AssetFile, Budget, LoadBudget};

    use super::*;

    fn told(cap: Cap, limit: u64, used: u64) -> Option<String> {
        let job = CompileJob {
            content: [0; 32],
            component: PathBuf::new(),
            assets: vec![AssetFile {
                name: "w".to_owned(),
                path: PathBuf::new(),
                size: 100 << 20,
            }],
            load: LoadBudget::default(),
            budget: Budget::default(),
            base: None,
        };
        let error = CompileError::Cap(CapHit { cap, limit, used });
        advice(&error, &job, &Policy::default())
    }

    #[test]
    fn a_value_is_advised_that_the_policy_allows() {
        let memory = |limit, used| told(Cap::Memory, limit, used).unwrap_or_default();
        // A quarter more than the asset and the component have, in steps of 16 MiB.
        assert_eq!(
            memory(64 << 20, 70 << 20),
            "; try `limits.memory = \"176 MiB\"`"
        );
        assert_eq!(
            memory(256 << 20, 512 << 20),
            "; try `limits.memory = \"640 MiB\"`"
        );
        assert_eq!(
            memory(256 << 20, 2 << 30),
            "; try `limits.memory = \"1 GiB\"`"
        );
        assert_eq!(
            memory(1 << 30, 2 << 30),
            "; it has all that this server allows (`policy.memory_max`)"
        );
        let fuel = |limit| told(Cap::Fuel, limit, limit).unwrap_or_default();
        assert_eq!(
            fuel(5_000),
            "; try `limits.load_fuel = 10000`; a loop without end would use that up as well"
        );
        assert!(fuel(Policy::default().load_fuel).contains("`policy.load_fuel_max`"));
        assert_eq!(told(Cap::Stack, 1, 1), None);
    }
}
