//! Sentences about a subject, one after the other: no two alike within some thousand words.

use alloc::string::String;
use alloc::vec::Vec;

use crate::choice::{Choice, Deck};
use crate::random::Random;
use crate::reading::Topic;
use crate::voices::{Sentence, Voice};
use crate::words;

/// How many sentences make a paragraph, at least and at most.
const PARAGRAPH: (u32, u32) = (3, 6);
/// How many sentences back none may be the same: more than two thousand tokens hold.
const RECENT_MAX: usize = 240;
/// How often a sentence is made anew that has been said, and with how many beginnings.
const TRIES: u32 = 32;
const TEMPLATE_TRIES: u32 = 3;
/// How often another sentence is taken because of what it says again.
const SUBJECT_TRIES: u32 = 4;
/// From how many sentences on an answer has an end of its own.
const CLOSED_FROM: u32 = 3;

/// Where a text ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// With the first sentence after that many tokens.
    Tokens(u32),
    Sentences(u32),
    Paragraphs(u32),
}

/// A text in the making.
#[derive(Clone, Debug)]
pub(crate) struct Prose {
    voice: &'static Voice,
    /// What it is about, as it stands in a sentence.
    topics: Vec<Topic>,
    choice: Choice,
    templates: Deck,
    nouns: Deck,
    leads: Deck,
    ends: Ends,
    /// What is said before anything else.
    first: Option<String>,
    /// Whether a heading stands over each paragraph.
    headings: bool,
    /// What was said, as the numbers of its parts.
    recent: Vec<u32>,
    recent_at: usize,
    sentences: u32,
    paragraphs: u32,
    /// Until the next paragraph.
    left: u32,
    closed: bool,
    /// Whether a sentence is made anew, for which every noun will do.
    again: bool,
}

impl Prose {
    pub(crate) fn new(
        voice: &'static Voice,
        topics: Vec<Topic>,
        mut choice: Choice,
        ends: Ends,
        headings: bool,
    ) -> Self {
        let (least, most) = PARAGRAPH;
        let left = least + choice.random.below((most - least + 1) as usize) as u32;
        Self {
            templates: choice.deck(1, voice.body.len()),
            nouns: choice.deck(2, voice.nouns.len()),
            leads: choice.deck(3, voice.leads.len()),
            voice,
            topics,
            choice,
            ends,
            first: None,
            headings,
            recent: Vec::new(),
            recent_at: 0,
            sentences: 0,
            paragraphs: 1,
            left,
            closed: false,
            again: false,
        }
    }

    /// The same, with a first sentence of its own.
    pub(crate) fn begun_with(self, first: String) -> Self {
        Self {
            first: Some(first),
            ..self
        }
    }

    /// Whether there is another sentence, when so many tokens have been made.
    pub(crate) fn goes_on(&self, made: u32) -> bool {
        match self.ends {
            Ends::Tokens(natural) => made < natural || !self.closed && self.closes(),
            Ends::Sentences(count) => self.sentences < count,
            Ends::Paragraphs(count) => self.paragraphs < count || self.left > 0,
        }
    }

    /// Whether nothing has been said yet.
    pub(crate) fn is_unbegun(&self) -> bool {
        self.sentences == 0
    }

    /// Whether so long a text has a closing sentence.
    fn closes(&self) -> bool {
        self.sentences >= CLOSED_FROM && !self.headings
    }

    /// Appends the next sentence, with what stands between it and the one before.
    pub(crate) fn next(&mut self, made: u32, out: &mut String) {
        if self.sentences > 0 {
            self.gap(out);
        }
        let is_last = match self.ends {
            Ends::Tokens(natural) => made >= natural,
            Ends::Sentences(count) => self.sentences + 1 >= count && count >= CLOSED_FROM,
            Ends::Paragraphs(count) => {
                self.paragraphs >= count && self.left <= 1 && self.sentences >= CLOSED_FROM
            }
        };
        if self.sentences == 0 {
            if self.headings {
                out.push_str("# ");
                out.push_str(&words::capitalised(
                    self.topics
                        .first()
                        .map_or(self.voice.subject, |topic| &topic.text),
                ));
                out.push_str("\n\n");
            }
            self.open(out);
        } else if is_last {
            if let Some(closing) = self.choice.random.one_of(self.voice.closings) {
                self.write(closing, out);
            }
            self.closed = true;
        } else {
            self.sentence(out);
        }
        self.sentences += 1;
        self.left = self.left.saturating_sub(1);
    }

