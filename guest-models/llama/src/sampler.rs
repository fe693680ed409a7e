//! Which token comes next.
//!
//! The order is that of the servers whose interface this is: biases and penalties change the
//! logits, what a constraint forbids is taken out, the temperature is applied, and what is
//! unlikely by top-k, typical, top-p or min-p is left out. Log-probabilities are those of the
//! model, before any of this.

use std::collections::HashMap;

use belljar_guest::kernels::{exp_less, greatest};

/// Tokens that the repetition penalty looks back at.
const REPETITION_TOKENS: usize = 256;

/// How tokens are chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// 0 takes the likeliest.
    pub temperature: f32,
    /// The likeliest tokens that together have this probability.
    pub top_p: f32,
    /// The so many likeliest tokens; 0 for all.
    pub top_k: usize,
    /// Tokens with at least this part of the probability of the likeliest.
    pub min_p: f32,
    /// The tokens nearest to the expected surprise that together have this probability (Meister
    /// et al., 2022).
    pub typical_p: f32,
    /// What logits of tokens in the prompt or the answer are divided by (Keskar et al., 2019).
    pub repetition_penalty: f32,
    /// What is taken from a logit for each time the token is in the answer.
    pub frequency_penalty: f32,
    /// What is taken from a logit if the token is in the answer.
    pub presence_penalty: f32,
    /// What is added to the logits of tokens.
    pub bias: Vec<(u32, f32)>,
    /// Where the numbers begin.
    pub seed: u64,
}

impl Default for Choice {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            typical_p: 1.0,
            repetition_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            bias: Vec::new(),
            seed: 0,
        }
    }
}

/// Chooses tokens.
#[derive(Debug)]
pub struct Sampler {
    choice: Choice,
    random: Random,
    /// How often each token is in the answer.
    counts: HashMap<u32, u32>,
    /// The last tokens of prompt and answer.
    recent: Vec<u32>,
    logits: Vec<f32>,
}

/// A token, and its probability at this place.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    token: u32,
    probability: f32,
}

impl Sampler {
    /// A sampler after a prompt.
    pub fn new(choice: Choice, prompt: &[u32]) -> Self {
        let random = Random(choice.seed);
        let recent = prompt.len().saturating_sub(REPETITION_TOKENS);
        Self {
            choice,
            random,
            counts: HashMap::new(),
            recent: prompt.get(recent..).unwrap_or_default().to_vec(),
            logits: Vec::new(),
        }
    }

    /// Chooses the next token, of those for which `allows` is true. None where that is no token.
    pub fn choose(&mut self, logits: &[f32], allows: impl Fn(u32) -> bool) -> Option<u32> {
        self.logits.clear();
        self.logits.extend_from_slice(logits);
        self.change();
        for (token, logit) in self.logits.iter_mut().enumerate() {
            // What is not a number is as unlikely as can be, and can still be all there is.
            if logit.is_nan() || *logit == f32::NEG_INFINITY {
                *logit = f32::MIN;
            }
            if !allows(token as u32) {
                *logit = f32::NEG_INFINITY;
            }
        }
        let chosen = if self.choice.temperature <= 0.0 || self.choice.top_k == 1 {
            likeliest(&self.logits)
        } else {
            self.draw()
        }?;
        *self.counts.entry(chosen).or_insert(0) += 1;
        if self.recent.len() >= REPETITION_TOKENS {
            self.recent.remove(0);
        }
        self.recent.push(chosen);
        Some(chosen)
    }

