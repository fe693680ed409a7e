//! What would let a run pass that has hit a limit: the same request once more, with all that the
//! settings allow.

use belljar_bundle::{ByteSize, Fuel};
use belljar_sandbox::RunCost;

use crate::asking::{AskError, Asked, Call, Manner};
use crate::cli::ephemeral_server::EphemeralServer;
use crate::cli::trial;
use crate::inference::AskedOrigin;
use crate::models::{Limits, VersionStatus};

/// The codes of failures that a larger limit in a manifest can spare a run.
const CODES: [&str; 4] = [
    "fuel_exhausted",
    "memory_exceeded",
    "deadline_exceeded",
    "output_too_large",
];

/// What to write into the manifest, or that nothing would help; none where the failure was another.
pub(super) async fn advice(
    server: &EphemeralServer,
    status: &VersionStatus,
    call: Call,
    origin: AskedOrigin,
    failure: &AskError,
) -> Option<String> {
    let AskError::Refused(refused) = failure else {
        return None;
    };
    let code = refused.code;
    if !CODES.contains(&code) {
        return None;
    }
    let limits = status.limits.clone()?;
    let manner = Manner {
        origin,
        budget: Some(server.policy().whole()),
        ..Manner::default()
    };
    let asker = server.app().asker();
    let Asked { outcome, cost, .. } = asker.ask(call, manner, &mut |_| Ok(())).await;
    Some(match (outcome, cost) {
        (Ok(()), Some(cost)) => {
            let changes = changes(&limits, &cost);
            format!("it passes with {} in model.toml", changes.join(" and "))
        }
        (Err(error), _) => format!(
            "with all that the settings allow (`policy.*`) it fails as well: {error}{}",
            if code == "memory_exceeded" {
                ""
            } else {
                "; a loop without end would do that"
            }
        ),
        (Ok(()), None) => return None,
    })
}

/// The smallest limits that a run of this cost passes with, of those that it does not pass with now.
fn changes(limits: &Limits, cost: &RunCost) -> Vec<String> {
    let mut changes = Vec::new();
    if cost.fuel > limits.fuel {
        let fuel = Fuel(trial::rounded(cost.fuel as f64));
        changes.push(format!("`limits.fuel = {fuel}`"));
    }
    if cost.memory_bytes > limits.memory_bytes {
        let bytes = ByteSize::bytes(cost.memory_bytes.next_multiple_of(1 << 20));
        changes.push(format!("`limits.memory = \"{bytes}\"`"));
    }
    if cost.output_bytes > limits.output_bytes {
        let bytes = ByteSize::bytes(cost.output_bytes.next_multiple_of(1 << 20));
        changes.push(format!("`limits.output = \"{bytes}\"`"));
    }
    // The other limits do not depend on how busy the machine is.
    if cost.wall > limits.deadline || changes.is_empty() {
        let time = trial::deadline(cost.wall.max(limits.deadline + limits.deadline));
        changes.push(format!("`limits.deadline = \"{} s\"`", time.as_secs()));
    }
    changes
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limits() -> Limits {
        Limits {
            fuel: 1_000,
            load_fuel: 1,
            memory_bytes: 1 << 20,
            output_bytes: 1 << 20,
            deadline: Duration::from_secs(1),
        }
    }

    fn cost() -> RunCost {
        RunCost {
            fuel: 1_000,
            memory_bytes: 1 << 20,
            output_bytes: 1 << 20,
            wall: Duration::from_millis(3),
        }
    }

    #[test]
    fn only_what_is_too_small_is_changed_and_to_what_is_needed() {
        let fuel = RunCost {
            fuel: 123_456,
            ..cost()
        };
        assert_eq!(changes(&limits(), &fuel), ["`limits.fuel = 124000`"]);
        let both = RunCost {
            memory_bytes: (5 << 20) + 1,
            output_bytes: 3 << 20,
            ..cost()
        };
        assert_eq!(
            changes(&limits(), &both),
            ["`limits.memory = \"6 MiB\"`", "`limits.output = \"3 MiB\"`"]
        );
        // What is left is the time.
        assert_eq!(
            changes(&limits(), &cost()),
            ["`limits.deadline = \"10 s\"`"]
        );
    }
}
