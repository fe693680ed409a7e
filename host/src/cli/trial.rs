//! The limits of a bundle of weights, by a trial: `load` and a few requests in a sandbox that
//! allows all that the settings do, and named margins on what those took.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use belljar_bundle::{ByteSize, DurationText, Fuel, RequestedLimits};
use belljar_sandbox::tensor::datatype_name;
use belljar_sandbox::wit::tensors::{Datatype, TensorInfo};
use belljar_sandbox::{Capability, RunCost};
use serde_json::{Value, json};

use super::ephemeral_server::EphemeralServer;
use super::output;
use super::weights::{Context, WeightsBundle};
use crate::asking::{Asked, Call, Manner};
use crate::auth::Caller;
use crate::models::{Policy, VersionStatus};

/// What `load` may take more than it took: it is the same each time, but for another version of
/// the engine.
const LOAD_FUEL_MARGIN: f64 = 2.0;
/// What a request may take more fuel than was measured.
const FUEL_MARGIN: f64 = 1.25;
/// Fuel that a form of the answer, tools and penalties may cost with each token besides.
const FORM_FUEL: f64 = 10e6;
/// What a request may take longer than on this machine while it does nothing else.
const TIME_MARGIN: f64 = 4.0;
/// Memory above what was measured, in bytes, for forms of answers and long prompts.
const MEMORY_MARGIN_BYTES: u64 = 16 << 20;
/// What a page of the cache may be larger than its numbers: an eighth.
const CACHE_MARGIN_DIVISOR: u64 = 8;
/// Tokens that a cache grows by.
const CACHE_PAGE_TOKENS: u64 = 64;
/// Inputs that a request may have at once, where each costs the same.
const BATCH: u32 = 32;
/// The deadlines that are written, in seconds: few, because no two trials take the same time, and
/// the same weights should make the same bundle.
const DEADLINES_S: [u64; 7] = [10, 30, 60, 120, 300, 900, 3600];
/// The least output.
const OUTPUT_BYTES_MIN: u64 = 4 << 20;
/// Elements of a tensor that is made for a trial.
const ELEMENTS_MAX: u64 = 1 << 22;
/// Tokens of the answers that are measured: three of them give a curve, because attention looks at
/// more with each token.
const ANSWER_TOKENS: [u64; 3] = [4, 20, 36];
/// Words of a text for models that make vectors or judge: more than those that can be tried see.
const LONG_TEXT_WORDS: usize = 600;

/// What a request needs.
#[derive(Clone, Copy, Debug, Default)]
struct Need {
    fuel: f64,
    memory_bytes: u64,
    time: Duration,
    output_bytes: u64,
}

impl Need {
    fn or_more(self, other: Self) -> Self {
        Self {
            fuel: self.fuel.max(other.fuel),
            memory_bytes: self.memory_bytes.max(other.memory_bytes),
            time: self.time.max(other.time),
            output_bytes: self.output_bytes.max(other.output_bytes),
        }
    }
}

/// Finds the limits. A context that the settings of this machine do not allow is made shorter,
/// which is noted in the bundle.
///
/// # Errors
///
/// When the runtime refuses the weights, and when the first request fails.
pub(super) async fn limits(
    server: &EphemeralServer,
    bundle: &mut WeightsBundle,
) -> Result<RequestedLimits> {
    let policy = server.policy();
    let status = server.admit_parts(&bundle.untried(policy)?).await?;
    let spinner = output::spinner();
    spinner.set_message("measuring");
    let need = measured(server, &status, bundle).await;
    spinner.finish_and_clear();
    let need = need?;

    let live = server
        .app()
        .registry()
        .ready(&status.id.to_string(), &Caller::anonymous())?;
    let load = live.inspection.load.unwrap_or_default();
    let mut capped = Capped {
        notes: &mut bundle.notes,
    };
    Ok(RequestedLimits {
        memory: Some(ByteSize::bytes(
            capped.within(
                "memory",
                "policy.memory_max",
                need.memory_bytes
                    .max(load.memory_bytes)
                    .next_multiple_of(1 << 20),
                policy.budget.memory_bytes_max,
            ),
        )),
        fuel: Some(Fuel(capped.within(
            "fuel",
            "policy.fuel_max",
            rounded(need.fuel),
            policy.budget.fuel,
        ))),
        load_fuel: Some(Fuel(
            rounded(load.fuel as f64 * LOAD_FUEL_MARGIN).clamp(1, policy.load_fuel),
        )),
        deadline: Some(DurationText::from(
            deadline(need.time).min(policy.budget.wall_time),
        )),
        output: Some(ByteSize::bytes(
            need.output_bytes
                .max(OUTPUT_BYTES_MIN)
                .next_multiple_of(1 << 20)
                .min(policy.budget.output_bytes_max),
        )),
    })
}

