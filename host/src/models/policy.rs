//! Where the host's policy and a manifest meet.

use belljar_bundle::{ByteSize, DurationText, RequestedLimits};
use belljar_sandbox::{Budget, LoadBudget};

use super::ModelError;
use super::config::Policy;
use super::status::Limits;

/// Refuses a manifest that asks for more than the policy allows. Silently giving it less would
/// let a model be uploaded that fails later, at a request, where its author does not look.
pub(super) fn admit(asked: &RequestedLimits, policy: &Policy) -> Result<(), ModelError> {
    let number = |value: u64| value.to_string();
    let bytes = |value: u64| ByteSize::bytes(value).to_string();
    let time = |value: u64| DurationText::from_millis(value).to_string();
    let budget = &policy.budget;
    let fuel = asked.fuel.map(|fuel| fuel.as_u64());
    let load_fuel = asked.load_fuel.map(|fuel| fuel.as_u64());
    let memory = asked.memory.map(|size| size.as_u64());
    let output = asked.output.map(|size| size.as_u64());
    let deadline = asked.deadline.map(|time| millis(time.as_duration()));
    at_most("fuel", fuel, budget.fuel, number)?;
    at_most("load_fuel", load_fuel, policy.load_fuel, number)?;
    at_most("memory", memory, budget.memory_bytes_max, bytes)?;
    at_most("output", output, budget.output_bytes_max, bytes)?;
    at_most("deadline", deadline, millis(budget.wall_time), time)
}

fn at_most(
    limit: &'static str,
    asked: Option<u64>,
    allowed: u64,
    print: impl Fn(u64) -> String,
) -> Result<(), ModelError> {
    match asked {
        Some(asked) if asked > allowed => Err(ModelError::LimitTooHigh {
            limit,
            asked: print(asked),
            allowed: print(allowed),
        }),
        _ => Ok(()),
    }
}

/// Bytes that the names, shapes and lengths around an answer's data may take.
const CROSSING_FRAME_BYTES: usize = 1 << 20;

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The limits of one request of a model: of each cap the smaller of what is asked for and what is
/// allowed.
pub(super) fn limits(asked: &RequestedLimits, policy: &Policy) -> Limits {
    let Policy {
        budget, defaults, ..
    } = policy;
    let fuel = asked.fuel.map_or(defaults.fuel, |fuel| fuel.as_u64());
    let load_fuel = asked
        .load_fuel
        .map_or(defaults.load_fuel, |fuel| fuel.as_u64());
    let memory = asked
        .memory
        .map_or(defaults.memory_bytes, |size| size.as_u64());
    let output = asked
        .output
        .map_or(defaults.output_bytes, |size| size.as_u64());
    let deadline = asked
        .deadline
        .map_or(defaults.deadline, |time| time.as_duration());
    Limits {
        fuel: fuel.min(budget.fuel),
        load_fuel: load_fuel.min(policy.load_fuel),
        memory_bytes: memory.min(budget.memory_bytes_max),
        output_bytes: output.min(budget.output_bytes_max),
        deadline: deadline.min(budget.wall_time),
    }
}

/// The sandbox's side of [`limits`].
pub(super) fn budgets(limits: &Limits, policy: &Policy) -> (Budget, LoadBudget) {
    let budget = Budget {
        fuel: limits.fuel,
        memory_bytes_max: limits.memory_bytes,
        output_bytes_max: limits.output_bytes,
        // An answer crosses in one piece: a crossing that is allowed less than the answer would
        // make the cap on the answer a lie.
        hostcall_bytes_max: usize::try_from(limits.output_bytes)
            .unwrap_or(usize::MAX)
            .saturating_add(CROSSING_FRAME_BYTES)
            .max(policy.budget.hostcall_bytes_max),
        wall_time: limits.deadline,
        ..policy.budget
    };
    (
        budget,
        LoadBudget {
            fuel: limits.load_fuel,
            wall_time: policy.load_wall_time,
        },
    )
}

impl Policy {
    /// The budget of a run that may have all there is.
    #[must_use]
    pub fn whole(&self) -> Budget {
        let limits = Limits {
            fuel: self.budget.fuel,
            load_fuel: self.load_fuel,
            memory_bytes: self.budget.memory_bytes_max,
            output_bytes: self.budget.output_bytes_max,
            deadline: self.budget.wall_time,
        };
        budgets(&limits, self).0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::time::Duration;

    use belljar_bundle::Fuel;

    use super::*;

    fn policy() -> Policy {
        let mut policy = Policy::default();
        policy.budget.fuel = 100;
        policy.budget.memory_bytes_max = 2 << 20;
        policy.budget.output_bytes_max = 3 << 20;
        policy.budget.wall_time = Duration::from_millis(1_500);
        policy.load_fuel = 200;
        policy
    }

    fn refusal(change: impl FnOnce(&mut RequestedLimits)) -> String {
        let mut asked = RequestedLimits::default();
        change(&mut asked);
        admit(&asked, &policy()).unwrap_err().to_string()
    }

    #[test]
    fn exactly_the_policy_is_admitted_and_one_more_refused_with_both_numbers() {
        let exact = RequestedLimits {
            fuel: Some(Fuel(100)),
            load_fuel: Some(Fuel(200)),
            memory: Some(ByteSize::mib(2)),
            output: Some(ByteSize::mib(3)),
            deadline: Some(DurationText::from_millis(1_500)),
        };
        admit(&exact, &policy()).unwrap();
        admit(&RequestedLimits::default(), &policy()).unwrap();
        for (message, expected) in [
            (
                refusal(|asked| asked.fuel = Some(Fuel(101))),
                ["101 ", "`limits.fuel`", " 100"],
            ),
            (
                refusal(|asked| asked.load_fuel = Some(Fuel(201))),
                ["201 ", "`limits.load_fuel`", " 200"],
            ),
            (
                refusal(|asked| asked.memory = Some(ByteSize::mib(3))),
                ["3 MiB", "`limits.memory`", "2 MiB"],
            ),
            (
                refusal(|asked| asked.output = Some(ByteSize::bytes((3 << 20) + 1))),
                ["3145729 B", "`limits.output`", "3 MiB"],
            ),
            (
                refusal(|asked| asked.deadline = Some(DurationText::from_millis(1_501))),
                ["1501 ms", "`limits.deadline`", "1500 ms"],
            ),
        ] {
            for piece in expected {
                assert!(message.contains(piece), "{message} lacks {piece}");
            }
        }
    }

    #[test]
    fn a_budget_is_the_smaller_of_the_two() {
        let silent = limits(&RequestedLimits::default(), &policy());
        assert_eq!(
            (silent.fuel, silent.load_fuel, silent.memory_bytes),
            (100, 200, 2 << 20)
        );
        assert_eq!(silent.deadline, Duration::from_millis(1_500));
        let modest = RequestedLimits {
            fuel: Some(Fuel(5)),
            ..RequestedLimits::default()
        };
        assert_eq!(limits(&modest, &policy()).fuel, 5);
        // Accepted under a policy that has become tighter since.
        let greedy = RequestedLimits {
            fuel: Some(Fuel(u64::MAX)),
            ..RequestedLimits::default()
        };
        let (budget, load) = budgets(&limits(&greedy, &policy()), &policy());
        assert_eq!((budget.fuel, load.fuel), (100, 200));
        assert_eq!(budget.memories_max, policy().budget.memories_max);
    }
}
