//! What a prompt is about: phrases of it that an answer can take up as they are.

use alloc::string::String;
use alloc::vec::Vec;

use super::Word;
use crate::language::Language;
use crate::lexicon::Sign;
use crate::words::{self, Script, is_in, script};

/// How many phrases are taken, and how long each may be.
const TOPICS_MAX: usize = 4;
const WORDS_MAX: usize = 5;
const BYTES_MAX: usize = 60;
/// How many words a deed has behind its verb.
const DEED_WORDS_MAX: usize = 7;
/// How far into a text without spaces they are looked for, in bytes.
const UNSPACED_BYTES: usize = 384;

/// Something that a prompt is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Topic {
    /// With its article, where it has one.
    pub(crate) text: String,
    bare_at: usize,
    /// What is to be done with it, as in `sort a list`. In English only.
    pub(crate) deed: Option<String>,
}

impl Topic {
    pub(crate) fn new(article: &str, bare: &str, deed: Option<String>) -> Self {
        if article.is_empty() {
            return Self {
                text: bare.into(),
                bare_at: 0,
                deed,
            };
        }
        Self {
            text: [article, " ", bare].concat(),
            bare_at: article.len() + 1,
            deed,
        }
    }

    /// Without its article.
    pub(crate) fn bare(&self) -> &str {
        self.text.get(self.bare_at..).unwrap_or_default()
    }
}

/// What stands between two words of one name, in the languages that need it.
const LINKS: &str =
    "de du des la le les el los las del della delle dei do da dos das di von der die den zu en";

