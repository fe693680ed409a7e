//! Plausible values: what a property could hold where the prompt does not say. What belongs
//! together in one answer (a person and the address of their mail, a city and its country, a
//! beginning and an end) is made from one choice.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::language::Language;
use crate::meaning::{Key, Meaning};
use crate::places::{CITIES, City, Country};
use crate::prose;
use crate::random::Random;
use crate::reading::Reading;
use crate::schema::days_of;
use crate::voices;
use crate::words;

/// How many of the cities are made up; the others are there to be known.
const CITIES_MADE_UP: usize = 4;
/// The day that dates count from: the first of this year.
const FIRST_YEAR: u32 = 2026;

const FIRST_NAMES: [&str; 8] = [
    "Ada", "Grace", "Alan", "Maria", "Omar", "Yuki", "Priya", "Tomás",
];
const LAST_NAMES: [&str; 8] = [
    "Lindqvist",
    "Moreau",
    "Okafor",
    "Tanaka",
    "Alvarez",
    "Novak",
    "Rahman",
    "Becker",
];
const COMPANIES: [&str; 4] = [
    "Northwind Labs",
    "Harbor & Finch",
    "Bluestone Works",
    "Meridian Foods",
];
const PRODUCTS: [&str; 4] = ["Desk Lamp", "Travel Mug", "Wool Blanket", "Trail Backpack"];
const FOODS: [&str; 8] = [
    "flour",
    "milk",
    "eggs",
    "butter",
    "sugar",
    "salt",
    "olive oil",
    "tomatoes",
];
const COLORS: [&str; 4] = ["blue", "green", "red", "black"];
const STREETS: [&str; 4] = [
    "12 Orchard Street",
    "48 Harbor Road",
    "7 Mill Lane",
    "230 Station Avenue",
];
const JOBS: [&str; 4] = ["Software Engineer", "Nurse", "Architect", "Product Manager"];

/// What the values of one answer have in common.
#[derive(Clone, Debug)]
pub(crate) struct World {
    first_name: &'static str,
    last_name: &'static str,
    /// A name that the prompt gave instead.
    person: Option<String>,
    city: &'static City,
    /// The day after which the next date comes, counted from the first.
    day: u32,
    /// How many identifiers there are already.
    identifiers: u32,
}

impl World {
    pub(crate) fn new(random: &mut Random) -> Self {
        let first = random.below(FIRST_NAMES.len());
        let last = random.below(LAST_NAMES.len());
        let city = random.below(CITIES_MADE_UP);
        let [default, ..] = &CITIES;
        Self {
            first_name: FIRST_NAMES.get(first).copied().unwrap_or("Ada"),
            last_name: LAST_NAMES.get(last).copied().unwrap_or("Moreau"),
            person: None,
            city: CITIES.get(city).unwrap_or(default),
            day: 12 + random.below(200) as u32,
            identifiers: 0,
        }
    }

    /// Takes up a person or a place that the prompt named.
    pub(crate) fn learn(&mut self, meaning: Meaning, text: &str) {
        match meaning {
            Meaning::Person | Meaning::Name | Meaning::FirstName => self.person = Some(text.into()),
            Meaning::City | Meaning::Place => {
                if let Some(city) = City::named(&words::lowered(text)) {
                    self.city = city;
                }
            }
            Meaning::Country => {
                let lower = words::lowered(text);
                let country = Country::named(&lower);
                if let Some(city) =
                    country.and_then(|country| City::named(&words::lowered(country.capital)))
                {
                    self.city = city;
                }
            }
            _ => {}
        }
    }

    /// Someone else, for the next item of a list.
    pub(crate) fn next_item(&mut self, random: &mut Random) {
        let next = |list: &[&'static str; 8], now: &str, step: usize| {
            let at = list.iter().position(|name| *name == now).unwrap_or(0);
            list.get((at + step) % list.len())
                .copied()
                .unwrap_or(list[0])
        };
        self.first_name = next(&FIRST_NAMES, self.first_name, 1);
        self.last_name = next(&LAST_NAMES, self.last_name, 3);
        self.person = None;
        if let Some(city) = CITIES.get(random.below(CITIES_MADE_UP)) {
            self.city = city;
        }
    }

    fn first_name(&self) -> &str {
        match &self.person {
            Some(person) => person.split(' ').next().unwrap_or(person),
            None => self.first_name,
        }
    }