    /// What stands between two sentences.
    fn gap(&mut self, out: &mut String) {
        if self.left > 0 {
            if !self.voice.unspaced {
                out.push(' ');
            }
            return;
        }
        let (least, most) = PARAGRAPH;
        self.left = least + self.choice.random.below((most - least + 1) as usize) as u32;
        self.paragraphs += 1;
        out.push_str("\n\n");
        if self.headings {
            out.push_str("## ");
            out.push_str(&words::capitalised(self.noun()));
            out.push_str("\n\n");
        }
    }

    /// The first sentence.
    fn open(&mut self, out: &mut String) {
        if let Some(first) = self.first.take() {
            return out.push_str(&first);
        }
        let deed = self.topics.first_mut().and_then(|topic| topic.deed.take());
        if let Some(deed) = deed {
            static DEEDS: [(&str, Sentence); 3] = [
                ("To ", Sentence::new(", begin with {a}.")),
                ("The usual way to ", Sentence::new(" starts with {a}.")),
                (
                    "If you want to ",
                    Sentence::new(", it helps to look at {a} first."),
                ),
            ];
            if let Some((before, after)) = DEEDS.get(self.choice.beginning(5, DEEDS.len())) {
                out.push_str(before);
                out.push_str(&deed);
                self.write(after, out);
            }
            return;
        }
        self.opening(out);
    }

    /// Appends a sentence that a text can begin with.
    pub(crate) fn opening(&mut self, out: &mut String) {
        let index = self.choice.beginning(4, self.voice.openings.len());
        if let Some(opening) = self.voice.openings.get(index) {
            self.write(opening, out);
        }
    }

    /// Appends a sentence that has not been said lately.
    pub(crate) fn sentence(&mut self, out: &mut String) {
        let mut template = 0;
        let start = out.len();
        for attempt in 0..TRIES * TEMPLATE_TRIES {
            if attempt % TRIES == 0 {
                template = self.template();
            }
            out.truncate(start);
            let Some(sentence) = self.voice.body.get(template) else {
                return;
            };
            self.again = attempt > 0;
            let said = self.write(sentence, out) << 6 | template as u32;
            if !self.recent.contains(&said) {
                self.remember(said);
                return;
            }
        }
    }

    /// Which sentence is next. Penalties keep the subject of all of them out, or in.
    fn template(&mut self) -> usize {
        let mut template = self.choice.deal(&mut self.templates);
        for _ in 0..SUBJECT_TRIES {
            let sentence = self.voice.body.get(template);
            let names_subject = sentence.is_some_and(Sentence::names_subject);
            if !self.choice.puts_off(names_subject) {
                break;
            }
            template = self.choice.deal(&mut self.templates);
        }
        template
    }

    fn remember(&mut self, said: u32) {
        // A short sentence is said in as many ways as there are nouns.
        let ways = self.voice.body.len() * self.voice.nouns.len();
        if self.recent.len() < RECENT_MAX.min(ways * 3 / 4) {
            self.recent.push(said);
            return;
        }
        if let Some(oldest) = self.recent.get_mut(self.recent_at) {
            *oldest = said;
        }
        self.recent_at = (self.recent_at + 1) % self.recent.len().max(1);
    }

