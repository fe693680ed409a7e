//! Which tools a prompt speaks of: by the words of a tool's name, by what it is for in the
//! language of the prompt, and by its description.

use alloc::string::String;
use alloc::vec::Vec;

use belljar_guest::text::Tool;

use crate::entities;
use crate::words::{self, is_in, lowered, singular};

/// A tool that the prompt speaks of, and where it begins to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mention<'a> {
    pub(super) tool: &'a Tool,
    pub(super) at: usize,
}

/// The shortest word of a tool's name that can tie it to the prompt, and of its description.
const WORD_MIN: usize = 3;
const DESCRIBED_MIN: usize = 5;

const SAY_NOTHING: &str =
    "and for from get run set the with tool function call api use data info current all new fetch";
/// Verbs that say little about what is done: the noun beside them has to be spoken of.
const VERBS: &str = "create add update delete remove list make send show check read write open start stop find give query provide return perform handle manage";
/// Words of descriptions that fit any prompt.
const DESCRIBES_NOTHING: &str = "about given using based return returns retrieve provide provides current information details specific specified user users value values which where there their number string object first other these those should would could really please today tomorrow answer question write short sentence today's exactly";

/// What tools are for: words of their names and descriptions, and what is said of it in prompts.
const PURPOSES: [(&str, &str); 13] = [
    (
        "weather forecast",
        "weather rain raining snow sunny umbrella forecast temperature wetter clima tiempo météo meteo temps tempo previsão погода погоды погоду 天气 天気 날씨 طقس الطقس मौसम",
    ),
    (
        "time clock timezone",
        "time uhr uhrzeit hora heure ora время 几点 时间 何時 時間 시간 الوقت समय",
    ),
    (
        "search web google lookup",
        "search google look suche such busca buscar cherche cerca найди поиск 搜索 検索 검색 ابحث खोज",
    ),
    (
        "email mail",
        "email mail e-mail correo courriel письмо 邮件 メール 이메일 بريد ईमेल",
    ),
    (
        "translate translation translator",
        "translate übersetze traduce traduis traduci traduza переведи 翻译 翻訳 번역 ترجم अनुवाद",
    ),
    (
        "stock quote share",
        "stock stocks shares aktie aktienkurs acciones bourse azioni ações акции 股票 株価 주가 سهم शेयर",
    ),
    (
        "flight",
        "flight flights fly flug flüge vuelo vuelos vol vols volo voo рейс 航班 フライト 항공편 رحلة उड़ान",
    ),
    (
        "hotel accommodation",
        "hotel hotels room hôtel отель 酒店 ホテル 호텔 فندق होटल",
    ),
    (
        "calculator calculate math arithmetic compute evaluate expression sum add multiply subtract divide",
        "plus minus times calculate add multiply divide subtract sum berechne rechne calcula calcule calcola посчитай 计算 計算 계산 احسب गणना",
    ),
    (
        "news headline",
        "news headlines nachrichten noticias actualités notizie notícias новости 新闻 ニュース 뉴스 أخبار समाचार",
    ),
    (
        "reminder remind alarm",
        "remind reminder erinnere erinnern recuérdame rappelle ricordami lembre напомни 提醒 リマインド 알림 ذكرني",
    ),
    (
        "calendar event meeting schedule appointment",
        "meeting event appointment schedule termin reunión réunion riunione reunião встреча 会议 会議 회의 اجتماع",
    ),
    (
        "currency exchange convert conversion",
        "convert exchange umrechnen convertir converti converter 汇率 換算 환율 курс",
    ),
];

/// The tools that the prompt speaks of, in the order in which they are listed.
pub(super) fn of<'a>(tools: &'a [Tool], said: &str) -> Vec<Mention<'a>> {
    let lower = lowered(said);
    let spoken = Spoken::new(&lower);
    let by_name = tools.iter().filter_map(|tool| {
        let at = spoken.of_name(tool).or_else(|| spoken.of_purpose(tool))?;
        Some(Mention { tool, at })
    });
    let by_name: Vec<Mention<'a>> = by_name.collect();
    if !by_name.is_empty() {
        return by_name;
    }
    // The first whose description shares most words with the prompt.
    let mut best: Option<(usize, Mention<'a>)> = None;
    for tool in tools {
        let Some((shared, at)) = spoken.of_description(tool) else {
            continue;
        };
        if best.is_none_or(|(most, _)| shared > most) {
            best = Some((shared, Mention { tool, at }));
        }
    }
    best.map(|(_, mention)| mention).into_iter().collect()
}

/// The words of a prompt, without plurals, and where they stand.
struct Spoken<'a> {
    said: &'a str,
    words: Vec<(usize, String)>,
    calculates: bool,
}

