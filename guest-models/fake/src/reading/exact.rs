//! The words that an answer is to consist of, where the prompt names them: `reply with exactly X`,
//! `say X and nothing else`, and the same in other languages.

use alloc::string::String;

use super::Word;
use crate::lexicon::Sign;
use crate::words::{self, Script, is_in, lowered, script};

/// The longest such words, in bytes.
const BYTES_MAX: usize = 2000;
/// What may stand between the verb and the words.
const BETWEEN: &str = "back with only just exactly the word words text phrase string sentence following literal literally precisely verbatim after me this one single to please by saying message answer response value token letters mit genau nur exakt ausschließlich dem das wort satz con solo sólo solamente únicamente exactamente exatamente la palabra par avec uniquement seulement exactement juste le mot com apenas somente só palavra soltanto esattamente parola только ровно точно словом слово фразу";
/// Of these, what says that nothing else may be there.
const STRICT: &str = "only just exactly literally precisely verbatim genau nur exakt ausschließlich solo sólo solamente únicamente exactamente exatamente uniquement seulement exactement juste apenas somente só soltanto esattamente только ровно точно";
/// Of these, what says that words follow.
const NAMES_WORDS: &str = "word words text phrase string sentence following wort satz palabra mot palavra parola словом слово фразу";
/// What ends the words.
const ENDS: [&str; 22] = [
    " and nothing else",
    " and nothing more",
    ", nothing else",
    ", nothing more",
    " nothing else",
    " and no other",
    ". nothing else",
    ". do not",
    ". don't",
    ". no ",
    " without any",
    " without anything",
    " und sonst nichts",
    " und nichts anderes",
    " y nada más",
    " et rien d'autre",
    " e nient'altro",
    " e nada mais",
    " и ничего больше",
    " и ничего кроме",
    " ولا شيء آخر",
    " और कुछ नहीं",
];
/// What `only` is said of when it is not words: `reply with only the number`.
const KINDS: &str = "json yaml xml html markdown code sql csv english french german spanish number numbers name names list yes no valid a an the in as your its my one two three if when digits";

/// The words, if the prompt names some.
pub(super) fn exact(text: &str, read: &[Word<'_>], may_be: bool) -> Option<String> {
    if !may_be {
        return None;
    }
    if let Some(words) = unspaced(text) {
        return Some(words);
    }
    for (index, verb) in read.iter().enumerate() {
        // `Write only: 7`
        let is_write = verb.text.eq_ignore_ascii_case("write")
            && read
                .get(index + 1)
                .is_some_and(|next| is_in(STRICT, &lowered(next.text)));
        if !verb.has(Sign::Say) && !is_write {
            continue;
        }
        if let Some(words) = behind(text, read, index) {
            return Some(words);
        }
    }
    None
}

/// The words behind a verb.
fn behind(text: &str, read: &[Word<'_>], verb: usize) -> Option<String> {
    let mut at = verb + 1;
    let (mut strict, mut names_words, mut counts_words) = (false, false, false);
    let mut first_behind = None;
    while let Some(word) = read.get(at) {
        let lower = lowered(word.text);
        let end = word_end(read, at - 1);
        let gap = text.get(end..word.at).unwrap_or_default();
        first_behind = Some(end);
        // A quotation or a colon begins the words.
        if gap.contains(['"', '“', '„', '«', '\'', '‘', '`', ':', '\n']) || !is_in(BETWEEN, &lower)
        {
            break;
        }
        // `with one word: …` is about the length.
        let is_counted = is_in("one single", &lowered(before_of(read, at)));
        // `with the single word X` names it.
        let is_named = is_counted
            && at.checked_sub(2).is_some_and(|the| {
                read.get(the)
                    .is_some_and(|the| the.text.eq_ignore_ascii_case("the"))
            })
            && read.get(at + 1).is_some_and(|next| next.joined);
        counts_words |= word.has(Sign::Word) && is_counted && !is_named;
        strict |= word.has(Sign::Word) && is_named;
        strict |= is_in(STRICT, &lower);
        names_words |= is_in(NAMES_WORDS, &lower);
        first_behind = Some(word_end(read, at));
        at += 1;
    }
    if counts_words && !strict {
        return None;
    }
    let start = first_behind.unwrap_or_else(|| word_end(read, verb));
    let rest = text.get(start..)?;
    let begins = |letter: char| letter.is_whitespace() || matches!(letter, ':' | '：' | ',');
    let has_colon = rest.trim_start().starts_with([':', '：']);
    let rest = rest.trim_start_matches(begins);
    // Without `exactly`, what stands in quotation marks right behind the verb is meant.
    let is_quoted = rest.starts_with(['"', '“', '„', '«', '‘', '`', '\'']);
    let lower = lowered(rest);
    let end = ENDS.iter().filter_map(|end| lower.find(end)).min();
    let says = read.get(verb).is_some_and(|verb| {
        is_in(
            "say repeat echo print output di dis sag sage diga скажи قل कहो",
            &lowered(verb.text),
        )
    });
    if is_quoted && (strict || names_words || has_colon || end.is_some() || says) {
        return quoted(rest);
    }
    let first = read
        .get(at)
        .map(|word| lowered(word.text))
        .unwrap_or_default();
    let counts = read.get(at).is_some_and(|word| {
        word.tag.number().is_some()
            || word
                .text
                .starts_with(|letter: char| letter.is_ascii_digit())
    });
    // `exactly three sentences` is about the length.
    let unit = read.iter().skip(at).take(4).any(|word| {
        word.has(Sign::Word)
            || word.has(Sign::Sentence)
            || word.has(Sign::Item)
            || word.has(Sign::Paragraph)
    });
    if counts && unit {
        return None;
    }
    let is_kind = is_in(KINDS, &first) && !has_colon && !names_words;
    let repeats = read.get(verb).is_some_and(|verb| {
        is_in(
            "repeat echo wiederhole répète répétez repite repita ripeti повтори",
            &lowered(verb.text),
        )
    });
    let meant = strict && !is_kind
        || end.is_some() && says
        || has_colon && (strict || names_words || repeats)
        || names_words && strict;
    if meant {
        // The ends are ASCII or of as many bytes in either case.
        let words = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
        return plain(words, has_colon);
    }
    // `Say this is a test`, as the first example of many a library has it.
    let is_command = verb == 0
        && says
        && read
            .get(verb)
            .is_some_and(|verb| verb.text.eq_ignore_ascii_case("say"));
    let is_open = is_in(
        "something anything a some more what why how if it that hello hi nothing whatever your",
        &first,
    );
    if is_command && !is_open && read.len() > at {
        let words = text.get(read.get(verb + 1)?.at..)?;
        return plain(words, false).map(|words| {
            let mut said = words::capitalised(&words);
            if !said.ends_with(['.', '!', '?']) {
                said.push('.');
            }
            said
        });
    }
    None
}

fn before_of<'a>(read: &[Word<'a>], at: usize) -> &'a str {
    let before = at.checked_sub(1).and_then(|before| read.get(before));
    before.map_or("", |before| before.text)
}

