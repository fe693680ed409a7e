//! Reads a text word by word, and asks of each what it is.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Entity, Kind, numbers, proper};
use crate::words::{self, lowered};

/// A word as it stands between spaces, without the marks around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    /// The marks before and behind it.
    pub(super) lead: &'a str,
    pub(super) trail: &'a str,
    /// Whether it begins a sentence.
    pub(super) begins: bool,
}

impl Word<'_> {
    /// Whether it is a title, behind which a full stop ends nothing.
    fn is_title(&self) -> bool {
        words::is_in("Dr Mr Mrs Ms Prof St", self.text)
    }

    /// Whether a clause ends with it.
    pub(super) fn ends_clause(&self) -> bool {
        let marks = [',', ';', ':', '.', '!', '?', ')', '\n', '،', '؟'];
        !self.is_title() && self.trail.contains(marks)
    }

    pub(super) fn ends_sentence(&self) -> bool {
        !self.is_title() && self.trail.contains(['.', '!', '?', ':', '\n', '؟'])
    }
}

pub(super) fn scan(text: &str) -> Vec<Entity> {
    let mut words = split(text);
    let mut found = Vec::new();
    quoted(text, &mut found);
    let mut index = 0;
    let mut lists_people = false;
    while index < words.len() {
        let before = index.checked_sub(1).and_then(|before| words.get(before));
        let is_announced = before.is_some_and(announces_people);
        if let Some(first) = words.get_mut(index).filter(|word| word.begins) {
            lists_people = is_announced;
            // Its capital letter is that of a name.
            first.begins &= !is_announced;
        }
        let Some(word) = words.get(index) else {
            break;
        };
        let rest = words.get(index..).unwrap_or_default();
        let before = index
            .checked_sub(1)
            .and_then(|before| words.get(before))
            .filter(|before| !before.ends_clause());
        let before = before.map(|word| lowered(word.text)).unwrap_or_default();
        let (entity, length) = match plain(word).map(|entity| (entity, 1)) {
            Some(found) => found,
            None => match numbers::read(rest).or_else(|| proper::read(rest, &before)) {
                Some(found) => found,
                None => {
                    index += 1;
                    continue;
                }
            },
        };
        let after = following(rest, length);
        // `Invoice 2024-117` has no telephone.
        let is_code = entity.kind == Kind::Phone
            && words::is_in(
                "invoice order ticket reference case account contract number nr no rechnung factura facture",
                &before,
            );
        let is_beside_person =
            entity.kind == Kind::Name && (lists_people || goes_on(text, found.last(), word.at));
        found.push(Entity {
            kind: if is_code {
                Kind::Code
            } else if is_beside_person {
                Kind::Person
            } else {
                entity.kind
            },
            before,
            after: match (entity.kind, entity.after.is_empty()) {
                (Kind::Number, true) => after,
                _ => entity.after,
            },
            at: word.at,
            ..entity
        });
        index += length.max(1);
    }
    wares(text, &mut found);
    proper::beyond_latin(text, &mut found);
    numbers::among_letters(text, &mut found);
    // A short quotation is one name, and not several.
    let quoted: Vec<(usize, usize)> = found
        .iter()
        .filter(|entity| entity.kind == Kind::Quoted && entity.text.split(' ').count() <= 4)
        .map(|entity| (entity.at, entity.at + entity.text.len()))
        .collect();
    found.retain(|entity| {
        entity.kind != Kind::Name
            || !quoted
                .iter()
                .any(|&(from, to)| (from..to).contains(&entity.at))
    });
    words::sort_by_key(&mut found, |entity| (0, entity.at));
    found
}

/// Whether what follows a word are people, as in `Users: Ann (30), Bo (25)`.
fn announces_people(word: &Word<'_>) -> bool {
    word.trail.contains(':')
        && words::is_in(
            "users people persons names contacts customers attendees participants members employees students guests players passengers",
            &lowered(word.text),
        )
}