    fn last_name(&self) -> &str {
        let person = self.person.as_deref();
        person
            .and_then(|person| person.split_once(' '))
            .map_or(self.last_name, |(_, last)| last)
    }

    fn full_name(&self) -> String {
        match &self.person {
            Some(person) if person.contains(' ') => person.clone(),
            _ => format!("{} {}", self.first_name(), self.last_name()),
        }
    }

    /// The name for an address of mail: small letters and nothing else.
    fn user(&self) -> String {
        let user: String = self
            .first_name()
            .chars()
            .map(words::lower)
            .filter(char::is_ascii_alphanumeric)
            .collect();
        if user.is_empty() { "ada".into() } else { user }
    }

    /// The next date: each lies some days after the one before.
    fn date(&mut self, random: &mut Random) -> (u32, u32, u32) {
        self.day += 2 + random.below(5) as u32;
        civil(FIRST_YEAR, self.day)
    }
}

/// The date of a day of a year, both counted from the first; days past its end are in the next.
fn civil(mut year: u32, mut day: u32) -> (u32, u32, u32) {
    loop {
        for month in 1..=12 {
            let days = days_of(year, month);
            if day < days {
                return (year, month as u32, day + 1);
            }
            day -= days;
        }
        year += 1;
    }
}

/// What the values are made from.
pub(crate) struct Maker<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) reading: &'a Reading,
    /// What the prompt is about.
    pub(crate) topics: &'a [String],
    pub(crate) random: &'a mut Random,
}

