//! What the prompt is about: a few words of it that the answer takes up.

use alloc::string::String;
use alloc::vec::Vec;

use belljar_guest::text::{Part, Prompt, Request, Role};

use crate::tokens;

/// How many words are taken.
const TOPICS_MAX: usize = 4;
/// How far into the text they are looked for. Longer prompts are about what they begin with.
const SEARCH_BYTES: usize = 2048;
const LETTERS_MIN: usize = 4;

/// Words that say nothing about the subject.
const COMMON: [&str; 40] = [
    "about", "again", "also", "answer", "because", "been", "could", "describe", "does", "each",
    "explain", "from", "give", "have", "hello", "here", "into", "just", "like", "make", "more",
    "most", "need", "only", "other", "please", "question", "should", "some", "tell", "that",
    "their", "them", "then", "there", "this", "what", "with", "would", "write",
];

/// Words of the last message of the user, in lower case; never empty.
pub(crate) fn of_request(request: &Request) -> Vec<String> {
    let mut topics = Vec::with_capacity(TOPICS_MAX);
    for_each_user_text(request, |text| collect(text, &mut topics));
    if topics.is_empty() {
        topics.push("question".into());
    }
    topics
}

/// Calls `visit` with each text part of the last message of the user, or with the bare prompt.
pub(crate) fn for_each_user_text(request: &Request, mut visit: impl FnMut(&str)) {
    match &request.prompt {
        Prompt::Messages(messages) => {
            let last = messages
                .iter()
                .rev()
                .find(|message| message.role == Role::User);
            for part in last
                .map(|message| message.content.as_slice())
                .unwrap_or_default()
            {
                if let Part::Text(text) = part {
                    visit(text);
                }
            }
        }
        Prompt::Text(raw) => visit(&raw.text),
        Prompt::Tokens(_) => {}
    }
}

fn collect(text: &str, topics: &mut Vec<String>) {
    let searched = text
        .as_bytes()
        .get(..SEARCH_BYTES)
        .unwrap_or(text.as_bytes());
    for word in searched.split(|byte| !byte.is_ascii_alphabetic()) {
        if topics.len() == TOPICS_MAX {
            return;
        }
        if !(LETTERS_MIN..=tokens::LETTERS_MAX).contains(&word.len()) {
            continue;
        }
        let word: String = word
            .iter()
            .map(|byte| byte.to_ascii_lowercase() as char)
            .collect();
        if COMMON.binary_search(&word.as_str()).is_err() && !topics.contains(&word) {
            topics.push(word);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_words_are_sorted_for_the_search() {
        assert!(COMMON.is_sorted());
    }

    #[test]
    fn subjects_are_found_once_and_in_order() {
        let mut topics = vec![];
        collect(
            "Please tell me about LIGHTHOUSES, lighthouses and the sea-wind: why?",
            &mut topics,
        );
        assert_eq!(topics, ["wind"]);
        topics.clear();
        collect(
            "Rivers, rivers! And 10 Mountains; deserts oceans valleys",
            &mut topics,
        );
        assert_eq!(topics, ["rivers", "mountains", "deserts", "oceans"]);
    }

    #[test]
    fn a_cut_inside_a_character_does_no_harm() {
        let mut topics = vec![];
        collect(&"é".repeat(SEARCH_BYTES), &mut topics);
        assert!(topics.is_empty());
    }
}
