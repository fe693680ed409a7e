//! Goes on with a text, word by word, as the words in assets/words.txt follow one another.

use std::sync::OnceLock;

use belljar_guest::text::{Generate, Request, stream};
use belljar_guest::{Error, Lifecycle, Text, assets};

struct Model;

/// What `load` leaves here is where each request starts: all words, in the order of the text.
static WORDS: OnceLock<Vec<String>> = OnceLock::new();

impl Lifecycle for Model {
    fn load() -> Result<(), Error> {
        let text = assets::read_text("words.txt")?;
        let words: Vec<String> = text.split_whitespace().map(String::from).collect();
        if words.is_empty() {
            return Err(Error::failed("`words.txt` has no words"));
        }
        let _ = WORDS.set(words);
        Ok(())
    }
}

/// An answer in the making: each word is made when it is asked for.
struct Answer {
    words: &'static [String],
    word: String,
    state: u32,
}

impl Iterator for Answer {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        if self.word.ends_with('.') {
            return None;
        }
        self.state = self
            .state
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        let followers: Vec<usize> = (0..self.words.len())
            .filter(|&place| self.words[place] == self.word)
            .map(|place| (place + 1) % self.words.len())
            .collect();
        let choice = (self.state >> 8) as usize;
        // A word that nothing follows is followed by any.
        let place = match followers.len() {
            0 => choice % self.words.len(),
            count => followers[choice % count],
        };
        self.word.clone_from(&self.words[place]);
        Some(format!("{} ", self.word))
    }
}

fn answer(said: &str, seed: u64) -> Result<Answer, Error> {
    let words = WORDS
        .get()
        .ok_or_else(|| Error::failed("`load` did not run"))?;
    let word = said
        .split_whitespace()
        .next_back()
        .ok_or_else(|| Error::invalid_input("say something first"))?;
    Ok(Answer {
        words,
        word: word.trim_end_matches('.').to_owned(),
        // Equal requests with equal seeds get equal answers.
        state: seed as u32,
    })
}

impl Text for Model {
    fn start(request: Request) -> Result<impl Generate + 'static, Error> {
        let said = request.last_user_text();
        let prompt_tokens = said.split_whitespace().count() as u32;
        let answer = answer(&said, request.sampling.seed.unwrap_or(0))?;
        Ok(stream(answer)
            .prompt_tokens(prompt_tokens)
            .max_tokens(request.max_tokens))
    }
}

belljar_guest::export!(Model: lifecycle, text);

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded() {
        assets::provide("words.txt", include_bytes!("../assets/words.txt"));
        Model::load().unwrap();
    }

    #[test]
    fn a_seed_gives_one_text() {
        loaded();
        let text = || answer("the bell", 7).unwrap().collect::<String>();
        assert_eq!(text(), "rings under the bell is new. ");
        assert_eq!(text(), text());
    }

    #[test]
    fn nothing_said_is_the_callers_fault() {
        loaded();
        assert!(matches!(answer(" ", 0), Err(Error::InvalidInput(_))));
    }
}