/// Tells what is ordered from what is only counted: `order 3 keyboards`.
fn wares(text: &str, found: &mut [Entity]) {
    const ORDERS: [&str; 10] = [
        "order", "buy", "purchase", "cart", "invoice", "bestelle", "kaufe", "compra", "pedido",
        "commande",
    ];
    const NO_WARES: &str = "and or to in on at for from of with by is plus minus times the a und y et e day days week weeks hour hours minute minutes month months year years night nights percent item items piece pieces each more people persons guests times";
    let is_order = || ORDERS.iter().any(|word| words::find(text, word).is_some());
    let has_numbers = found.iter().any(|entity| entity.kind == Kind::Number);
    if !has_numbers || !is_order() {
        return;
    }
    for entity in found.iter_mut() {
        let noun = &entity.after;
        let is_ware =
            noun.len() > 2 && !words::is_in(NO_WARES, noun) && noun.chars().all(words::is_letter);
        if entity.kind == Kind::Number && entity.plain.is_empty() && is_ware {
            entity.plain.clone_from(&entity.after);
        }
    }
}

/// Whether what begins there goes on with a list of people.
fn goes_on(text: &str, last: Option<&Entity>, at: usize) -> bool {
    let Some(last) = last.filter(|last| last.kind == Kind::Person) else {
        return false;
    };
    let between = text.get(last.at + last.text.len()..at).unwrap_or_default();
    let between = between.trim().trim_start_matches(',').trim();
    matches!(between, "" | "and" | "&" | "und" | "y" | "et" | "e")
        && at > last.at + last.text.len() + 1
}

/// The word after those that an entity took, in the same clause.
fn following(words: &[Word<'_>], length: usize) -> String {
    let last = words.get(length.saturating_sub(1));
    if last.is_none_or(Word::ends_clause) {
        return String::new();
    }
    words
        .get(length)
        .map(|word| lowered(word.text))
        .unwrap_or_default()
}

/// An entity about which nothing else is known yet.
pub(super) fn entity(kind: Kind, text: impl Into<String>) -> Entity {
    Entity {
        kind,
        text: text.into(),
        number: 0.0,
        plain: String::new(),
        before: String::new(),
        after: String::new(),
        at: 0,
        weak: false,
    }
}

fn split(text: &str) -> Vec<Word<'_>> {
    let mut words: Vec<Word<'_>> = Vec::new();
    let mut begins = true;
    let mut rest = text;
    let mut at = 0;
    while !rest.is_empty() {
        let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (chunk, after) = rest.split_at(length);
        let spaces = after
            .find(|letter: char| !letter.is_whitespace())
            .unwrap_or(after.len());
        if !chunk.is_empty() {
            let is_mark = |letter: char| "([{<\"'“”‘’«»„¿¡*_`«「『（".contains(letter);
            let inner = chunk.trim_start_matches(is_mark);
            let lead = chunk.get(..chunk.len() - inner.len()).unwrap_or_default();
            let ends = |letter: char| ".,;:!?)]}>\"'“”’»*_`。、，！？」』）،؟".contains(letter);
            let core = inner.trim_end_matches(ends);
            // `5.` and `5,` are numbers; what they end is a clause.
            let trail = inner.get(core.len()..).unwrap_or_default();
            let has_line_end = after.get(..spaces).is_some_and(|gap| gap.contains('\n'));
            if !core.is_empty() {
                words.push(Word {
                    text: core,
                    at: at + lead.len(),
                    lead,
                    trail: if has_line_end && trail.is_empty() {
                        "\n"
                    } else {
                        trail
                    },
                    begins,
                });
                begins = words.last().is_some_and(Word::ends_sentence);
            }
        }
        at += length + spaces;
        rest = after.get(spaces..).unwrap_or_default();
    }
    words
}