fn word_end(read: &[Word<'_>], at: usize) -> usize {
    read.get(at).map_or(0, |word| word.at + word.text.len())
}

/// What stands in the quotation marks that a text begins with.
fn quoted(text: &str) -> Option<String> {
    let open = text.chars().next()?;
    let close = match open {
        '“' => '”',
        '„' => '“',
        '«' => '»',
        '‘' => '’',
        '「' => '」',
        '『' => '』',
        other => other,
    };
    let inner = text.get(open.len_utf8()..)?;
    let end = inner.find(close).or_else(|| inner.find(['"', '”']))?;
    let words = inner.get(..end)?;
    (!words.is_empty() && words.len() <= BYTES_MAX).then(|| words.into())
}

/// Words without quotation marks: up to the end of the line, and without the full stop of the
/// sentence that they stand in.
fn plain(text: &str, has_colon: bool) -> Option<String> {
    let text = text.trim();
    let line = if has_colon {
        text
    } else {
        text.lines().next()?
    };
    let line = line.trim().trim_end_matches([',', ';']);
    if line.starts_with(['"', '“', '„', '«', '‘', '`', '「', '\'']) && quoted(line).is_some()
    {
        return quoted(line);
    }
    let stop = line.strip_suffix('.').filter(|rest| {
        let is_sentence = has_colon && rest.contains(' ') && rest.starts_with(words::is_upper);
        !is_sentence && !rest.ends_with('.')
    });
    let words = stop.unwrap_or(line).trim();
    (!words.is_empty() && words.len() <= BYTES_MAX).then(|| words.into())
}

/// In scripts without spaces: what stands in quotation marks, or behind the words that lead to it.
fn unspaced(text: &str) -> Option<String> {
    const MARKS: [&str; 9] = [
        "只",
        "仅",
        "だけ",
        "のみ",
        "라고만",
        "만 ",
        "فقط",
        "केवल",
        "सिर्फ",
    ];
    const LEADS: [&str; 14] = [
        "只回复",
        "只回答",
        "只说",
        "只输出",
        "仅回复",
        "仅回答",
        "请回复",
        "仅输出",
        "أجب فقط بـ",
        "قل فقط",
        "أجب بـ",
        "केवल यह लिखें",
        "केवल",
        "सिर्फ",
    ];
    let beyond = |letter: char| {
        matches!(
            script(letter),
            Script::Han | Script::Kana | Script::Hangul | Script::Arabic | Script::Devanagari
        )
    };
    if !text.contains(beyond) || !MARKS.iter().any(|mark| text.contains(mark)) {
        return None;
    }
    let opens = text.find(['"', '“', '「', '『', '‘', '\'', '«']);
    if let Some(words) = opens.and_then(|at| quoted(text.get(at..)?)) {
        return Some(words);
    }
    let (at, lead) = LEADS
        .iter()
        .find_map(|lead| Some((text.find(lead)?, *lead)))?;
    let rest = text.get(at + lead.len()..)?;
    let rest = rest.trim_start_matches([':', '：', ' ']);
    // `只回答一个词` is about the length.
    if rest.starts_with(['一', '两', '三', '数'])
        || rest.starts_with(|first: char| first.is_ascii_digit())
            && rest.contains(['个', '句', '字'])
    {
        return None;
    }
    let end = rest
        .find(['。', '，', '\n', '，', '؟', '।'])
        .unwrap_or(rest.len());
    let words = rest.get(..end)?.trim();
    let words = ["लिखें", "लिखो", "कहें", "कहो", "लिखिए", "बोलो"]
        .iter()
        .find_map(|verb| words.strip_suffix(verb))
        .unwrap_or(words);
    let words = words.trim().trim_end_matches('.');
    (!words.is_empty() && words.len() <= BYTES_MAX).then(|| words.into())
}
