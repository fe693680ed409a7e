use super::*;
use crate::choice::tests::sampling;
use crate::language::{LANGUAGES, Language};
use crate::voices;
use belljar_guest::text::Sampling;
use std::collections::HashMap;
use std::vec::Vec;

fn topic(text: &str) -> Topic {
    Topic::new("", text, None)
}

fn prose(language: Language, temperature: f32, seed: u64, ends: Ends) -> Prose {
    let sampling = Sampling {
        temperature: Some(temperature),
        ..sampling()
    };
    let choice = Choice::new(&sampling, 77 + seed, Random::new(seed));
    Prose::new(
        voices::of(language),
        vec![topic("bell jars")],
        choice,
        ends,
        false,
    )
}

fn whole(mut prose: Prose) -> String {
    let mut out = String::new();
    while prose.goes_on(crate::tokens::count(&out)) {
        prose.next(crate::tokens::count(&out), &mut out);
    }
    out
}

fn sentences(text: &str) -> Vec<&str> {
    text.split_inclusive(['.', '。', '।', '?', '？', '\n'])
        .map(str::trim)
        .filter(|sentence| !sentence.is_empty())
        .collect()
}

#[test]
fn no_sentence_comes_again_within_two_thousand_tokens() {
    for language in LANGUAGES {
        for (temperature, seed) in [(0.0, 1), (0.2, 2), (1.0, 3), (2.0, 4)] {
            let text = whole(prose(language, temperature, seed, Ends::Tokens(8000)));
            let mut last: HashMap<&str, u32> = HashMap::new();
            let mut at = 0;
            for sentence in sentences(&text) {
                if let Some(before) = last.insert(sentence, at) {
                    assert!(
                        at - before > 2000,
                        "{language:?} at {temperature}: {sentence}"
                    );
                }
                at += crate::tokens::count(sentence);
            }
            assert!(at > 7000);
        }
    }
}

#[test]
fn as_many_sentences_and_paragraphs_as_are_asked_for() {
    for language in LANGUAGES {
        for count in [1, 2, 3, 7] {
            let text = whole(prose(language, 1.0, 5, Ends::Sentences(count)));
            assert_eq!(sentences(&text).len() as u32, count, "{text}");
            let text = whole(prose(language, 1.0, 5, Ends::Paragraphs(count)));
            assert_eq!(text.split("\n\n").count() as u32, count, "{text}");
        }
    }
}

#[test]
fn sentences_are_whole_and_take_up_the_topic() {
    for language in LANGUAGES {
        let text = whole(prose(language, 1.0, 6, Ends::Tokens(300)));
        assert!(text.contains("bell jars"), "{text}");
        assert!(
            !text.contains(['{', '}']) && !text.contains("  ") && !text.contains(" ."),
            "{text}"
        );
        for sentence in sentences(&text) {
            let first = sentence.chars().next().unwrap();
            assert!(words::upper(first) == first, "{sentence}");
        }
    }
}

#[test]
fn what_is_to_be_done_opens_the_text() {
    let mut about = topic("a list in Python");
    about.deed = Some("sort a list in Python".into());
    let choice = Choice::plain(Random::new(1));
    let mut prose = Prose::new(
        voices::of(Language::English),
        vec![about],
        choice,
        Ends::Sentences(1),
        false,
    );
    let mut out = String::new();
    prose.next(0, &mut out);
    assert!(
        out.contains(" sort a list in Python") && out.ends_with('.'),
        "{out}"
    );
}

#[test]
fn words_fit_one_piece() {
    for seed in 0..500 {
        let mut random = Random::new(seed);
        assert!(any_word(&mut random).len() <= crate::tokens::LETTERS_MAX);
    }
}