    /// A noun that can stand by itself.
    pub(crate) fn noun(&mut self) -> &'static str {
        let index = self.nouns.next();
        self.voice.nouns.get(index).copied().unwrap_or_default()
    }

    /// Appends a sentence, and returns which words it has in its places.
    pub(crate) fn write(&mut self, sentence: &Sentence, out: &mut String) -> u32 {
        let start = out.len();
        let mut parts = 0;
        let mut noun = usize::MAX;
        for (before, place) in sentence.places() {
            out.push_str(before);
            let (index, word) = match place {
                b't' => {
                    let count = self.topics.len();
                    // The first of several is what it is most about.
                    let topic = if count <= 1 || self.choice.random.below(3) > 0 {
                        0
                    } else {
                        self.choice.random.below(count)
                    };
                    let (open, close) = self.voice.quotes;
                    out.push_str(open);
                    // Quotation marks need no article.
                    out.push_str(match self.topics.get(topic) {
                        Some(topic) if open.is_empty() => &topic.text,
                        Some(topic) => topic.bare(),
                        None => self.voice.subject,
                    });
                    (topic, close)
                }
                b'b' => {
                    let lead = self.choice.deal(&mut self.leads);
                    let leads = self.voice.leads;
                    (lead, leads.get(lead).copied().unwrap_or_default())
                }
                _ => {
                    let nouns = self.voice.nouns;
                    let mut index = if self.again {
                        self.nouns.next()
                    } else {
                        self.choice.deal(&mut self.nouns)
                    };
                    if index == noun {
                        index = (index + 1) % nouns.len().max(1);
                    }
                    noun = index;
                    (index, nouns.get(index).copied().unwrap_or_default())
                }
            };
            parts = parts << 6 | index as u32 & 0x3f;
            out.push_str(word);
        }
        out.push_str(sentence.end());
        capitalise(start, out);
        parts
    }
}

/// Puts the first letter from there on into upper case.
fn capitalise(start: usize, out: &mut String) {
    if let Some(first) = out.get_mut(start..start + 1) {
        return first.make_ascii_uppercase();
    }
    let Some(first) = out.get(start..).and_then(|rest| rest.chars().next()) else {
        return;
    };
    let upper = words::upper(first);
    // All cases of a letter here are of as many bytes.
    if upper != first && upper.len_utf8() == first.len_utf8() {
        let mut buffer = [0; 4];
        let upper = upper.encode_utf8(&mut buffer);
        out.replace_range(start..start + upper.len(), upper);
    }
}

/// One sentence about a topic.
pub(crate) fn sentence(voice: &'static Voice, topics: &[Topic], random: &mut Random) -> String {
    let choice = Choice::plain(Random::new(random.bits()));
    let mut out = String::new();
    Prose::new(voice, topics.to_vec(), choice, Ends::Sentences(1), false).next(0, &mut out);
    out
}

/// A word that could have stood anywhere.
pub(crate) fn any_word(random: &mut Random) -> &'static str {
    let [adjective, noun] = phrase(random);
    if random.below(2) == 0 {
        adjective
    } else {
        noun
    }
}

/// Two words that make a name for anything, for example `quiet harbor`.
pub(crate) fn phrase(random: &mut Random) -> [&'static str; 2] {
    const NOUNS: [&str; 28] = [
        "river", "garden", "engine", "harbor", "window", "signal", "lantern", "market", "bridge",
        "valley", "pattern", "letter", "forest", "machine", "village", "shadow", "compass",
        "kitchen", "theory", "journey", "mountain", "castle", "story", "library", "season",
        "method", "orchard", "railway",
    ];
    const ADJECTIVES: [&str; 24] = [
        "quiet", "bright", "careful", "simple", "distant", "gentle", "hidden", "modern", "patient",
        "curious", "steady", "ancient", "broad", "clever", "silver", "narrow", "honest", "warm",
        "early", "useful", "familiar", "subtle", "common", "lasting",
    ];
    let adjective = random.one_of(&ADJECTIVES).copied().unwrap_or("plain");
    let noun = random.one_of(&NOUNS).copied().unwrap_or("thing");
    [adjective, noun]
}

#[cfg(test)]
mod tests;
