//! How an answer is to look: its form and its length, as the prompt asks for them.

use alloc::string::String;

use super::{Word, exact, language_of};
use crate::language::Language;
use crate::lexicon::{Sign, Tag};
use crate::words::{self, is_in, lowered};

/// How far before the noun its number may stand, in words.
const NUMBER_REACH: usize = 3;
/// The most of anything that a prompt can ask for.
const COUNT_MAX: u32 = 10_000;
const ROWS_MAX: u32 = 200;
/// How long thanks are that stand alone, in words.
const THANKS_WORDS_MAX: usize = 6;
/// From how many bytes on a text can be summed up.
const SUMMARY_BYTES_MIN: usize = 60;

/// What an answer is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    #[default]
    Prose,
    /// These characters and no others.
    Exact(String),
    OneWord,
    YesOrNo,
    /// A greeting that answers one.
    Greeting,
    /// So many items, numbered where the prompt names their number.
    List(u32, bool),
    Table,
    Code,
    /// Text with headings.
    Article,
    /// So many lines.
    Verse(u32),
    /// The beginning of what is to be summed up.
    Summary(String),
    Json,
    /// From one number to another, each on a line of its own or not.
    Numbers(i64, i64, bool),
}

/// What lists with marks and lists with numbers are called.
const BULLETS: &str =
    "bullet bullets bulleted unordered stichpunkte stichpunkten viñetas puces маркированный";
const NUMBERED: &str =
    "numbered enumerated nummerierte nummeriert numerada numérotée numerata нумерованный";

/// How long an answer is to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Length {
    #[default]
    Usual,
    Short,
    /// As an essay or a story is.
    Essay,
    /// As long as there may be tokens.
    Endless,
    Sentences(u32),
    Words(u32),
    Paragraphs(u32),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    pub(crate) form: Form,
    pub(crate) length: Length,
    /// The language that the prompt asks for by name.
    pub(crate) language: Option<Language>,
    /// Whether there may be something to calculate, whether a capital is asked for, and whether
    /// the user's own name is.
    pub(crate) calculates: bool,
    pub(crate) capital: bool,
    pub(crate) name: bool,
    /// Whether a translation, a joke or an answer to thanks is.
    pub(crate) translates: bool,
    pub(crate) joke: bool,
    pub(crate) thanks: bool,
    /// How many rows a table is to have, and whether it is to compare.
    pub(crate) rows: Option<u32>,
    pub(crate) compares: bool,
}

