//! What an answer consists of, made as it is asked for.

use alloc::string::String;
use alloc::vec::{self, Vec};

use belljar_guest::text::{Prompt, Request, ResponseFormat, Role};
use belljar_guest::{Error, Value};

use crate::choice::Choice;
use crate::documents::{self, BYTES_A_TOKEN};
use crate::entities::Entities;
use crate::facts::{self, Fact};
use crate::fields;
use crate::fill::{self, Filler};
use crate::json::Json;
use crate::kinds;
use crate::language::Language;
use crate::media;
use crate::prefill::{self, Begun};
use crate::prose::{Ends, Prose};
use crate::random::Random;
use crate::reading::{self, Form, Length, Reading, Topic};
use crate::results;
use crate::schema::{self, Purpose, Sources};
use crate::tokens;
use crate::told;
use crate::tools::{self, Call};
use crate::voices::{self, Voice};

/// Where prose ends by itself, in tokens: usually, where it is to be short, and where it is an
/// essay or a story.
const USUAL: (u32, u32) = (40, 160);
const SHORT: (u32, u32) = (10, 30);
const ESSAY: (u32, u32) = (400, 800);

/// How many rows a table with columns of the prompt has.
const ROWS: u32 = 4;
/// How many objects a list has that was only begun.
const LISTED: u32 = 3;
/// How much of what was sent an answer is about.
const MEDIA_TOPICS_MAX: usize = 3;
/// What most sentences have room in.
const SENTENCE_BYTES: usize = 160;

pub(crate) enum Body {
    Text(Text),
    Calls {
        calls: vec::IntoIter<Call>,
        current: Option<(u32, Call, usize)>,
        begun: u32,
    },
}

/// Text, of which some is made and the rest comes when it is needed.
pub(crate) struct Text {
    rest: String,
    at: usize,
    prose: Option<Prose>,
    /// How many pieces have been taken.
    made: u32,
}

impl Text {
    fn written(text: String) -> Self {
        Self {
            rest: text,
            at: 0,
            prose: None,
            made: 0,
        }
    }

    fn prose(prose: Prose) -> Self {
        Self {
            rest: String::with_capacity(SENTENCE_BYTES),
            at: 0,
            prose: Some(prose),
            made: 0,
        }
    }

    /// Whether there is another piece.
    pub(crate) fn has_more(&self) -> bool {
        self.at < self.rest.len()
            || self
                .prose
                .as_ref()
                .is_some_and(|prose| prose.goes_on(self.made))
    }

    /// The next piece; none at the end.
    pub(crate) fn next(&mut self) -> Option<String> {
        let mut next = None;
        self.take(1, |piece| next = Some(piece.into()));
        next
    }

    /// Gives as many of the next pieces as there are, and how many it gave.
    pub(crate) fn take(&mut self, most: usize, mut each: impl FnMut(&str)) -> u32 {
        let mut given = 0;
        loop {
            let mut rest = self.rest.get(self.at..).unwrap_or_default();
            let before = given;
            while given < most
                && let Some((piece, behind)) = tokens::split_first(rest)
            {
                each(piece);
                rest = behind;
                given += 1;
            }
            self.at = self.rest.len() - rest.len();
            self.made = self.made.saturating_add((given - before) as u32);
            if given == most || !self.goes_on() {
                return given as u32;
            }
        }
    }

    /// Appends about as many of the next pieces as there are, not cut from one another, and says
    /// about how many it appended: at least one where there is text.
    pub(crate) fn take_about(&mut self, most: usize, out: &mut String) -> u32 {
        let mut given = 0;
        loop {
            let rest = self.rest.get(self.at..).unwrap_or_default();
            let (text, pieces) = tokens::about(rest, most - given);
            out.push_str(text);
            self.at += text.len();
            self.made = self.made.saturating_add(pieces as u32);
            given += pieces;
            if given >= most || !self.goes_on() {
                return given as u32;
            }
        }
    }

