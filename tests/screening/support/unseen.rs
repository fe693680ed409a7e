//! Texts of our own that training never sees.
//!
//! Commands as lists of attacks have them, and what people ask who work with shells. They were
//! written before the features they measure; who changes a feature after a look at what is
//! missed here has used them up and writes others.

use super::corpus::{Label, Sample};
use super::own;

const COMMANDS: &str = include_str!("unseen/commands.txt");
const TALK: &str = include_str!("unseen/talk.txt");
const EVERYDAY: &str = include_str!("unseen/everyday.txt");

/// All of them: commands, talk about commands, and what people send that is neither. A line
/// break of the latter two is spelt `\n`.
pub(crate) fn samples() -> Vec<Sample> {
    let commands = own::lines(COMMANDS).into_iter().map(|text| {
        let label = Label::Attack {
            category: "command".to_owned(),
            encoded: text.contains('%') && belljar_screen::decode(&text) != text,
        };
        Sample::new(text, label, "unseen".to_owned())
    });
    let shell = Label::Benign {
        tier: "hard".to_owned(),
        group: "shell talk".to_owned(),
    };
    let everyday = Label::Everyday {
        place: "prompt".to_owned(),
        group: "everyday".to_owned(),
    };
    let benign = [(shell, TALK), (everyday, EVERYDAY)];
    let benign = benign.into_iter().flat_map(|(label, block)| {
        own::lines(block).into_iter().map(move |text| {
            Sample::new(
                text.replace("\\n", "\n"),
                label.clone(),
                "unseen".to_owned(),
            )
        })
    });
    commands.chain(benign).collect()
}