/// Values that the policy of this machine bounds, and what is said where it does.
struct Capped<'a> {
    notes: &'a mut Vec<String>,
}

impl Capped<'_> {
    fn within(&mut self, what: &str, setting: &str, need: u64, most: u64) -> u64 {
        if need > most {
            self.notes.push(format!(
                "the largest requests need more {what} than `{setting}` allows ({need}, and not \
                 {most}): they will be ended"
            ));
        }
        need.min(most)
    }
}

/// What the largest request needs, over all that the model can do.
async fn measured(
    server: &EphemeralServer,
    status: &VersionStatus,
    bundle: &mut WeightsBundle,
) -> Result<Need> {
    let can = status.capabilities.unwrap_or_default();
    let model = status.id.to_string();
    let mut need: Option<Need> = None;
    let mut add = |more: Need| need = Some(need.unwrap_or_default().or_more(more));
    if can.has(Capability::Text) {
        add(text(server, &model, bundle).await?);
    }
    let long = "The bell is in the jar. ".repeat(LONG_TEXT_WORDS / 6);
    if can.has(Capability::Embeddings) {
        let call = |input: &str| Call::Embeddings(json!({"model": model, "input": input}));
        add(long_or_short(server, &long, call).await?);
    }
    if can.has(Capability::Moderation) {
        let call = |input: &str| Call::Moderation(json!({"model": model, "input": input}));
        add(long_or_short(server, &long, call).await?);
    }
    if can.has(Capability::Ranking) {
        let call = |text: &str| {
            Call::Rerank(json!({"model": model, "query": "a bell", "documents": [text]}))
        };
        add(long_or_short(server, &long, call).await?);
    }
    if can.has(Capability::Tensors) {
        add(match tensors(server, &model).await {
            Ok(need) => need,
            // Zeros are no input that every model can take.
            Err(error) => {
                let note = format!("it gets all that the settings allow, unmeasured: {error:#}");
                bundle.notes.push(note);
                all_of(server.policy())
            }
        });
    }
    need.with_context(|| format!("{model} can do nothing that a trial could ask for"))
}

/// All that a policy allows.
fn all_of(policy: &Policy) -> Need {
    Need {
        fuel: policy.budget.fuel as f64,
        memory_bytes: policy.budget.memory_bytes_max,
        time: policy.budget.wall_time,
        output_bytes: policy.budget.output_bytes_max,
    }
}

/// The cost of a request that has to succeed.
async fn cost(server: &EphemeralServer, call: Call) -> Result<RunCost> {
    let asker = server.app().asker();
    let asked = asker.ask(call, Manner::default(), &mut |_| Ok(())).await;
    let Asked { outcome, cost, .. } = asked;
    outcome.context("the trial request failed")?;
    cost.context("the trial request ran nothing")
}

/// What a text takes, by answers of three lengths.
async fn text(server: &EphemeralServer, model: &str, bundle: &mut WeightsBundle) -> Result<Need> {
    let Some(context) = bundle.context else {
        bail!("the weights do not say how many tokens the model sees");
    };
    let mut points = Vec::new();
    for tokens in ANSWER_TOKENS {
        let body = json!({
            "model": model, "prompt": "Hello", "max_tokens": tokens, "temperature": 0,
            "ignore_eos": true, "stream": true,
        });
        let asker = server.app().asker();
        let call = Call::Completion(body);
        let asked = asker.ask(call, Manner::default(), &mut |_| Ok(())).await;
        asked.outcome.context("the trial request failed")?;
        let (Some(cost), Some(text)) = (asked.cost, asked.text) else {
            bail!("the trial request ran nothing");
        };
        let tokens = text.usage.prompt_tokens + text.usage.completion_tokens;
        points.push((tokens, cost));
    }
    let Some(curve) = Curve::through(&points) else {
        bail!("the model ends each answer before it has {ANSWER_TOKENS:?} tokens");
    };
    converse(server, model, bundle).await;

    let policy = server.policy();
    let fits = |tokens: u64| {
        let need = curve.need(Context { tokens, ..context });
        need.fuel <= policy.budget.fuel as f64
            && need.memory_bytes <= policy.budget.memory_bytes_max
    };
    if !fits(context.tokens) {
        let tokens = largest(context.tokens, fits);
        if tokens == 0 {
            bail!(
                "a request of one token needs more than `policy.memory_max` or `policy.fuel_max` \
                 allows: `--set policy.memory_max=…` moves it for this trial, and the server needs \
                 the same"
            );
        }
        bundle.notes.push(format!(
            "a request may have {tokens} tokens: {} would take more than `policy.memory_max` or \
             `policy.fuel_max` allows",
            context.tokens
        ));
        bundle.context = Some(Context { tokens, ..context });
    }
    Ok(curve.need(bundle.context.unwrap_or(context)))
}

