//! Says again what the user said, word by word.

use belljar_guest::text::{Chunk, Generate, Request, stream};
use belljar_guest::{Error, Text};

struct Parrot;

impl Text for Parrot {
    fn start(request: Request) -> Result<impl Generate + 'static, Error> {
        let said = request.last_user_text();
        if said.is_empty() {
            return Err(Error::invalid_input("say something first"));
        }
        let words: Vec<String> = said.split_inclusive(' ').map(String::from).collect();
        let prompt_tokens = words.len() as u32;
        // Made one by one, as the host asks for them; each reaches the caller 20 ms after the one
        // before it, and the sandbox does not wait for that.
        let chunks = words
            .into_iter()
            .map(|word| Chunk::text(word).after_us(20_000));
        Ok(stream(chunks)
            .prompt_tokens(prompt_tokens)
            .max_tokens(request.max_tokens))
    }
}

belljar_guest::export!(Parrot: text);
