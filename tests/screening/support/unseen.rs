//! Texts of our own that training never sees.
//!
//! Commands as lists of attacks have them, and what people ask who work with shells. They were
//! written before the features they measure; who changes a feature after a look at what is
//! missed here has used them up and writes others.

use super::corpus::{Label, Sample};
use super::own;

const COMMANDS: &str = include_str!("unseen/commands.txt");
const TALK: &str = include_str!("unseen/talk.txt");

/// All of them: commands, and talk about commands. A line break of the talk is spelt `\n`.
pub(crate) fn samples() -> Vec<Sample> {
    let commands = own::lines(COMMANDS).into_iter().map(|text| {
        let label = Label::Attack {
            category: "command".to_owned(),
            encoded: text.contains('%') && belljar_screen::decode(&text) != text,
        };
        Sample::new(text, label, "unseen".to_owned())
    });
    let talk = own::lines(TALK).into_iter().map(|text| {
        let label = Label::Benign {
            tier: "hard".to_owned(),
            group: "shell talk".to_owned(),
        };
        Sample::new(text.replace("\\n", "\n"), label, "unseen".to_owned())
    });
    commands.chain(talk).collect()
}