pub(super) fn topics(text: &str, read: &[Word<'_>], language: Language) -> Vec<Topic> {
    let mut topics: Vec<Topic> = Vec::new();
    match language {
        Language::Chinese => chinese(text, &mut topics),
        Language::Japanese => japanese(text, &mut topics),
        _ => {
            // What stands behind `about` is what it is about.
            let about = read.iter().position(|word| word.has(Sign::About));
            let before = about.unwrap_or(read.len());
            spaced(text, read, before, language, &mut topics);
            let before = read.get(..before).unwrap_or_default();
            spaced(text, before, 0, language, &mut topics);
        }
    }
    topics.truncate(TOPICS_MAX);
    topics
}

fn add(topics: &mut Vec<Topic>, article: &str, bare: &str, deed: Option<String>) {
    let is_known = topics.iter().any(|known| known.bare() == bare);
    if !bare.is_empty() && !is_known && topics.len() < TOPICS_MAX {
        topics.push(Topic::new(article, bare, deed));
    }
}

/// Whether a word can be what a prompt is about.
fn is_content(word: &Word<'_>) -> bool {
    let mut letters = word.text.chars();
    let Some(first) = letters.next() else {
        return false;
    };
    if word.tag.is_known()
        || first.is_ascii_digit() && letters.all(|letter| letter.is_ascii_digit())
    {
        return false;
    }
    let is_short = first.is_ascii() && word.text.len() < 3;
    !is_short || words::is_upper(first) && word.text.len() > 1
}

/// Phrases of words with spaces between them, from a place on.
fn spaced(text: &str, read: &[Word<'_>], from: usize, language: Language, topics: &mut Vec<Topic>) {
    let mut at = from;
    while at < read.len() && topics.len() < TOPICS_MAX {
        let Some(first) = read.get(at).filter(|word| is_content(word)) else {
            at += 1;
            continue;
        };
        let mut last = at;
        while let Some(next) = next_of_phrase(read, last, language) {
            if next + 1 - at > WORDS_MAX {
                break;
            }
            last = next;
        }
        let end = last + 1;
        let mut start = at;
        if language == Language::English {
            last = cut_at_verb(read, at, last);
            // `reasons to visit Lisbon`: what is to be done is no part of it.
            let is_deed = at
                .checked_sub(1)
                .and_then(|before| read.get(before))
                .is_some_and(|before| before.text == "to");
            if is_deed && first.joined && last > at && !first.text.starts_with(words::is_upper) {
                start += 1;
            }
        }
        let slice = |from: &Word<'_>, to: usize| {
            let to = read
                .get(to)
                .map_or(from.at, |word| word.at + word.text.len());
            text.get(from.at..to)
                .filter(|slice| slice.len() <= BYTES_MAX)
        };
        if let Some(bare) = read.get(start).and_then(|first| slice(first, last)) {
            match language {
                Language::English => {
                    let (article, bare, deed) = in_english(read, start, last, bare, slice);
                    add(topics, article, bare, deed);
                }
                Language::Korean => add(topics, "", without_particle(bare), None),
                _ => add(topics, "", bare, None),
            }
        }
        at = end;
    }
}

/// The next word of a phrase, over what links it.
fn next_of_phrase(read: &[Word<'_>], last: usize, language: Language) -> Option<usize> {
    let next = read.get(last + 1).filter(|word| word.joined)?;
    if is_content(next) {
        return Some(last + 1);
    }
    let behind = |steps: usize| {
        let between = read.get(last + 2..last + 2 + steps)?;
        let word = read.get(last + 2 + steps)?;
        let linked = between.iter().all(|word| word.joined) && word.joined && is_content(word);
        linked.then_some((between, last + 2 + steps))
    };
    if language == Language::English {
        let is_link = next.has(Sign::Of)
            || next.text == "in"
                && read
                    .get(last + 2)
                    .is_some_and(|word| word.text.starts_with(words::is_upper));
        if !is_link {
            return None;
        }
        return behind(0).map(|(_, at)| at).or_else(|| {
            let (between, at) = behind(1)?;
            between.first().filter(|word| word.has(Sign::Article))?;
            Some(at)
        });
    }
    if !is_in(LINKS, next.text) {
        return None;
    }
    behind(0).map(|(_, at)| at).or_else(|| {
        let (between, at) = behind(1)?;
        between.first().filter(|word| is_in(LINKS, word.text))?;
        Some(at)
    })
}

/// Where the noun ends in a question such as `why are beacons bright`: before what is said of it.
fn cut_at_verb(read: &[Word<'_>], first: usize, last: usize) -> usize {
    let Some(before) = read.get(..first) else {
        return last;
    };
    // `how many`, `the`: what may stand between the verb of a question and its subject.
    let verb = before
        .iter()
        .rev()
        .take(2)
        .find(|word| word.has(Sign::Be) || word.has(Sign::Do));
    let asks = before
        .iter()
        .any(|word| word.has(Sign::Why) || word.has(Sign::How));
    let person = before.last().is_some_and(|word| word.has(Sign::Person));
    if last == first || verb.is_none() || !asks || person {
        return last;
    }
    // Up to a plural, which is likely to be the noun; `why is the sky blue` has its own.
    let words = read.get(first..last).unwrap_or_default();
    match words
        .iter()
        .position(|word| words::singular(word.text) != word.text)
    {
        Some(place) => first + place,
        None if before.last().is_some_and(|word| word.has(Sign::Article)) => first,
        None => last - 1,
    }
}

/// The article that stands before a phrase, the phrase, and the deed that it is part of.
fn in_english<'a>(
    read: &[Word<'a>],
    first: usize,
    last: usize,
    bare: &'a str,
    slice: impl Fn(&Word<'a>, usize) -> Option<&'a str>,
) -> (&'a str, &'a str, Option<String>) {
    let before = first.checked_sub(1).and_then(|before| read.get(before));
    let follows = read.get(first).is_some_and(|word| word.joined);
    let article = before.filter(|before| follows && before.has(Sign::Article));
    let article = article.map_or("", |article| match article.text {
        "my" | "My" | "our" | "Our" => "your",
        "The" => "the",
        "A" => "a",
        "An" => "an",
        "This" => "this",
        other => other,
    });
    // `How do I sort a list`, `how to sort a list`: all of it is the deed.
    let asks = |word: &Word<'_>| word.has(Sign::How);
    let how = read.get(..first).unwrap_or_default().iter().rposition(asks);
    let Some(how) = how.filter(|how| first - how <= 3) else {
        return (article, bare, None);
    };
    let between = read.get(how + 1..first).unwrap_or_default();
    let leads = between
        .iter()
        .any(|word| word.has(Sign::Person) || word.text == "to");
    let Some(verb) = read.get(first).filter(|_| leads) else {
        return (article, bare, None);
    };
    let mut end = last;
    while read.get(end + 1).is_some_and(|next| next.joined) && end - first < DEED_WORDS_MAX {
        end += 1;
    }
    let deed = slice(verb, end).map(String::from);
    // What it is done with is the topic: `a list in Python`.
    if let Some(object) = read.get(first + 1).filter(|_| end > first) {
        let behind = read
            .get(first + 2)
            .filter(|_| object.has(Sign::Article) && end > first + 1);
        let (article, from) = match behind {
            Some(behind) => (object.text, behind),
            None => ("", object),
        };
        if let Some(object) = slice(from, end) {
            return (article, object, deed);
        }
    }
    (article, bare, deed)
}

/// A Korean word without the particle that says what it is in its sentence.
fn without_particle(word: &str) -> &str {
    const PARTICLES: [&str; 14] = [
        "에서는",
        "이란",
        "에서",
        "에게",
        "으로",
        "란",
        "은",
        "는",
        "을",
        "를",
        "의",
        "에",
        "와",
        "과",
    ];
    for particle in PARTICLES {
        if let Some(stem) = word
            .strip_suffix(particle)
            .filter(|stem| stem.chars().count() >= 2)
        {
            return stem;
        }
    }
    // What marks the subject has two forms, by how the word before it ends; some animals end so.
    const NOUNS: &str = "고양이 어린이 원숭이 호랑이 거북이 종이 달팽이 지렁이 놀이 아이";
    let closed = |stem: &str| {
        let last = stem.chars().next_back().map_or(0, u32::from);
        (0xac00..=0xd7a3).contains(&last) && !(last - 0xac00).is_multiple_of(28)
    };
    let subject = word.strip_suffix('가').filter(|stem| !closed(stem));
    let subject = subject.or_else(|| {
        word.strip_suffix('이')
            .filter(|stem| closed(stem) && !is_in(NOUNS, word))
    });
    subject
        .filter(|stem| stem.chars().count() >= 2)
        .unwrap_or(word)
}

/// The names of what is compared: around `and`, `vs` and commas, a word or two each.
pub(crate) fn compared(said: &str) -> Vec<String> {
    const JOINTS: &str = "and vs vs. versus or und y et e mit con avec to with";
    const NO_NAMES: &str = "compare comparing comparison between of a an the table make create show me in for markdown vergleiche zwischen vergleich compara comparez entre";
    let mut things: Vec<String> = Vec::new();
    let mut thing = String::new();
    for word in said.split_whitespace() {
        let bare = word.trim_matches(|letter: char| ",.:;?!\"'".contains(letter));
        let lower = words::lowered(bare);
        let is_joint = is_in(JOINTS, &lower);
        let counts = bare.starts_with(|first: char| first.is_ascii_digit());
        if counts || is_in(NO_NAMES, &lower) || bare.is_empty() {
            if !things.is_empty() {
                break;
            }
            // What stands before the first is none of them.
            thing.clear();
        } else if is_joint {
            push_thing(&mut things, &mut thing);
        } else {
            if !thing.is_empty() {
                thing.push(' ');
            }
            thing.push_str(bare);
        }
        if word.ends_with([',', '.', ':', '?', ';']) {
            push_thing(&mut things, &mut thing);
        }
    }
    push_thing(&mut things, &mut thing);
    things.truncate(TOPICS_MAX);
    things
}

fn push_thing(things: &mut Vec<String>, thing: &mut String) {
    if !thing.is_empty() && thing.split(' ').count() <= 2 {
        things.push(core::mem::take(thing));
    }
    thing.clear();
}

/// Runs of characters between words that say nothing about the subject.
fn chinese(text: &str, topics: &mut Vec<Topic>) {
    const STOPS: &str = "一句话 两句话 三句话 四句话 五句话 请问 请 您 你 我 他 她 它 们 的 是 了 吗 呢 吧 什么 怎么样 怎么 怎样 如何 为什么 为何 介绍 一下 告诉 关于 解释 说明 描述 一个 一篇 一首 一段 三个 五个 两句 三句 一句 可以 能否 这 那 哪里 哪 谁 多少 简单 简要 详细 中文 英文 英语 列出 列表 表格 代码 函数 回答 回复 句话 个词 文章 故事 理由 不要 其他 输出 编写";
    // These are parts of other words, too: they only lead to what is meant.
    const LEADS: &str = "用 在 有 给 从 对 把 写 说 讲 想 要 和 与 到 个 首 篇 做 帮 句 数 只";
    let text = text
        .get(..text.floor_char_boundary(UNSPACED_BYTES))
        .unwrap_or(text);
    let mut run = String::new();
    let mut rest = text;
    loop {
        let begins = |list: &'static str| list.split(' ').find(|stop| rest.starts_with(stop));
        let stop = begins(STOPS).or_else(|| begins(LEADS).filter(|_| run.is_empty()));
        let next = rest.chars().next();
        let goes_on = stop.is_none() && next.is_some_and(|letter| is_of_run(letter, &run));
        match next.filter(|_| goes_on) {
            Some(letter) => {
                run.push(letter);
                rest = rest.get(letter.len_utf8()..).unwrap_or_default();
            }
            None => {
                finish(&mut run, topics);
                let skipped = stop.map_or_else(|| next.map_or(0, char::len_utf8), str::len);
                if skipped == 0 {
                    return;
                }
                rest = rest.get(skipped..).unwrap_or_default();
            }
        }
    }
}

/// Runs of Chinese characters and katakana, which is what nouns are written in.
fn japanese(text: &str, topics: &mut Vec<Topic>) {
    const STOPS: &str = "何 説明 教 書 言 文 回答 質問 日本語 英語 一言 一 二 三 四 五 六 七 八 九 十 私 簡単 詳 短 長 表 一覧 リスト コード 関数 返 出力 作 物語 記事 数 単語 字 例 一番 以下 次";
    let text = text
        .get(..text.floor_char_boundary(UNSPACED_BYTES))
        .unwrap_or(text);
    let mut run = String::new();
    for letter in text.chars() {
        let is_hiragana = ('\u{3041}'..='\u{309f}').contains(&letter);
        if is_of_run(letter, &run) && !is_hiragana {
            run.push(letter);
            continue;
        }
        if is_in(STOPS, &run) || run.starts_with("教") {
            run.clear();
        }
        finish(&mut run, topics);
    }
    if is_in(STOPS, &run) {
        run.clear();
    }
    finish(&mut run, topics);
}

fn is_of_run(letter: char, run: &str) -> bool {
    let kind = script(letter);
    matches!(kind, Script::Han | Script::Kana)
        || letter == 'ー'
        || letter.is_ascii_alphanumeric()
        || kind == Script::Latin
        || !run.is_empty() && letter == '・'
}

/// Adds a run as a topic, if it is long enough to be one.
fn finish(run: &mut String, topics: &mut Vec<Topic>) {
    let letters = run.chars().count();
    let is_number = run.bytes().all(|byte| byte.is_ascii_digit());
    let is_long = letters >= 2 || run.chars().any(|letter| script(letter) == Script::Han);
    if letters > 0 && is_long && !is_number && run.len() <= BYTES_MAX {
        // Single characters say little: they come last.
        if letters >= 2 || topics.is_empty() {
            add(topics, "", run, None);
        }
    }
    run.clear();
}
