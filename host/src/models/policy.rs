//! Where the host's policy and a manifest meet.

use belljar_bundle::{ByteSize, DurationText, RequestedLimits};
use belljar_sandbox::{Budget, LoadBudget};

use super::config::Policy;
use super::status::Limits;
use super::ModelError;

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
        Some(asked) if asked > allowed => {
            Err(ModelError::LimitTooHigh { limit, asked: print(asked), allowed: print(allowed) })
        }
        _ => Ok(()),
    }
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What one request of a model gets: of each cap the smaller of what is asked for and what is
/// allowed.
pub(super) fn limits(asked: &RequestedLimits, policy: &Policy) -> Limits {
    let Policy { budget, defaults, .. } = policy;
    let fuel = asked.fuel.map_or(defaults.fuel, |fuel| fuel.as_u64());
    let load_fuel = asked.load_fuel.map_or(defaults.load_fuel, |fuel| fuel.as_u64());
    let memory = asked.memory.map_or(defaults.memory_bytes, |size| size.as_u64());
    let output = asked.output.map_or(defaults.output_bytes, |size| size.as_u64());
    let deadline = asked.deadline.map_or(defaults.deadline, |time| time.as_duration());
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
        wall_time: limits.deadline,
        ..policy.budget.clone()
    };
    (budget, LoadBudget { fuel: limits.load_fuel, wall_time: policy.load_wall_time })
}
