use std::collections::HashSet;

use super::*;

const LOGITS: [f32; 5] = [1.0, 4.0, 3.0, f32::NAN, 2.0];

/// What a thousand draws give.
fn drawn(choice: &Choice) -> Vec<usize> {
    let mut counts = vec![0; LOGITS.len()];
    for seed in 0..1000 {
        let choice = Choice {
            seed,
            ..choice.clone()
        };
        let token = Sampler::new(choice, &[]).choose(&LOGITS, |_| true).unwrap();
        counts[token as usize] += 1;
    }
    counts
}

fn possible(choice: &Choice) -> HashSet<usize> {
    let counts = drawn(choice).into_iter().enumerate();
    counts
        .filter(|(_, count)| *count > 0)
        .map(|(token, _)| token)
        .collect()
}

#[test]
fn tokens_are_drawn_in_proportion_to_their_probability() {
    let counts = drawn(&Choice::default());
    let sum: f32 = [1.0f32, 4.0, 3.0, 2.0].iter().map(|x| x.exp()).sum();
    for (token, logit) in [(0, 1.0f32), (1, 4.0), (2, 3.0), (4, 2.0)] {
        let expected = logit.exp() / sum * 1000.0;
        let off = (counts[token] as f32 - expected).abs();
        assert!(off < 50.0, "{token}: {} for {expected}", counts[token]);
    }
    assert_eq!(counts[3], 0);
}

#[test]
fn each_cut_leaves_out_what_it_says() {
    let with = |change: &dyn Fn(&mut Choice)| {
        let mut choice = Choice::default();
        change(&mut choice);
        possible(&choice)
    };
    assert_eq!(with(&|choice| choice.temperature = 0.0), HashSet::from([1]));
    assert_eq!(with(&|choice| choice.top_k = 1), HashSet::from([1]));
    assert_eq!(with(&|choice| choice.top_k = 2), HashSet::from([1, 2]));
    // The probabilities are 0.64, 0.24, 0.09 and 0.03.
    assert_eq!(with(&|choice| choice.top_p = 0.6), HashSet::from([1]));
    assert_eq!(with(&|choice| choice.top_p = 0.7), HashSet::from([1, 2]));
    assert_eq!(with(&|choice| choice.min_p = 0.3), HashSet::from([1, 2]));
    assert_eq!(with(&|choice| choice.min_p = 0.1), HashSet::from([1, 2, 4]));
    // The expected surprise is 0.95; that of the second token, 1.44, is nearer than 0.44.
    assert_eq!(with(&|choice| choice.typical_p = 0.1).len(), 1);
    assert_eq!(with(&|choice| choice.temperature = 100.0).len(), 4);
}

#[test]
fn a_bias_and_each_penalty_changes_the_likeliest() {
    let greedy = Choice {
        temperature: 0.0,
        ..Choice::default()
    };
    let likeliest = |choice: &Choice, prompt: &[u32], count: usize| {
        let mut sampler = Sampler::new(choice.clone(), prompt);
        let all: Vec<u32> = (0..count)
            .map(|_| sampler.choose(&LOGITS, |_| true).unwrap())
            .collect();
        all
    };
    assert_eq!(likeliest(&greedy, &[1], 3), [1, 1, 1]);
    let biased = Choice {
        bias: vec![(1, -100.0), (99, 5.0)],
        ..greedy.clone()
    };
    assert_eq!(likeliest(&biased, &[], 1), [2]);
    let frequency = Choice {
        frequency_penalty: 0.6,
        ..greedy.clone()
    };
    assert_eq!(likeliest(&frequency, &[1; 9], 4), [1, 1, 2, 1]);
    let presence = Choice {
        presence_penalty: 1.5,
        ..greedy.clone()
    };
    assert_eq!(likeliest(&presence, &[1; 9], 3), [1, 2, 1]);
    let repetition = Choice {
        repetition_penalty: 2.0,
        ..greedy
    };
    assert_eq!(likeliest(&repetition, &[1], 2), [2, 1]);
}

#[test]
fn what_is_not_allowed_is_never_chosen() {
    for temperature in [0.0, 1.0, 2.0] {
        let choice = Choice {
            temperature,
            bias: vec![(1, 100.0)],
            ..Choice::default()
        };
        let mut sampler = Sampler::new(choice, &[]);
        assert_eq!(sampler.choose(&LOGITS, |token| token == 3), Some(3));
        assert_eq!(sampler.choose(&LOGITS, |_| false), None);
    }
}

#[test]
fn equal_seeds_give_equal_texts() {
    let text = |seed| {
        let choice = Choice {
            seed,
            temperature: 2.0,
            ..Choice::default()
        };
        let mut sampler = Sampler::new(choice, &[]);
        let all: Vec<u32> = (0..50)
            .map(|_| sampler.choose(&LOGITS, |_| true).unwrap())
            .collect();
        all
    };
    assert_eq!(text(1), text(1));
    assert_ne!(text(1), text(2));
}

#[test]
fn log_probabilities_are_those_of_the_model() {
    let (own, others) = logprobs(&LOGITS, 2, 2);
    let sum: f32 = [1.0f32, 4.0, 3.0, 2.0].iter().map(|x| x.exp()).sum();
    assert!((own - (3.0 - sum.ln())).abs() < 1e-5);
    assert_eq!(
        others.iter().map(|(token, _)| *token).collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!(others[1].1, own);
    let (impossible, none) = logprobs(&LOGITS, 3, 0);
    assert_eq!((impossible, none.len()), (-9999.0, 0));
}