    /// Makes the next sentence; whether there is one.
    fn goes_on(&mut self) -> bool {
        let Some(prose) = &mut self.prose else {
            return false;
        };
        if !prose.goes_on(self.made) {
            return false;
        }
        let is_behind = self.made > 0 && !self.rest.is_empty() && prose.is_unbegun();
        self.rest.clear();
        self.at = 0;
        if is_behind {
            self.rest.push_str("\n\n");
        }
        prose.next(self.made, &mut self.rest);
        !self.rest.is_empty()
    }
}

/// What a request is answered with.
pub(crate) fn body(
    request: &Request,
    reading: &mut Reading,
    order: u64,
    random: &mut Random,
) -> Result<Body, Error> {
    if matches!(
        request.parameter("ends_at_once"),
        Some(Value::Boolean(true))
    ) {
        return Ok(Body::Text(Text::written(String::new())));
    }
    let calls = tools::calls(request, reading, random)?;
    if !calls.is_empty() {
        return Ok(Body::Calls {
            calls: calls.into_iter(),
            current: None,
            begun: 0,
        });
    }
    if !matches!(request.response_format, ResponseFormat::JsonSchema(_))
        && let Some(text) = told(request, random)
    {
        return Ok(Body::Text(Text::written(text)));
    }
    let begun = prefill::of_request(request);
    if let Some(begun) = begun.as_deref().and_then(Begun::of)
        && let Some(text) = gone_on(request, &begun, reading, random)
    {
        return Ok(Body::Text(Text::written(text)));
    }
    let schema = match &request.response_format {
        ResponseFormat::Text => return Ok(Body::Text(text(request, reading, order, random))),
        ResponseFormat::JsonObject => (fields::schema(request), ""),
        ResponseFormat::JsonSchema(format) => {
            let schema = Json::parse(&format.schema)
                .ok_or_else(|| Error::invalid_input("`response_format`: the schema is not JSON"))?;
            (schema, format.name.as_str())
        }
    };
    let (schema, name) = schema;
    let value = structured(request, &schema, name, reading, random)?;
    let mut text = String::new();
    value.write(&mut text);
    Ok(Body::Text(Text::written(text)))
}

/// JSON that follows a schema which the prompt writes out. One that cannot be followed is talk.
fn told(request: &Request, random: &mut Random) -> Option<String> {
    let told = told::of_request(request)?;
    let reading = Reading::new(&told.request);
    let value = structured(&told.request, &told.schema, "", &reading, random).ok()?;
    let mut text = String::new();
    value.write(&mut text);
    let is_fenced = told.is_fenced && request.response_format == ResponseFormat::Text;
    Some(if is_fenced {
        ["```json\n", text.as_str(), "\n```"].concat()
    } else {
        text
    })
}

/// The rest of an object that the caller has begun.
fn gone_on(
    request: &Request,
    begun: &Begun,
    reading: &Reading,
    random: &mut Random,
) -> Option<String> {
    let asked = fields::asked(request);
    if begun.is_empty_list() {
        let schema = fields::table(&asked, LISTED);
        let value = structured(request, &schema, "", reading, random).ok()?;
        let mut out = String::new();
        value.write(&mut out);
        let mut out: String = out.strip_prefix('[')?.into();
        begun.close(&mut out);
        return Some(out);
    }
    let schema = fields::object(&begun.keys(&asked));
    let value = structured(request, &schema, "", reading, random).ok()?;
    Some(begun.rest(value.object()?))
}

/// A value that follows a schema.
fn structured(
    request: &Request,
    schema: &Json,
    name: &str,
    reading: &Reading,
    random: &mut Random,
) -> Result<Json, Error> {
    let entities = Entities::of_request(request);
    let sources = Sources {
        name,
        filler: Filler::new(&entities),
        reading,
        purpose: Purpose::Answer,
        random,
    };
    schema::value(schema, sources).map_err(|error| schema::within(error, "`response_format`"))
}