/// Whether the model holds a conversation, which a template that cannot be written keeps it from.
async fn converse(server: &EphemeralServer, model: &str, bundle: &mut WeightsBundle) {
    let messages = json!([{"role": "user", "content": "Hello"}]);
    let body = json!({"model": model, "messages": messages, "max_tokens": 4});
    let asker = server.app().asker();
    let call = Call::Chat(body);
    let asked = asker.ask(call, Manner::default(), &mut |_| Ok(())).await;
    if let Err(error) = asked.outcome {
        bundle.notes.push(format!(
            "it continues texts, and answers no messages: {error}"
        ));
    }
}

/// The largest number up to `most` for which something holds that holds for all smaller ones; 0
/// where it holds for none.
fn largest(most: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, most);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if holds(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}

/// What requests take by their tokens: a parabola for fuel, a line for time.
#[derive(Clone, Copy, Debug)]
struct Curve {
    first_tokens: f64,
    step: f64,
    /// Fuel of the shortest, and its first and second differences a step.
    fuel: [f64; 3],
    memory_bytes: u64,
    first_time: Duration,
    token_time: f64,
}

impl Curve {
    fn through(points: &[(u64, RunCost)]) -> Option<Self> {
        let [(short, a), (middle, b), (long, c)] = points else {
            return None;
        };
        let step = middle.checked_sub(*short).filter(|step| *step > 0)?;
        if long.checked_sub(*middle) != Some(step) {
            return None;
        }
        let first = b.fuel as f64 - a.fuel as f64;
        let second = c.fuel as f64 - b.fuel as f64 - first;
        Some(Self {
            first_tokens: *short as f64,
            step: step as f64,
            fuel: [a.fuel as f64, first.max(0.0), second.max(0.0)],
            memory_bytes: a.memory_bytes.max(b.memory_bytes).max(c.memory_bytes),
            first_time: a.wall,
            token_time: c.wall.saturating_sub(a.wall).as_secs_f64() / (2.0 * step as f64),
        })
    }

    /// What a request of so many tokens needs, with the margins.
    fn need(&self, context: Context) -> Need {
        let steps = ((context.tokens as f64 - self.first_tokens) / self.step).max(0.0);
        let [fuel, first, second] = self.fuel;
        let fuel = fuel + steps * first + steps * (steps - 1.0).max(0.0) / 2.0 * second;
        let pages = context.tokens.next_multiple_of(CACHE_PAGE_TOKENS);
        let cache = pages.saturating_mul(context.cache_bytes);
        let time = self.first_time.as_secs_f64() + steps * self.step * self.token_time;
        Need {
            fuel: fuel * FUEL_MARGIN + context.tokens as f64 * FORM_FUEL,
            memory_bytes: self
                .memory_bytes
                .saturating_add(cache)
                .saturating_add(cache / CACHE_MARGIN_DIVISOR)
                .saturating_add(MEMORY_MARGIN_BYTES),
            time: seconds(time * TIME_MARGIN),
            output_bytes: 0,
        }
    }
}

/// What many inputs take of which each is as long as the model takes, or short where it takes no
/// long ones.
async fn long_or_short(
    server: &EphemeralServer,
    long: &str,
    call: impl Fn(&str) -> Call,
) -> Result<Need> {
    let took = match cost(server, call(long)).await {
        Ok(took) => took,
        Err(_) => cost(server, call("Hello")).await?,
    };
    Ok(batch(took))
}

/// What tensors of zeros take, in the declared shapes with 1 for each free axis.
async fn tensors(server: &EphemeralServer, model: &str) -> Result<Need> {
    let live = server.app().registry().ready(model, &Caller::anonymous())?;
    let tensors = live.inspection.tensors.as_ref();
    let inputs = tensors.map(|tensors| tensors.inputs.as_slice());
    let inputs = inputs.unwrap_or_default();
    let made: Vec<Value> = inputs.iter().map(zeros).collect::<Result<_>>()?;
    let call = Call::Tensors(json!({"model": model, "inputs": made}));
    let took = cost(server, call).await?;
    let is_free = |input: &TensorInfo| input.shape.iter().any(|size| *size < 0);
    Ok(if inputs.iter().any(is_free) {
        batch(took)
    } else {
        single(took, 1)
    })
}