impl Maker<'_> {
    fn pick<'s>(&mut self, list: &[&'s str]) -> &'s str {
        self.random.one_of(list).copied().unwrap_or_default()
    }

    fn topic(&self) -> String {
        let topic = self.topics.first().map_or("", String::as_str);
        if topic.is_empty() {
            "overview".into()
        } else {
            topic.into()
        }
    }

    /// A text for a property; another one each time it is asked, where there are several.
    pub(crate) fn text(&mut self, key: &Key) -> String {
        match key.meaning {
            Meaning::FirstName => self.world.first_name().into(),
            Meaning::LastName => self.world.last_name().into(),
            Meaning::Person | Meaning::Name => self.world.full_name(),
            Meaning::Username => format!("{}{}", self.world.user(), 10 + self.random.below(90)),
            Meaning::Email => format!("{}@example.com", self.world.user()),
            Meaning::Phone => format!("+1-202-555-01{:02}", self.random.below(100)),
            Meaning::Company => self.pick(&COMPANIES).into(),
            Meaning::Product if key.is_food() => self.pick(&FOODS).into(),
            Meaning::Product => self.pick(&PRODUCTS).into(),
            Meaning::Job => self.pick(&JOBS).into(),
            Meaning::City | Meaning::Place => self.world.city.name.into(),
            Meaning::Country => self.world.city.country.into(),
            Meaning::CountryCode => {
                let lower = self.world.city.country.to_ascii_lowercase();
                Country::named(&lower)
                    .map_or("FR", |country| country.code)
                    .into()
            }
            Meaning::Region => self.world.city.name.into(),
            Meaning::Airport => self.pick(&["LIS", "KIX", "VIE", "YYZ"]).into(),
            Meaning::Street => self.pick(&STREETS).into(),
            Meaning::Address => {
                let street = self.pick(&STREETS);
                format!("{street}, {} {}", self.world.city.zip, self.world.city.name)
            }
            Meaning::Zip => self.world.city.zip.into(),
            Meaning::Timezone => self.world.city.zone.into(),
            Meaning::Currency => self.world.city.currency().into(),
            Meaning::Date => self.formatted("date").unwrap_or_default(),
            Meaning::DateTime => self.formatted("date-time").unwrap_or_default(),
            Meaning::Birthday => {
                let (_, month, day) = civil(FIRST_YEAR, self.random.below(365) as u32);
                format!("{}-{month:02}-{day:02}", 1968 + self.random.below(38))
            }
            Meaning::Time => format!(
                "{:02}:{:02}",
                8 + self.random.below(12),
                15 * self.random.below(4)
            ),
            Meaning::Duration => format!("{} minutes", 15 * (1 + self.random.below(8))),
            Meaning::Year => format!("{}", FIRST_YEAR - self.random.below(8) as u32),
            Meaning::Id => {
                self.world.identifiers += 1;
                let prefix = key
                    .words
                    .iter()
                    .find(|word| !matches!(word.as_str(), "id" | "key" | "identifier" | "uuid"));
                let prefix = prefix.or(key.parent.last()).map_or("id", String::as_str);
                if key.has("uuid guid") {
                    return self.formatted("uuid").unwrap_or_default();
                }
                format!("{prefix}_{}", 1000 + self.random.below(9000))
            }
            Meaning::Code => format!(
                "{}{}-{:05}",
                self.letter(),
                self.letter(),
                self.random.below(100_000)
            ),
            Meaning::Iban => self
                .pick(&[
                    "DE89370400440532013000",
                    "GB82WEST12345698765432",
                    "FR1420041010050500013M02606",
                ])
                .into(),
            Meaning::Card => "4242424242424242".into(),
            Meaning::Url => {
                let ending = if key.has("image avatar thumbnail photo picture logo") {
                    ".png"
                } else {
                    ""
                };
                format!("https://example.com/{}{ending}", slug(&self.topic()))
            }
            Meaning::Domain => "www.example.com".into(),
            Meaning::Ip => format!("192.0.2.{}", 1 + self.random.below(254)),
            Meaning::File => format!("{}.txt", slug(&self.topic())),
            Meaning::Slug => slug(&self.topic()),
            Meaning::Version => format!(
                "{}.{}.{}",
                1 + self.random.below(4),
                self.random.below(10),
                self.random.below(10)
            ),
            Meaning::Symbol => self.pick(&["ACME", "NWND", "BLUE", "MRDN"]).into(),
            Meaning::Color => self.pick(&COLORS).into(),
            Meaning::Status => self.pick(&["active", "pending", "completed"]).into(),
            Meaning::Priority => self.pick(&["medium", "high", "low"]).into(),
            Meaning::Sentiment => self.pick(&["positive", "neutral", "negative"]).into(),
            Meaning::Size => self.pick(&["medium", "large", "small"]).into(),
            Meaning::Gender => self.pick(&["female", "male", "nonbinary"]).into(),
            Meaning::Language => self.pick(&["English", "Spanish", "French"]).into(),
            Meaning::LanguageCode => self.pick(&["en", "es", "fr"]).into(),
            Meaning::Unit if key.is_food() => self.pick(&["g", "ml", "cups"]).into(),
            Meaning::Unit => self.pick(&["metric", "imperial"]).into(),
            Meaning::Format => self.pick(&["json", "text", "csv"]).into(),
            Meaning::Category => self
                .pick(&["general", "technology", "travel", "food"])
                .into(),
            Meaning::Tag => {
                let index = self.random.below(self.topics.len() + 2);
                self.topics
                    .get(index)
                    .cloned()
                    .unwrap_or_else(|| prose::any_word(self.random).into())
            }
            Meaning::Expression => format!(
                "{} + {}",
                1 + self.random.below(20),
                1 + self.random.below(20)
            ),
            Meaning::Query if self.topics.is_empty() => self.topic(),
            Meaning::Query => self.topics.join(" "),
            Meaning::Title => self.title(),
            Meaning::Source => format!("print(\"{}\")", self.topic()),
            Meaning::Answer | Meaning::Content | Meaning::Description => {
                let voice = voices::of(self.reading.language);
                prose::sentence(voice, &self.reading.topics, self.random)
            }
            Meaning::Price => format!("{}.{}9", 4 + self.random.below(90), self.random.below(10)),
            Meaning::Quantity
            | Meaning::Age
            | Meaning::Rating
            | Meaning::Percent
            | Meaning::Temperature
            | Meaning::Distance
            | Meaning::Weight
            | Meaning::Latitude
            | Meaning::Longitude
            | Meaning::Fraction => {
                let [number, ..] = self.numbers(key, false);
                let mut text = String::new();
                crate::json::write_number(&mut text, number);
                text
            }
            Meaning::Boolean => "yes".into(),
            Meaning::Unknown => {
                let [adjective, noun] = prose::phrase(self.random);
                match self
                    .topics
                    .get(self.random.below(self.topics.len() * 2 + 1))
                {
                    Some(topic) => format!("{adjective} {topic}"),
                    None => format!("{adjective} {noun}"),
                }
            }
        }
    }

    fn letter(&mut self) -> char {
        char::from(b'A' + self.random.below(26) as u8)
    }

    fn title(&mut self) -> String {
        let topic = words::capitalised(&self.topic());
        if self.reading.language != Language::English {
            return topic;
        }
        let [before, after] = *self
            .random
            .one_of(&[
                ["", ": An Overview"],
                ["A Guide to ", ""],
                ["Understanding ", ""],
                ["Notes on ", ""],
            ])
            .unwrap_or(&["", ""]);
        format!("{before}{topic}{after}")
    }

    /// Numbers for a property, the likeliest first; none but a plain one where its name says
    /// nothing.
    pub(crate) fn numbers(&mut self, key: &Key, whole: bool) -> [f64; 3] {
        let random = &mut *self.random;
        let mut from = |least: usize, most: usize| (least + random.below(most - least + 1)) as f64;
        let [first, second, third] = match key.meaning {
            Meaning::Age => [from(21, 64), 30.0, 8.0],
            Meaning::Price => {
                let cents = if whole { 0.0 } else { from(0, 9) * 10.0 + 9.0 };
                let units = if key.has("salary revenue budget income balance") {
                    from(30, 90) * 1000.0
                } else {
                    from(8, 120)
                };
                [(units * 100.0 + cents) / 100.0, 20.0, 5.0]
            }
            Meaning::Percent => [from(5, 60), 10.0, 1.0],
            Meaning::Fraction => [from(62, 97) / 100.0, 0.5, 80.0],
            Meaning::Rating => [
                if whole {
                    from(3, 5)
                } else {
                    from(35, 49) / 10.0
                },
                4.0,
                1.0,
            ],
            Meaning::Quantity | Meaning::Person | Meaning::Product => {
                if key.has("population") {
                    [from(200, 4000) * 1000.0, 10.0, 2.0]
                } else {
                    [from(1, 12), 2.0, 1.0]
                }
            }
            Meaning::Temperature => [from(8, 27), 20.0, 1.0],
            Meaning::Distance => [from(2, 40), 5.0, 1.0],
            Meaning::Weight => [from(2, 80), 10.0, 1.0],
            Meaning::Duration => [from(1, 9) * 10.0, 30.0, 3.0],
            Meaning::Year | Meaning::Birthday => {
                [f64::from(FIRST_YEAR) - from(0, 8), 2020.0, 2000.0]
            }
            Meaning::Id | Meaning::Code => [from(1000, 9999), 7.0, 1.0],
            Meaning::Date | Meaning::DateTime => {
                [1_767_225_600.0 + from(0, 360) * 86_400.0, 15.0, 1.0]
            }
            Meaning::Latitude => [f64::from(self.world.city.latitude) / 10_000.0, 48.0, 1.0],
            Meaning::Longitude => [f64::from(self.world.city.longitude) / 10_000.0, 2.0, 1.0],
            Meaning::Priority => [from(1, 3), 1.0, 0.0],
            Meaning::Zip => [10_115.0, 75_001.0, 1.0],
            _ => [
                if whole {
                    from(1, 40)
                } else {
                    from(10, 400) / 10.0
                },
                3.0,
                1.0,
            ],
        };
        [first, second, third]
    }

    /// A string of a named format; none of an unknown one, which the standard says to ignore.
    pub(crate) fn formatted(&mut self, format: &str) -> Option<String> {
        Some(match format {
            "date" => {
                let (year, month, day) = self.world.date(self.random);
                format!("{year}-{month:02}-{day:02}")
            }
            "time" => format!(
                "{:02}:{:02}:00Z",
                8 + self.random.below(12),
                15 * self.random.below(4)
            ),
            "date-time" => {
                let (year, month, day) = self.world.date(self.random);
                let (hour, minute) = (8 + self.random.below(12), 5 * self.random.below(12));
                format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:00Z")
            }
            "duration" => format!("PT{}M", 15 * (1 + self.random.below(8))),
            "email" | "idn-email" => format!("{}@example.com", self.world.user()),
            "hostname" | "idn-hostname" => "www.example.com".into(),
            "ipv4" => format!("192.0.2.{}", 1 + self.random.below(254)),
            "ipv6" => format!("2001:db8::{:x}", 1 + self.random.below(0xfffe)),
            "uri" | "url" | "iri" => format!("https://example.com/{}", slug(&self.topic())),
            "uri-reference" | "iri-reference" => format!("/{}", slug(&self.topic())),
            "uri-template" => format!("https://example.com/{}/{{id}}", slug(&self.topic())),
            "json-pointer" => "/items/0".into(),
            "relative-json-pointer" => "1/items".into(),
            "regex" => "^[a-z]+$".into(),
            "uuid" => {
                let (a, b) = (self.random.bits(), self.random.bits());
                let (high, middle, low) = (a >> 32, a >> 16 & 0xffff, a & 0xfff);
                let (variant, node) = (b >> 48 & 0x3fff | 0x8000, b & 0xffff_ffff_ffff);
                format!("{high:08x}-{middle:04x}-4{low:03x}-{variant:04x}-{node:012x}")
            }
            _ => return None,
        })
    }

    /// The shortest strings of a format, for those who allow few characters.
    pub(crate) fn short(format: &str) -> Option<&'static str> {
        Some(match format {
            "email" | "idn-email" => "a@b.co",
            "hostname" | "idn-hostname" => "a.co",
            "ipv4" => "1.1.1.1",
            "ipv6" => "::1",
            "uri" | "url" | "iri" => "http://a.co",
            "uri-reference" | "iri-reference" => "/a",
            "duration" => "P1D",
            _ => return None,
        })
    }
}