    /// Applies biases and penalties.
    fn change(&mut self) {
        let Self { choice, logits, .. } = self;
        for &(token, bias) in &choice.bias {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit += bias;
            }
        }
        for (&token, &count) in &self.counts {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit -= choice.presence_penalty + choice.frequency_penalty * count as f32;
            }
        }
        if choice.repetition_penalty != 1.0 {
            let mut recent = self.recent.clone();
            recent.sort_unstable();
            recent.dedup();
            for token in recent {
                if let Some(logit) = logits.get_mut(token as usize) {
                    *logit = if *logit > 0.0 {
                        *logit / choice.repetition_penalty
                    } else {
                        *logit * choice.repetition_penalty
                    };
                }
            }
        }
    }

    /// Draws a token by its probability, after what is unlikely is left out.
    fn draw(&mut self) -> Option<u32> {
        let highest = greatest(&self.logits);
        if highest == f32::NEG_INFINITY {
            return None;
        }
        let temperature = self.choice.temperature;
        for logit in &mut self.logits {
            *logit = (*logit - highest) / temperature;
        }
        let sum = exp_less(&mut self.logits, 0.0);
        let fraction = self.random.fraction();
        if !self.leaves_out() {
            return at_fraction(
                self.logits
                    .iter()
                    .enumerate()
                    .map(|(token, &weight)| (token as u32, weight)),
                fraction * sum,
            );
        }
        let mut candidates: Vec<Candidate> = self
            .logits
            .iter()
            .enumerate()
            .filter(|(_, weight)| **weight > 0.0)
            .map(|(token, weight)| Candidate {
                token: token as u32,
                probability: weight / sum,
            })
            .collect();
        self.leave_out(&mut candidates);
        let total: f32 = candidates
            .iter()
            .map(|candidate| candidate.probability)
            .sum();
        at_fraction(
            candidates
                .iter()
                .map(|candidate| (candidate.token, candidate.probability)),
            fraction * total,
        )
    }

    fn leaves_out(&self) -> bool {
        let choice = &self.choice;
        choice.top_k > 0 || choice.top_p < 1.0 || choice.min_p > 0.0 || choice.typical_p < 1.0
    }

    /// Leaves the least likely out, of which the likeliest always stays.
    fn leave_out(&self, candidates: &mut Vec<Candidate>) {
        let by_probability = |a: &Candidate, b: &Candidate| {
            b.probability
                .total_cmp(&a.probability)
                .then(a.token.cmp(&b.token))
        };
        let choice = &self.choice;
        if choice.top_k > 0 && choice.top_k < candidates.len() {
            candidates.select_nth_unstable_by(choice.top_k - 1, by_probability);
            candidates.truncate(choice.top_k);
        }
        if choice.typical_p < 1.0 {
            keep_typical(candidates, choice.typical_p);
        }
        candidates.sort_unstable_by(by_probability);
        if choice.top_p < 1.0 {
            keep_first(candidates, choice.top_p);
        }
        if let Some(first) = candidates.first() {
            let least = first.probability * choice.min_p;
            let kept = candidates.partition_point(|candidate| candidate.probability >= least);
            candidates.truncate(kept.max(1));
        }
    }
}

/// Keeps the first candidates that together have that part of the probability.
fn keep_first(candidates: &mut Vec<Candidate>, part: f32) {
    let total: f32 = candidates
        .iter()
        .map(|candidate| candidate.probability)
        .sum();
    let mut sum = 0.0;
    let needed = candidates.iter().position(|candidate| {
        sum += candidate.probability;
        sum >= part * total
    });
    if let Some(last) = needed {
        candidates.truncate(last + 1);
    }
}

fn keep_typical(candidates: &mut Vec<Candidate>, part: f32) {
    let surprise = |candidate: &Candidate| -candidate.probability.ln();
    let expected: f32 = candidates
        .iter()
        .map(|candidate| candidate.probability * surprise(candidate))
        .sum();
    let distance = |candidate: &Candidate| (surprise(candidate) - expected).abs();
    candidates.sort_unstable_by(|a, b| {
        distance(a)
            .total_cmp(&distance(b))
            .then(a.token.cmp(&b.token))
    });
    keep_first(candidates, part);
}

/// The likeliest token; of equals, the first.
fn likeliest(logits: &[f32]) -> Option<u32> {
    let highest = greatest(logits);
    if highest == f32::NEG_INFINITY {
        return None;
    }
    let found = logits.iter().position(|logit| *logit == highest)?;
    u32::try_from(found).ok()
}

/// The token at which the sum of weights reaches `mark`: the last one with a weight where
/// rounding keeps all of them below it.
fn at_fraction(weights: impl Iterator<Item = (u32, f32)>, mark: f32) -> Option<u32> {
    let mut sum = 0.0;
    let mut last = None;
    for (token, weight) in weights {
        if weight > 0.0 {
            sum += weight;
            last = Some(token);
            if sum > mark {
                break;
            }
        }
    }
    last
}

/// The log-probability of a token, and the likeliest tokens with theirs.
pub fn logprobs(logits: &[f32], token: u32, alternatives: usize) -> (f32, Vec<(u32, f32)>) {
    let highest = greatest(logits).max(f32::MIN);
    let mut weights = logits.to_vec();
    for weight in &mut weights {
        if weight.is_nan() {
            *weight = f32::NEG_INFINITY;
        }
    }
    let sum = exp_less(&mut weights, highest).max(f32::MIN_POSITIVE);
    let logprob = |logit: f32| {
        let found = logit - highest - sum.ln();
        // A probability below what can be written is told as the least that can.
        if found.is_finite() {
            found.min(0.0)
        } else {
            -9999.0
        }
    };
    let own = logits.get(token as usize).copied();
    let mut order: Vec<(u32, f32)> = Vec::new();
    if alternatives > 0 {
        order = logits
            .iter()
            .enumerate()
            .map(|(token, &logit)| (token as u32, logprob(logit)))
            .collect();
        let by_logprob = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if alternatives < order.len() {
            order.select_nth_unstable_by(alternatives, by_logprob);
            order.truncate(alternatives);
        }
        order.sort_unstable_by(by_logprob);
    }
    (logprob(own.unwrap_or(f32::NEG_INFINITY)), order)
}

/// Repeatable numbers (SplitMix64).
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    /// A number from 0 to 1, below 1.
    fn fraction(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 40) as f32 / (1u32 << 24) as f32
    }
}

#[cfg(test)]
mod tests;