fn batch(took: RunCost) -> Need {
    single(took, BATCH)
}

/// What a request of so many equal inputs needs, with the margins.
fn single(took: RunCost, inputs: u32) -> Need {
    Need {
        fuel: took.fuel as f64 * f64::from(inputs) * FUEL_MARGIN,
        memory_bytes: took
            .memory_bytes
            .saturating_add(took.memory_bytes / 4)
            .saturating_add(MEMORY_MARGIN_BYTES),
        time: seconds(took.wall.as_secs_f64() * f64::from(inputs) * TIME_MARGIN),
        output_bytes: took.output_bytes.saturating_mul(2 * u64::from(inputs)),
    }
}

/// A tensor of zeros, as the Open Inference Protocol has it in JSON.
fn zeros(info: &TensorInfo) -> Result<Value> {
    let shape: Vec<u64> = info
        .shape
        .iter()
        .map(|size| u64::try_from(*size).unwrap_or(1))
        .collect();
    let count = shape
        .iter()
        .try_fold(1u64, |all, size| all.checked_mul(*size));
    let count = count.filter(|count| *count <= ELEMENTS_MAX);
    let count = count.with_context(|| {
        format!(
            "the tensor `{}` of the shape {shape:?} is too large to try",
            info.name
        )
    })?;
    let zero = match info.datatype {
        Datatype::Boolean => json!(false),
        Datatype::Bytes => json!(""),
        _ => json!(0),
    };
    let datatype = datatype_name(info.datatype);
    let data: Vec<Value> = (0..count).map(|_| zero.clone()).collect();
    Ok(json!({"name": info.name, "shape": shape, "datatype": datatype, "data": data}))
}

/// A number of units that is easy to read: three digits and zeros.
pub(super) fn rounded(fuel: f64) -> u64 {
    const DIGITS: u64 = 1000;
    let fuel = fuel.max(0.0).ceil() as u64;
    let mut unit = 1;
    while fuel / unit >= DIGITS {
        unit *= 10;
    }
    fuel.checked_next_multiple_of(unit).unwrap_or(fuel)
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

pub(super) fn deadline(time: Duration) -> Duration {
    let mut steps = DEADLINES_S.map(Duration::from_secs).into_iter();
    steps.find(|step| *step >= time).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn took(fuel: u64, milliseconds: u64) -> RunCost {
        RunCost {
            fuel,
            memory_bytes: 100 << 20,
            output_bytes: 0,
            wall: Duration::from_millis(milliseconds),
        }
    }

    /// A start of 1000, 10 a token, and a hundredth of each token before it.
    #[test]
    fn long_requests_are_told_from_short_ones() {
        let fuel = |tokens: u64| 1000 + 10 * tokens + tokens * tokens / 100;
        let points = [10, 30, 50].map(|tokens| (tokens, took(fuel(tokens), tokens)));
        let curve = Curve::through(&points).unwrap();
        let context = Context {
            tokens: 2000,
            cache_bytes: 1 << 10,
        };
        let need = curve.need(context);
        let found = need.fuel - 2000.0 * FORM_FUEL;
        let right = fuel(2000) as f64 * FUEL_MARGIN;
        assert!((found / right - 1.0).abs() < 0.05, "{found} {right}");
        assert_eq!(need.time, Duration::from_secs(8));
        // 2 048 tokens of a KiB, an eighth more, and what is the same for all.
        let cache = (2 << 20) + (256 << 10);
        assert_eq!(need.memory_bytes, (116 << 20) + cache);
        assert!(Curve::through(&points[..2]).is_none());
        assert!(Curve::through(&[points[0], points[0], points[1]]).is_none());
    }

    #[test]
    fn the_largest_is_found_at_both_ends() {
        assert_eq!(largest(100, |_| true), 100);
        assert_eq!(largest(100, |_| false), 0);
        assert_eq!(largest(100, |tokens| tokens <= 37), 37);
    }

    #[test]
    fn deadlines_come_in_steps() {
        assert_eq!(deadline(Duration::from_millis(1)), Duration::from_secs(10));
        assert_eq!(deadline(Duration::from_secs(11)), Duration::from_secs(30));
        assert_eq!(
            deadline(Duration::from_secs(9999)),
            Duration::from_secs(9999)
        );
    }

    #[test]
    fn numbers_are_rounded_up_to_three_digits() {
        for (fuel, expect) in [(0.0, 0), (999.0, 999), (1001.0, 1010), (123_456.7, 124_000)] {
            assert_eq!(rounded(fuel), expect);
        }
    }
}