impl Wishes {
    /// The wishes of a text that is in that language, as far as that is known.
    pub(super) fn new(text: &str, read: &[Word<'_>], language: Option<Language>) -> Self {
        let mut found = Found::default();
        let mut said = Tag::default();
        for (index, word) in read.iter().enumerate() {
            said = said.and(word.tag);
            if word.tag.looks_around() {
                found.word(read, index, word);
            } else if !word.tag.is_known() {
                found.numbers += u32::from(word.is_number());
            }
        }
        found.signs(said);
        if matches!(
            language,
            Some(Language::Chinese | Language::Japanese | Language::Korean)
        ) {
            found.unspaced(text);
        }
        let mut wishes = Self {
            form: Form::Prose,
            length: found.length(),
            language: found.language,
            calculates: found.numbers >= 2,
            capital: found.capital,
            name: found.name,
            translates: found.translates
                || found.exactly && words::find(text, "how do you say").is_some(),
            joke: found.joke,
            thanks: found.thanks && read.len() <= THANKS_WORDS_MAX,
            rows: found.rows.map(|rows| rows.min(ROWS_MAX)),
            compares: found.compares,
        };
        wishes.form = if let Some(words) = exact::exact(text, read, found.exactly) {
            Form::Exact(words)
        } else if found.words == Some(1) {
            wishes.length = Length::Usual;
            if found.yes_or_no {
                Form::YesOrNo
            } else {
                Form::OneWord
            }
        } else if found.yes_or_no {
            Form::YesOrNo
        } else if let Some((from, to)) = found.counts.then(|| range_of(text)).flatten() {
            Form::Numbers(from, to, found.lines)
        } else if let Some(text) = found
            .sums_up
            .then(|| summary(text, found.sentences))
            .flatten()
        {
            Form::Summary(text)
        } else if found.table {
            Form::Table
        } else if found.code && (found.makes || found.code_twice) {
            Form::Code
        } else if found.json {
            Form::Json
        } else if found.list || found.items.is_some() {
            let many = found.items.unwrap_or(5);
            let says = |list| read.iter().any(|word| is_in(list, &lowered(word.text)));
            let is_numbered = says(NUMBERED) || found.items.is_some() && !says(BULLETS);
            Form::List(many.clamp(2, COUNT_MAX), is_numbered)
        } else if let Some(lines) = found.verse {
            Form::Verse(lines)
        } else if found.headings {
            Form::Article
        } else if found.greets && read.len() <= 3 {
            Form::Greeting
        } else {
            Form::Prose
        };
        wishes
    }

    /// Whether what is asked may be one of the few things that are known.
    pub(crate) fn may_be_known(&self) -> bool {
        self.calculates || self.capital || self.name || self.translates || self.joke || self.thanks
    }

    /// Takes over from the rules of the system what the user does not say otherwise.
    pub(super) fn follow(&mut self, rules: &Self) {
        let is_greeting = self.form == Form::Greeting && matches!(rules.form, Form::Exact(_));
        if (self.form == Form::Prose || is_greeting) && self.length == Length::Usual {
            self.length = rules.length;
            if matches!(
                rules.form,
                Form::Exact(_)
                    | Form::OneWord
                    | Form::YesOrNo
                    | Form::List(..)
                    | Form::Table
                    | Form::Json
            ) {
                self.form = rules.form.clone();
            }
        }
        self.language = self.language.or(rules.language);
    }
}

/// What is found word by word.
#[derive(Debug, Default)]
struct Found {
    exactly: bool,
    words: Option<u32>,
    sentences: Option<u32>,
    paragraphs: Option<u32>,
    items: Option<u32>,
    list: bool,
    table: bool,
    code: bool,
    code_twice: bool,
    makes: bool,
    headings: bool,
    counts: bool,
    long: bool,
    essay: bool,
    short: bool,
    endless: bool,
    greets: bool,
    lines: bool,
    yes_or_no: bool,
    numbers: u32,
    verse: Option<u32>,
    capital: bool,
    name: bool,
    translates: bool,
    joke: bool,
    thanks: bool,
    json: bool,
    may_be_json: bool,
    sums_up: bool,
    compares: bool,
    rows: Option<u32>,
    language: Option<Language>,
}

impl Found {
    fn word(&mut self, read: &[Word<'_>], index: usize, word: &Word<'_>) {
        if let Some(named) = word.tag.names_language() {
            self.names_language(read, index, named);
        }
        let before = |steps: usize| index.checked_sub(steps).and_then(|at| read.get(at));
        let counted = |found: &mut Option<u32>, least: u32| {
            let number = number_before(read, index).filter(|number| *number >= least);
            *found = found.or(number);
        };
        if word.has(Sign::Word) {
            counted(&mut self.words, 1);
        }
        if word.has(Sign::Sentence) {
            counted(&mut self.sentences, 1);
            let is_one = before(1).is_some_and(|before| before.text == "a");
            if is_one && before(2).is_some_and(|before| before.text.eq_ignore_ascii_case("in")) {
                self.sentences = self.sentences.or(Some(1));
            }
        }
        if word.has(Sign::Paragraph) {
            counted(&mut self.paragraphs, 1);
        }
        if word.has(Sign::Item) {
            counted(&mut self.items, 2);
        }
        if word.has(Sign::Line) {
            counted(&mut self.rows, 1);
        }
        if word.has(Sign::Json) {
            // `answer JSON`, `as JSON`; `in JSON` and `a JSON object` only where something is
            // to be made.
            let leads = |before: &Word<'_>| before.has(Sign::Say) || before.text == "as";
            let may_lead =
                |before: &Word<'_>| before.has(Sign::Exactly) || is_in("in valid", before.text);
            let may_follow =
                |next: &Word<'_>| is_in("object array list with format document only", next.text);
            self.json |= before(1).is_some_and(leads);
            self.may_be_json |=
                before(1).is_some_and(may_lead) || read.get(index + 1).is_some_and(may_follow);
        }
        // `top 5`
        if word.text.eq_ignore_ascii_case("list") {
            counted(&mut self.items, 2);
        }
        self.code_twice |= self.code && word.has(Sign::Code);
        self.code |= word.has(Sign::Code);
        self.makes |= word.has(Sign::Code) && word.text.eq_ignore_ascii_case("code");
        if word.has(Sign::Verse) {
            let is_haiku = lowered(word.text).starts_with("haik");
            self.verse = self.verse.or(Some(if is_haiku { 3 } else { 8 }));
        }
        self.name |= word.has(Sign::Name)
            && before(1).is_some_and(|before| before.text.eq_ignore_ascii_case("my"));
        // `how long`, `long-term`, `as long as it is blue`
        let is_question = before(1).is_some_and(|before| before.has(Sign::How));
        self.long |= word.has(Sign::Long) && !word.tied && !is_question;
        self.yes_or_no |= word.has(Sign::No)
            && before(2).is_some_and(|before| before.has(Sign::Yes))
            && before(1).is_some_and(|before| before.text.len() <= 3);
    }

    /// What is asked for wherever the words stand.
    fn signs(&mut self, said: Tag) {
        self.exactly = said.has(Sign::Exactly) || said.has(Sign::Say);
        self.list = said.has(Sign::List);
        self.table = said.has(Sign::Table);
        self.makes |= said.has(Sign::Make);
        self.json |= self.may_be_json && (self.makes || said.has(Sign::Say));
        self.headings = said.has(Sign::Heading);
        self.counts = said.has(Sign::Count);
        self.greets = said.has(Sign::Greeting);
        self.lines = said.has(Sign::Line);
        self.capital = said.has(Sign::Capital);
        self.translates = said.has(Sign::Translate);
        self.joke = said.has(Sign::Joke);
        self.thanks = said.has(Sign::Thanks);
        self.sums_up = said.has(Sign::Summary);
        self.compares = said.has(Sign::Compare);
        self.endless = said.has(Sign::Endless);
        self.essay = said.has(Sign::Essay);
        self.short = said.has(Sign::Short);
    }

    /// A language that is named is the one to answer in where `in` or the like leads to it.
    fn names_language(&mut self, read: &[Word<'_>], index: usize, named: usize) {
        const LEADS: [&str; 12] = [
            "in", "into", "to", "auf", "ins", "en", "em", "para", "na", "на", "بال", "use",
        ];
        let leads = index
            .checked_sub(1)
            .and_then(|before| read.get(before))
            .is_some_and(|before| {
                LEADS
                    .iter()
                    .any(|lead| before.text.eq_ignore_ascii_case(lead))
            });
        let is_marked = read
            .get(index)
            .is_some_and(|word| word.text.ends_with('로'));
        if leads || is_marked {
            self.language = language_of(named);
        }
    }

    /// What is asked for in scripts without spaces, where words are found within the text.
    fn unspaced(&mut self, text: &str) {
        let says = |list: &str| list.split(' ').any(|word| text.contains(word));
        self.exactly |= says("只 仅 だけ 만 請只 とのみ");
        self.list |= says("列表 列出 清单 箇条書き リスト 一覧 목록 나열");
        self.table |= says("表格 表で 表に 表を 表形式 표로 표를");
        self.code |= says("代码 函数 程序 コード 関数 プログラム 코드 함수");
        self.makes |= says("写 编写 生成 書いて 作って 実装 작성 만들어 써");
        self.counts |= says("数到 数数 数え 세어 세기");
        self.long |= says("很长 长篇 长文 長い 長文 긴");
        self.essay |= says("详细 文章 故事 作文 詳しく 物語 記事 자세히 에세이 이야기");
        self.short |= says("简短 简要 简洁 短く 簡潔 짧게 간단히");
        if says("诗 俳句 詩 시를") {
            self.verse = Some(if text.contains("俳句") { 3 } else { 8 });
        }
        self.capital |= says("首都 수도");
        self.greets |= says("你好 您好 こんにちは おはよう 안녕");
        self.headings |= says("标题 見出し 제목");
        self.lines |= says("每行 一行 一行ずつ 한줄") || text.contains("한 줄");
        for (language, names) in [
            (Language::English, "用英语 用英文 英語で 영어로"),
            (Language::Chinese, "用中文 中国語で 중국어로"),
            (Language::Japanese, "用日语 日本語で 일본어로"),
            (Language::Korean, "用韩语 韓国語で 한국어로"),
            (Language::French, "用法语 フランス語で 프랑스어로"),
            (Language::German, "用德语 ドイツ語で 독일어로"),
            (Language::Spanish, "用西班牙语 スペイン語で 스페인어로"),
        ] {
            if says(names) {
                self.language = Some(language);
            }
        }
        let count = |units: &str| units.split(' ').find_map(|unit| number_at(text, unit));
        self.sentences = self
            .sentences
            .or_else(|| count("句话 句 个句子 文で つの文 문장"));
        self.words = self.words.or_else(|| {
            let one = says("一个词 一個詞 一词 一言で 一単語 한단어") || text.contains("한 단어");
            one.then_some(1)
                .or_else(|| count("个词 単語 字 文字 단어 자로"))
        });
        self.paragraphs = self.paragraphs.or_else(|| count("段 段落 문단"));
        self.items = self
            .items
            .or_else(|| count("点 条 个理由 个例子 个建议 项 つの理由 つの例 個の 가지 개의"));
        self.items = self.items.or_else(|| count("个").filter(|_| self.list));
        self.items = self.items.filter(|items| *items >= 2);
        self.yes_or_no |= says("是或否 是还是否 はいかいいえ 예 아니요");
    }

    fn length(&self) -> Length {
        if let Some(sentences) = self.sentences {
            return Length::Sentences(sentences.clamp(1, COUNT_MAX));
        }
        if let Some(words) = self.words.filter(|words| *words > 1) {
            return Length::Words(words.min(COUNT_MAX));
        }
        if let Some(paragraphs) = self.paragraphs {
            return Length::Paragraphs(paragraphs.clamp(1, COUNT_MAX));
        }
        if self.long || self.endless {
            return Length::Endless;
        }
        match (self.essay, self.short) {
            (_, true) => Length::Short,
            (true, false) => Length::Essay,
            (false, false) => Length::Usual,
        }
    }
}

/// The first sentences of the text that is to be summed up, which stands behind a colon or on
/// lines of its own: as many as are asked for, or about a third of them.
fn summary(text: &str, wanted: Option<u32>) -> Option<String> {
    let breaks = text.find(['\n', ':', '：'])?;
    let body = text
        .get(breaks..)?
        .trim_start_matches([':', '：', '\n', ' ', '"', '“']);
    let body = body.trim_end_matches(['"', '”']).trim_end();
    let ends = |letter: char| matches!(letter, '.' | '!' | '?' | '。' | '！' | '？' | '।' | '؟');
    let sentences: u32 = body.matches(ends).count() as u32;
    if body.len() < SUMMARY_BYTES_MIN || sentences == 0 {
        return None;
    }
    let wanted = wanted.unwrap_or(1 + sentences / 3).clamp(1, COUNT_MAX);
    let mut left = wanted;
    let end = body.char_indices().find_map(|(at, letter)| {
        let next = body.get(at + letter.len_utf8()..)?.chars().next();
        // The point of a number ends nothing.
        let is_end = ends(letter) && next.is_none_or(|next| !next.is_ascii_digit());
        left -= u32::from(is_end);
        (left == 0).then_some(at + letter.len_utf8())
    });
    Some(body.get(..end.unwrap_or(body.len()))?.into())
}

/// The number that stands before a noun, with a word or two between them.
fn number_before(read: &[Word<'_>], index: usize) -> Option<u32> {
    let mut at = index;
    for _ in 0..NUMBER_REACH {
        at = at.checked_sub(1)?;
        if !read.get(at + 1)?.joined {
            return None;
        }
        let word = read.get(at)?;
        if let Some(number) = word.tag.number() {
            return Some(number);
        }
        if word.text.starts_with(|first: char| first.is_ascii_digit()) {
            return word.text.parse().ok().filter(|number| *number > 0);
        }
        if word.has(Sign::Of) {
            return None;
        }
    }
    None
}

/// The number that stands before a unit without a space.
fn number_at(text: &str, unit: &str) -> Option<u32> {
    const DIGITS: &str = "一二三四五六七八九十";
    let at = text.find(unit)?;
    let before = text.get(..at)?.trim_end();
    let last = before.chars().next_back()?;
    if last.is_ascii_digit() {
        let start = before.rfind(|letter: char| !letter.is_ascii_digit());
        let start = start.map_or(0, |start| {
            start
                + before
                    .get(start..)
                    .map_or(1, |rest| rest.chars().next().map_or(1, char::len_utf8))
        });
        return before
            .get(start..)?
            .parse()
            .ok()
            .filter(|number| *number > 0);
    }
    let of_word = [
        ("两", 2),
        ("한", 1),
        ("두", 2),
        ("세", 3),
        ("네", 4),
        ("다섯", 5),
        ("열", 10),
    ];
    if let Some((_, number)) = of_word.into_iter().find(|(word, _)| before.ends_with(word)) {
        return Some(number);
    }
    let place = DIGITS.chars().position(|digit| digit == last)?;
    Some(place as u32 + 1)
}

/// The two numbers of a range; from 1 where there is one only.
fn range_of(text: &str) -> Option<(i64, i64)> {
    let mut numbers = text
        .split(|letter: char| !letter.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .filter_map(|digits| {
            digits
                .parse::<i64>()
                .ok()
                .filter(|number| *number <= 1_000_000)
        });
    match (numbers.next(), numbers.next()) {
        (Some(from), Some(to)) => Some((from, to)),
        (Some(to), None) => Some((1, to)),
        _ => None,
    }
}