/// What a word is by its looks alone.
fn plain(word: &Word<'_>) -> Option<Entity> {
    let text = word.text;
    let has_digit = || text.bytes().any(|byte| byte.is_ascii_digit());
    if let Some((user, host)) = text.split_once('@') {
        let is_email = !user.is_empty() && host.contains('.') && text.is_ascii();
        return is_email.then(|| entity(Kind::Email, text));
    }
    for scheme in ["https://", "http://", "www."] {
        if text.starts_with(scheme) {
            return Some(entity(Kind::Url, text));
        }
    }
    if crate::schema::is_uuid(text) {
        return Some(entity(Kind::Uuid, text));
    }
    if text.split('.').count() == 4 && text.split('.').all(|part| part.parse::<u8>().is_ok()) {
        return Some(entity(Kind::Ip, text));
    }
    if let Some((name, ending)) = text.rsplit_once('.')
        && words::is_in(FILE_ENDINGS, ending)
        && !name.is_empty()
    {
        return Some(entity(Kind::File, text));
    }
    // `ORD-12345`, `#4711`, `AA123`: a name that a program gave.
    let is_code = text.is_ascii()
        && has_digit()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_#/".contains(&byte));
    let letters = text.bytes().filter(u8::is_ascii_uppercase).count();
    let has_small = text.bytes().any(|byte| byte.is_ascii_lowercase());
    if is_code
        && (text.starts_with('#') || letters >= 1 && !has_small && text.len() >= 3)
        && !text.ends_with("AM")
        && !text.ends_with("PM")
    {
        return Some(entity(Kind::Code, text.trim_start_matches('#')));
    }
    if text.len() >= 2 && text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        if words::is_in(CURRENCIES, text) {
            return Some(entity(Kind::Currency, text));
        }
        if text.len() >= 3 && !words::is_in(NO_SYMBOLS, text) {
            return Some(entity(Kind::Symbol, text));
        }
    }
    None
}

const FILE_ENDINGS: &str = "pdf txt csv json xml md doc docx xls xlsx ppt pptx png jpg jpeg gif zip py js ts rs html css yaml yml toml log mp3 mp4 wav";
pub(super) const CURRENCIES: &str = "USD EUR GBP JPY CNY INR CHF KRW RUB MXN BRL AUD CAD SEK NOK DKK PLN TRY ZAR NZD SGD HKD AED ARS CLP EGP KES BTC ETH";
const NO_SYMBOLS: &str = "THE AND FOR NOT YOU ARE JSON HTML HTTP YAML XML SQL CSV API URL PDF FAQ CEO OK ASAP UTC GMT AM PM NYC USA UK ONLY ALL NASA";

/// What stands in quotation marks.
fn quoted(text: &str, found: &mut Vec<Entity>) {
    const PAIRS: [(char, char); 9] = [
        ('"', '"'),
        ('“', '”'),
        ('„', '“'),
        ('«', '»'),
        ('‘', '’'),
        ('「', '」'),
        ('『', '』'),
        ('`', '`'),
        ('\'', '\''),
    ];
    let mut from = 0;
    while let Some(rest) = text.get(from..) {
        let opening = rest.char_indices().find_map(|(at, letter)| {
            let pair = PAIRS.iter().find(|(open, _)| *open == letter)?;
            // An apostrophe is none.
            let before = rest.get(..at).and_then(|before| before.chars().next_back());
            (letter != '\'' || before.is_none_or(|before| !words::is_letter(before)))
                .then_some((at, pair))
        });
        let Some((at, (open, close))) = opening else {
            return;
        };
        let start = from + at + open.len_utf8();
        let inner = text.get(start..).unwrap_or_default();
        let end = inner.char_indices().find(|&(end, letter)| {
            let next = inner
                .get(end + letter.len_utf8()..)
                .and_then(|rest| rest.chars().next());
            letter == *close && (*close != '\'' || next.is_none_or(|next| !words::is_letter(next)))
        });
        let Some((length, _)) = end else {
            from = start;
            continue;
        };
        let inside = inner.get(..length).unwrap_or_default();
        if !inside.trim().is_empty() {
            let mut quoted = entity(Kind::Quoted, inside);
            quoted.at = start;
            let before = text.get(..from + at).unwrap_or_default();
            quoted.before = before
                .split(|letter: char| !words::is_letter(letter))
                .rfind(|word| !word.is_empty())
                .map(lowered)
                .unwrap_or_default();
            found.push(quoted);
        }
        from = start + length + close.len_utf8();
    }
}