/// An answer in words.
fn text(request: &Request, reading: &mut Reading, order: u64, random: &mut Random) -> Text {
    let voice = voices::of(reading.language);
    let choice = Choice::new(&request.sampling, order, Random::new(random.bits()));
    let choice = choice.of_answer(request);
    let natural = |(least, most): (u32, u32), random: &mut Random| {
        least + random.below((most - least) as usize) as u32
    };
    // Options of other servers, by which load tests ask for answers of an exact length.
    let floor = match (
        request.parameter("ignore_eos"),
        request.parameter("min_tokens"),
    ) {
        (Some(Value::Boolean(true)), _) => u32::MAX,
        (_, Some(&Value::Integer(least))) => u32::try_from(least.max(0)).unwrap_or(u32::MAX),
        _ => 0,
    };
    let length = reading.wishes.length;
    let ends = match length {
        Length::Usual | Length::Words(_) => Ends::Tokens(natural(USUAL, random)),
        Length::Short => Ends::Tokens(natural(SHORT, random)),
        Length::Essay => Ends::Tokens(natural(ESSAY, random)),
        Length::Endless => Ends::Tokens(u32::MAX),
        Length::Sentences(count) => Ends::Sentences(count),
        Length::Paragraphs(count) => Ends::Paragraphs(count),
    };
    let ends = match ends {
        Ends::Tokens(natural) => Ends::Tokens(natural.max(floor)),
        _ if floor > 0 => Ends::Tokens(floor),
        ends => ends,
    };
    let headings = reading.wishes.form == Form::Article;
    let topics = if reading.wishes.form == Form::Prose {
        // Nothing else is about them.
        core::mem::take(&mut reading.topics)
    } else {
        reading.topics.clone()
    };
    let mut prose = if reading.media.is_empty() {
        Prose::new(voice, topics, choice, ends, headings)
    } else {
        let sent = media::sent(&reading.media, reading.language);
        let topics = with_media(topics, reading);
        Prose::new(voice, topics, choice, ends, headings).begun_with(sent)
    };
    let findings = results::of_request(request);
    let written = if findings.is_empty() {
        written(request, reading, voice, &mut prose, random)
    } else {
        Some(results::said(&findings, reading.language, voice))
    };
    match written {
        None => Text::prose(prose),
        // What is longer by demand goes on with prose.
        Some(written) if floor > 0 => Text {
            prose: Some(prose),
            ..Text::written(written)
        },
        Some(written) => Text::written(match prefill::of_request(request) {
            Some(begun) => prefill::behind(&begun, written),
            None => written,
        }),
    }
}

/// What an answer is about that takes up what was sent.
fn with_media(topics: Vec<Topic>, reading: &Reading) -> Vec<Topic> {
    let sent = reading.media.iter();
    let sent = sent.map(|medium| medium.topic(reading.language));
    let others = topics.into_iter();
    let others = others.filter(|topic| !media::is_named_by(topic));
    sent.take(MEDIA_TOPICS_MAX).chain(others).collect()
}

/// What is known to its end before it begins; none where sentences follow one another.
fn written(
    request: &Request,
    reading: &Reading,
    voice: &'static Voice,
    prose: &mut Prose,
    random: &mut Random,
) -> Option<String> {
    let bytes_max = (request.max_tokens as usize).saturating_mul(BYTES_A_TOKEN);
    let wishes = &reading.wishes;
    let is_short = matches!(
        wishes.length,
        Length::Usual | Length::Short | Length::Sentences(1)
    );
    let fact = || {
        wishes
            .may_be_known()
            .then(|| facts::of(request, &said_last(request), reading))
            .flatten()
    };
    match &wishes.form {
        Form::Exact(text) => Some(text.clone()),
        Form::YesOrNo => voice.yes_no.get(random.below(2)).copied().map(String::from),
        Form::OneWord if asks_for_sentiment(&said_last(request)) => {
            let word = match fill::polarity(&said_last(request)) {
                Some(true) => "Positive",
                Some(false) => "Negative",
                None => "Neutral",
            };
            Some(word.into())
        }
        Form::OneWord => Some(one_word(reading, voice, fact(), random)),
        Form::Greeting => Some(voice.greeting.into()),
        Form::List(items, numbered) => {
            let said = said_last(request);
            match kinds::of(&said, *items).filter(|_| reading.language == Language::English) {
                Some(things) => Some(documents::things(things, *numbered)),
                None => Some(documents::list(voice, prose, *items, *numbered, bytes_max)),
            }
        }
        Form::Table => Some(table(request, reading, voice, prose, random)),
        Form::Code => {
            let mut out = String::from(voice.code);
            out.push_str("\n\n");
            out.push_str(&documents::code(&said_last(request), &reading.topics));
            Some(out)
        }
        Form::Numbers(from, to, lines) => Some(documents::numbers(*from, *to, *lines, bytes_max)),
        Form::Article => None,
        Form::Summary(text) => Some(text.clone()),
        Form::Json => {
            let schema = fields::schema(request);
            let value = structured(request, &schema, "", reading, random).ok()?;
            let mut out = String::new();
            value.write(&mut out);
            Some(out)
        }
        Form::Verse(lines) => Some(documents::verse(prose, *lines)),
        Form::Prose => match (fact().filter(|_| is_short), wishes.length) {
            (Some(fact), _) => Some(fact.long),
            (None, Length::Words(count)) => {
                let unspaced = reading.language.is_unspaced();
                Some(documents::words_of(prose, count, unspaced, bytes_max))
            }
            _ => None,
        },
    }
}