/// Words as an address has them: small letters, digits and hyphens.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for letter in text.chars().map(words::lower) {
        if letter.is_ascii_alphanumeric() {
            slug.push(letter);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() {
        "start".into()
    } else {
        slug.into()
    }
}

/// The languages that have a name and two letters.
pub(crate) fn languages(text: &str) -> Vec<(&'static str, &'static str)> {
    const LANGUAGES: [(&str, &str, &str); 20] = [
        ("english", "English", "en"),
        ("spanish", "Spanish", "es"),
        ("french", "French", "fr"),
        ("german", "German", "de"),
        ("italian", "Italian", "it"),
        ("portuguese", "Portuguese", "pt"),
        ("russian", "Russian", "ru"),
        ("chinese", "Chinese", "zh"),
        ("japanese", "Japanese", "ja"),
        ("korean", "Korean", "ko"),
        ("arabic", "Arabic", "ar"),
        ("hindi", "Hindi", "hi"),
        ("dutch", "Dutch", "nl"),
        ("polish", "Polish", "pl"),
        ("turkish", "Turkish", "tr"),
        ("swedish", "Swedish", "sv"),
        ("greek", "Greek", "el"),
        ("hebrew", "Hebrew", "he"),
        ("vietnamese", "Vietnamese", "vi"),
        ("thai", "Thai", "th"),
    ];
    let mut found: Vec<(usize, &str, &str)> = LANGUAGES
        .iter()
        .filter_map(|(word, name, code)| Some((words::find(text, word)?, *name, *code)))
        .collect();
    words::sort_by_key(&mut found, |(at, ..)| (0, *at));
    found
        .into_iter()
        .map(|(_, name, code)| (name, code))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_over_months_and_years() {
        assert_eq!(civil(2026, 0), (2026, 1, 1));
        assert_eq!(civil(2026, 59), (2026, 3, 1));
        assert_eq!(civil(2024, 59), (2024, 2, 29));
        assert_eq!(civil(2026, 365), (2027, 1, 1));
    }

    #[test]
    fn what_belongs_together_fits() {
        for seed in 0..50 {
            let mut random = Random::new(seed);
            let mut world = World::new(&mut random);
            world.learn(Meaning::City, "Paris");
            world.learn(Meaning::Person, "Grace Hopper");
            let topics = ["bell jars".into()];
            let reading = Reading::default();
            let mut maker = Maker {
                world: &mut world,
                reading: &reading,
                topics: &topics,
                random: &mut random,
            };
            let mut text = |name: &str| maker.text(&Key::new(name, &[], ""));
            assert_eq!(text("country"), "France");
            assert_eq!(text("currency"), "EUR");
            assert_eq!(text("email"), "grace@example.com");
            assert_eq!(text("last_name"), "Hopper");
            assert!(text("start_date") < text("end_date"));
            assert_eq!(text("url"), "https://example.com/bell-jars");
        }
    }

    #[test]
    fn languages_are_found_in_their_order() {
        assert_eq!(
            languages("from French to German"),
            [("French", "fr"), ("German", "de")]
        );
    }
}