impl<'a> Spoken<'a> {
    fn new(said: &'a str) -> Self {
        let is_part = |letter: char| words::is_letter(letter) || letter.is_ascii_digit();
        let mut spoken = Vec::new();
        let mut from = 0;
        for part in said.split_inclusive(|letter: char| !is_part(letter)) {
            let word = part.trim_end_matches(|letter: char| !is_part(letter));
            if !word.is_empty() {
                spoken.push((from, singular(word)));
            }
            from += part.len();
        }
        Self {
            said,
            words: spoken,
            calculates: entities::expression(said).is_some(),
        }
    }

    /// Where a word is spoken of, also with another ending.
    fn find(&self, word: &str) -> Option<usize> {
        let is_same = |spoken: &str| {
            let endings = spoken
                .strip_prefix(word)
                .or_else(|| word.strip_prefix(spoken));
            spoken.len().min(word.len()) >= WORD_MIN
                && endings.is_some_and(|ending| {
                    is_in("s ed d ing er ion or", ending) || ending.is_empty()
                })
        };
        let word = self.words.iter().find(|(_, spoken)| is_same(spoken));
        word.map(|(at, _)| *at)
    }

    fn of_name(&self, tool: &Tool) -> Option<usize> {
        let mut names = words::of_name(&tool.name);
        names.retain(|word| word.chars().count() >= WORD_MIN && !is_in(SAY_NOTHING, word));
        let is_verb = |word: &str| is_in(VERBS, word);
        let has_noun = names.iter().any(|word| !is_verb(word));
        names
            .iter()
            .filter(|word| !has_noun || !is_verb(word))
            .find_map(|word| self.find(&singular(word)))
    }

    fn of_purpose(&self, tool: &Tool) -> Option<usize> {
        let mut names = words::of_name(&tool.name);
        names.extend(
            words::of_name(tool.description.as_deref().unwrap_or_default())
                .into_iter()
                .take(12),
        );
        PURPOSES
            .iter()
            .enumerate()
            .find_map(|(index, (tools, prompts))| {
                if !names.iter().any(|word| is_in(tools, &singular(word))) {
                    return None;
                }
                const CALCULATES: usize = 8;
                if index == CALCULATES && self.calculates {
                    return Some(0);
                }
                prompts.split(' ').find_map(|wanted| {
                    if wanted.is_ascii() {
                        self.words
                            .iter()
                            .find(|(_, word)| word == wanted)
                            .map(|(at, _)| *at)
                    } else {
                        words::find(self.said, wanted)
                    }
                })
            })
    }

    /// How many words of its description the prompt shares, and where the first of them stands.
    fn of_description(&self, tool: &Tool) -> Option<(usize, usize)> {
        let described = words::of_name(tool.description.as_deref()?);
        let shared = |word: &&String| {
            let one = singular(word);
            word.len() >= DESCRIBED_MIN
                && !is_in(DESCRIBES_NOTHING, word)
                && !is_in(VERBS, &one)
                && self.find(&one).is_some()
        };
        let first = described.iter().find(shared)?;
        Some((
            described.iter().filter(shared).count(),
            self.find(&singular(first))?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[track_caller]
    fn check(said: &str, expect: &[&str]) {
        let tools: Vec<Tool> = [
            ("get_weather", "Get the current weather for a location."),
            ("create_user", "Creates a user account."),
            ("calculator", "Evaluates an expression."),
            (
                "lookup_order",
                "Finds the status of a package by its number.",
            ),
            ("bookFlight", ""),
            ("t7", "Books a table in a restaurant."),
        ]
        .map(|(name, description)| Tool {
            name: name.into(),
            description: Some(description.into()),
            parameters: None,
            strict: false,
        })
        .into();
        let found: Vec<String> = of(&tools, said)
            .iter()
            .map(|mention| mention.tool.name.to_string())
            .collect();
        assert_eq!(found, expect, "{said}");
    }

    #[test]
    fn tools_are_found_by_name_purpose_and_description() {
        check("What's the weather like?", &["get_weather"]);
        check("Will it rain in Oslo?", &["get_weather"]);
        check("Wie ist das Wetter in Paris?", &["get_weather"]);
        check("巴黎的天气怎么样？", &["get_weather"]);
        check("서울 날씨 알려줘", &["get_weather"]);
        check("Create a poem about the sea", &[]);
        check("Create a user for Bob", &["create_user"]);
        check("What is 15 * 37?", &["calculator"]);
        check("Where is my package?", &["lookup_order"]);
        check("I want to fly to Rome", &["bookFlight"]);
        check("Reserve a table in an Italian restaurant", &["t7"]);
        check(
            "Two flights and the weather",
            &["get_weather", "bookFlight"],
        );
        check("Hello there", &[]);
        check("", &[]);
    }
}