fn asks_for_sentiment(said: &str) -> bool {
    ["positive", "negative"]
        .iter()
        .all(|word| crate::words::find(said, word).is_some())
}

fn one_word(reading: &Reading, voice: &Voice, fact: Option<Fact>, random: &mut Random) -> String {
    if let Some(fact) = fact {
        return fact.short;
    }
    let topic = reading.topics.first().map(|topic| topic.bare());
    let word = topic.and_then(|topic| topic.split_whitespace().next_back());
    match word {
        Some(word) => crate::words::capitalised(word),
        None => {
            let word = voice.yes_no.get(random.below(2)).copied();
            word.unwrap_or_default().into()
        }
    }
}

/// A table with the columns that the prompt names, or of what matters.
fn table(
    request: &Request,
    reading: &Reading,
    voice: &'static Voice,
    prose: &mut Prose,
    random: &mut Random,
) -> String {
    let columns = fields::columns(request);
    let rows = reading.wishes.rows.unwrap_or(ROWS);
    let schema = fields::table(&columns, rows);
    let made = (!columns.is_empty())
        .then(|| structured(request, &schema, "", reading, random).ok())
        .flatten();
    let Some(Json::List(made)) = made else {
        let things = if reading.wishes.compares {
            reading::compared(&said_last(request))
        } else {
            Vec::new()
        };
        let rows = reading.wishes.rows;
        return if things.len() > 1 {
            documents::comparison(voice, prose, &things, rows)
        } else {
            documents::table(voice, prose, rows)
        };
    };
    let rows: Vec<Vec<String>> = made
        .iter()
        .map(|row| {
            let cells = row.object().unwrap_or_default().iter();
            cells.map(|(_, value)| results::plain(value)).collect()
        })
        .collect();
    documents::markdown_table(&columns, &rows)
}

/// What the user said last, or the bare prompt.
fn said_last(request: &Request) -> String {
    match &request.prompt {
        Prompt::Messages(messages) => {
            let said = messages
                .iter()
                .rev()
                .find(|message| message.role == Role::User);
            said.map(belljar_guest::text::Message::text)
                .unwrap_or_default()
        }
        Prompt::Text(raw) => raw.text.clone(),
        Prompt::Tokens(_) => String::new(),
    }
}

/// What is thought before an answer.
pub(crate) fn thoughts(
    request: &Request,
    reading: &Reading,
    order: u64,
    random: &mut Random,
) -> Text {
    let choice = Choice::new(&request.sampling, order, Random::new(random.bits()));
    let choice = choice.of_answer(request);
    let ends = Ends::Tokens(u32::MAX);
    let mut topics = reading.topics.clone();
    for topic in &mut topics {
        if reading.language == Language::English {
            topic.deed = None;
        } else {
            *topic = Topic::new("", &["\"", topic.bare(), "\""].concat(), None);
        }
    }
    Text::prose(Prose::new(&voices::THOUGHTS, topics, choice, ends, false))
}
