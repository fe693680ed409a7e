//! What the prompt names: numbers with their nouns, dates, places, people, quoted words and the
//! like, from which arguments and structured answers are filled.

mod numbers;
mod proper;
mod scan;

use alloc::string::String;
use alloc::vec::Vec;

use belljar_guest::text::{Part, Prompt, Request, Role};

use crate::media::Medium;

pub(crate) use numbers::expression;

/// How many are kept.
const ENTITIES_MAX: usize = 96;
/// How far into each text they are looked for, in bytes.
const SEARCH_BYTES: usize = 8192;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    /// With a currency.
    Money,
    Percent,
    Date,
    Time,
    Email,
    Url,
    Phone,
    Ip,
    Uuid,
    /// Letters and digits that stand for a thing, such as an order.
    Code,
    Quoted,
    Place,
    Person,
    /// Something with a name, and no telling what.
    Name,
    /// In three capital letters.
    Currency,
    File,
    /// Capital letters such as a company's at an exchange.
    Symbol,
}

/// One thing that the prompt names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entity {
    pub(crate) kind: Kind,
    /// As an argument would have it: a date as it is written, a name without its title.
    pub(crate) text: String,
    /// The number, of those that have one.
    pub(crate) number: f64,
    /// A date or a time as programs write it, where it is known; of a number the ware that is
    /// ordered.
    pub(crate) plain: String,
    /// The words before and after it, in lower case; empty at the edge of a clause.
    pub(crate) before: String,
    pub(crate) after: String,
    /// Where it stands in the text.
    pub(crate) at: usize,
    /// Whether it may well be none: a first word, whose capital letter means nothing.
    pub(crate) weak: bool,
}

/// What the prompt names, in the order in which it does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entities {
    pub(crate) list: Vec<Entity>,
    /// What the user said last, which is what they were found in.
    pub(crate) said: String,
}

impl Entities {
    /// Those of the user's last message, and behind them those of what the user said before.
    pub(crate) fn of_request(request: &Request) -> Self {
        let mut texts = texts(request);
        let said = texts.next().unwrap_or_default();
        let mut list = scan::scan(&said);
        for earlier in texts {
            if list.len() >= ENTITIES_MAX {
                break;
            }
            let more = scan::scan(&earlier);
            for entity in more {
                let is_known = list
                    .iter()
                    .any(|known| known.kind == entity.kind && known.text == entity.text);
                if !is_known {
                    list.push(Entity {
                        at: usize::MAX,
                        ..entity
                    });
                }
            }
        }
        list.truncate(ENTITIES_MAX);
        Self { list, said }
    }

    #[cfg(test)]
    pub(crate) fn of_text(text: &str) -> Self {
        Self {
            list: scan::scan(text),
            said: text.into(),
        }
    }

    /// Those that were said last, and not before.
    pub(crate) fn said_last(&self) -> impl Iterator<Item = &Entity> {
        self.list.iter().filter(|entity| entity.at != usize::MAX)
    }
}

/// What the user said, the last message first.
fn texts(request: &Request) -> impl Iterator<Item = String> {
    let (messages, raw) = match &request.prompt {
        Prompt::Messages(messages) => (messages.as_slice(), None),
        Prompt::Text(raw) => (&[][..], Some(cut(&raw.text).into())),
        Prompt::Tokens(_) => (&[][..], None),
    };
    let of_messages = messages
        .iter()
        .rev()
        .filter(|message| message.role == Role::User)
        .map(|message| {
            let mut whole = String::new();
            for part in &message.content {
                if !whole.is_empty() {
                    whole.push('\n');
                }
                if let Part::Text(text) = part {
                    whole.push_str(text);
                } else if let Some(medium) = Medium::of_part(part) {
                    whole.push_str(&medium.facts());
                }
            }
            cut(&whole).into()
        });
    raw.into_iter().chain(of_messages)
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(SEARCH_BYTES))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests;
