//! What a property is about, from its name.

use alloc::string::String;
use alloc::vec::Vec;

use crate::words::{self, is_in};

/// What a value stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Address,
    Age,
    Airport,
    Answer,
    Boolean,
    Card,
    Category,
    City,
    /// Letters and digits for a thing.
    Code,
    Color,
    Company,
    Content,
    Country,
    CountryCode,
    Currency,
    Date,
    DateTime,
    Birthday,
    Description,
    Distance,
    Domain,
    Duration,
    Email,
    Expression,
    File,
    FirstName,
    Format,
    Gender,
    Iban,
    Id,
    Ip,
    Job,
    Language,
    LanguageCode,
    LastName,
    Latitude,
    Longitude,
    /// A share of one, such as how sure an answer is.
    Fraction,
    /// A name of no telling what.
    Name,
    Percent,
    Person,
    Phone,
    Place,
    Price,
    Priority,
    Product,
    Quantity,
    Query,
    Rating,
    Region,
    Sentiment,
    Size,
    Slug,
    Source,
    Status,
    Street,
    Symbol,
    Tag,
    Temperature,
    Time,
    Timezone,
    Title,
    Unit,
    Unknown,
    Url,
    Username,
    Version,
    Weight,
    Year,
    Zip,
}

/// A property's name, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) name: String,
    /// Its words in lower case, without plurals.
    pub(crate) words: Vec<String>,
    pub(crate) meaning: Meaning,
    /// The words of what has the property.
    pub(crate) parent: Vec<String>,
}

impl Key {
    pub(crate) fn new(name: &str, parent: &[String], description: &str) -> Self {
        let mut words = words::of_name(name);
        words
            .iter_mut()
            .for_each(|word| *word = words::singular(word));
        let mut meaning = of_words(&words, parent);
        if meaning == Meaning::Unknown {
            // What its name does not say, its description may.
            let said = words::lowered(description);
            let mut said = said.split(|letter: char| !words::is_letter(letter));
            let found = said.find_map(|word| of_word(&words::singular(word)));
            meaning = found.unwrap_or(Meaning::Unknown);
        }
        Self {
            name: name.into(),
            words,
            meaning,
            parent: parent.to_vec(),
        }
    }

    /// The key of a value of that format, which says more of it than its name.
    pub(crate) fn of_format(&self, format: Option<&str>) -> Self {
        let meaning = match format {
            Some("email") => Meaning::Email,
            Some("uri" | "url") => Meaning::Url,
            Some("ipv4") => Meaning::Ip,
            _ => self.meaning,
        };
        Self {
            meaning,
            ..self.clone()
        }
    }

    /// What its own properties belong to: what an item is called is what its list is called.
    pub(crate) fn context(&self) -> &[String] {
        if self.words.is_empty() {
            &self.parent
        } else {
            &self.words
        }
    }

    /// Whether it, or what it belongs to, is about food.
    pub(crate) fn is_food(&self) -> bool {
        let words = self.words.iter().chain(&self.parent);
        words
            .into_iter()
            .any(|word| is_in("ingredient food dish fruit vegetable grocery recipe", word))
    }

    pub(crate) fn has(&self, list: &str) -> bool {
        self.words.iter().any(|word| is_in(list, word))
    }
}

/// What words mean by themselves.
const WORDS: [(&str, Meaning); 64] = [
    ("address addr", Meaning::Address),
    ("age", Meaning::Age),
    ("airport iata", Meaning::Airport),
    ("answer reply response result conclusion", Meaning::Answer),
    (
        "category genre kind type department topic section",
        Meaning::Category,
    ),
    ("city town capital hometown birthplace", Meaning::City),
    (
        "code sku reference ref barcode isbn serial tracking invoice",
        Meaning::Code,
    ),
    ("color colour", Meaning::Color),
    (
        "company organization organisation employer brand manufacturer publisher vendor supplier airline",
        Meaning::Company,
    ),
    (
        "content body text message note comment review feedback caption transcript paragraph lyric email_body",
        Meaning::Content,
    ),
    ("country nationality nation", Meaning::Country),
    ("currency", Meaning::Currency),
    ("date day deadline due checkin checkout when", Meaning::Date),
    (
        "datetime timestamp created updated modified",
        Meaning::DateTime,
    ),
    ("birthday birthdate dob born", Meaning::Birthday),
    (
        "description summary abstract overview detail explanation reasoning reason rationale bio biography thought plot step instruction",
        Meaning::Description,
    ),
    (
        "distance radius length width height depth km mile meter",
        Meaning::Distance,
    ),
    ("domain host hostname", Meaning::Domain),
    ("duration minute hour second night", Meaning::Duration),
    ("email mail", Meaning::Email),
    (
        "expression formula equation calculation",
        Meaning::Expression,
    ),
    ("file filename path attachment document", Meaning::File),
    ("firstname givenname forename", Meaning::FirstName),
    ("format", Meaning::Format),
    ("gender sex", Meaning::Gender),
    ("iban", Meaning::Iban),
    ("id identifier key guid", Meaning::Id),
    ("uuid", Meaning::Id),
    ("ip ipaddress", Meaning::Ip),
    (
        "job occupation profession role position title_of_job",
        Meaning::Job,
    ),
    ("language lang locale", Meaning::Language),
    ("lastname surname familyname", Meaning::LastName),
    ("latitude lat", Meaning::Latitude),
    ("longitude lon lng long", Meaning::Longitude),
    (
        "confidence probability likelihood fraction ratio relevance similarity",
        Meaning::Fraction,
    ),
    ("name", Meaning::Name),
    (
        "percent percentage discount rate tax humidity growth",
        Meaning::Percent,
    ),
    (
        "person author user customer client employee student patient guest attendee participant recipient sender contact owner assignee manager friend director actor speaker host_name passenger member",
        Meaning::Person,
    ),
    ("phone telephone mobile tel fax cell", Meaning::Phone),
    (
        "place location destination origin departure arrival venue where area",
        Meaning::Place,
    ),
    (
        "price cost amount budget total fee salary revenue balance payment fare income subtotal",
        Meaning::Price,
    ),
    ("priority urgency severity importance", Meaning::Priority),
    (
        "product item ingredient good dish food fruit animal",
        Meaning::Product,
    ),
    (
        "quantity count number num qty limit size_of_party n total_count stock page people adult child seat party rank index max_result population",
        Meaning::Quantity,
    ),
    (
        "query q search question prompt keyword term subject_matter input",
        Meaning::Query,
    ),
    ("rating star stars score grade", Meaning::Rating),
    ("region state province county district", Meaning::Region),
    ("sentiment mood tone emotion", Meaning::Sentiment),
    ("size", Meaning::Size),
    ("slug", Meaning::Slug),
    ("source snippet script program", Meaning::Source),
    ("status progress", Meaning::Status),
    ("street road avenue", Meaning::Street),
    ("symbol ticker stock_symbol", Meaning::Symbol),
    (
        "tag label keyword skill hobby interest feature topic_tag pro con",
        Meaning::Tag,
    ),
    (
        "temperature temp celsius fahrenheit degree",
        Meaning::Temperature,
    ),
    ("time", Meaning::Time),
    ("timezone tz", Meaning::Timezone),
    (
        "title subject headline heading event project task book movie song",
        Meaning::Title,
    ),
    ("unit units", Meaning::Unit),
    (
        "url link website uri homepage image avatar thumbnail photo picture logo webhook href",
        Meaning::Url,
    ),
    ("username login handle nickname", Meaning::Username),
    ("version", Meaning::Version),
    ("year", Meaning::Year),
];

/// What words mean together, joined.
const TOGETHER: [(&str, Meaning); 24] = [
    ("firstname givenname", Meaning::FirstName),
    ("lastname familyname", Meaning::LastName),
    (
        "fullname displayname personname contactname customername employeename authorname",
        Meaning::Person,
    ),
    ("username screenname", Meaning::Username),
    ("cityname", Meaning::City),
    ("countryname", Meaning::Country),
    ("countrycode isocode", Meaning::CountryCode),
    ("languagecode langcode", Meaning::LanguageCode),
    ("currencycode", Meaning::Currency),
    (
        "companyname organizationname organisationname brandname",
        Meaning::Company,
    ),
    ("productname itemname", Meaning::Product),
    ("filename filepath", Meaning::File),
    ("projectname eventname taskname", Meaning::Title),
    ("zipcode postalcode postcode zip postal plz", Meaning::Zip),
    ("phonenumber mobilenumber telephonenumber", Meaning::Phone),
    ("creditcard cardnumber creditcardnumber card", Meaning::Card),
    ("dateofbirth birthdate birthday", Meaning::Birthday),
    ("ipaddress", Meaning::Ip),
    ("emailaddress", Meaning::Email),
    ("streetaddress addressline addressline1", Meaning::Street),
    ("timezone", Meaning::Timezone),
    ("jobtitle", Meaning::Job),
    ("tickersymbol stocksymbol", Meaning::Symbol),
    ("weight mass kilogram", Meaning::Weight),
];

/// Last words that say less than the one before them.
const VAGUE: &str = "name code number value text string type data field list info id";

fn of_words(words: &[String], parent: &[String]) -> Meaning {
    let Some(last) = words.last() else {
        // An item of a list, or the whole answer, is what its list is called.
        return parent
            .last()
            .map_or(Meaning::Unknown, |_| of_words(parent, &[]));
    };
    let joined = words.concat();
    let together = TOGETHER.iter().find(|(list, _)| is_in(list, &joined));
    if let Some((_, meaning)) = together {
        return *meaning;
    }
    let first = words.first().map(String::as_str).unwrap_or_default();
    if words.len() > 1 {
        if is_in(
            "is has can should include includes enable enabled allow need use with",
            first,
        ) {
            return Meaning::Boolean;
        }
        match last.as_str() {
            "at" | "timestamp" => return Meaning::DateTime,
            "on" => return Meaning::Date,
            "id" | "uuid" => return Meaning::Id,
            "code" | "number" => {
                if let Some(before) = words.len().checked_sub(2).and_then(|at| words.get(at))
                    && is_in(
                        "order invoice ticket tracking flight account reference serial confirmation booking customer part model case",
                        before,
                    )
                {
                    return Meaning::Code;
                }
            }
            "of" | "in" | "out" | "from" | "to" if is_in("check due depart return", first) => {
                return Meaning::Date;
            }
            _ => {}
        }
        if is_in("number count total max maximum min minimum", first) && of_word(last).is_none() {
            return Meaning::Quantity;
        }
    }
    if is_in(VAGUE, last) && words.len() > 1 {
        let before = words.iter().rev().skip(1).find_map(|word| of_word(word));
        if let Some(meaning) = before {
            return match (meaning, last.as_str()) {
                (Meaning::Language, "code") => Meaning::LanguageCode,
                (Meaning::Country, "code") => Meaning::CountryCode,
                (meaning, _) => meaning,
            };
        }
    }
    let alone = of_word(last).or_else(|| words.iter().rev().find_map(|word| of_word(word)));
    match alone {
        // Whose name it is decides what it looks like.
        Some(Meaning::Name) => parent
            .iter()
            .rev()
            .find_map(|word| match of_word(word)? {
                Meaning::City => Some(Meaning::City),
                Meaning::Country => Some(Meaning::Country),
                Meaning::Company => Some(Meaning::Company),
                Meaning::Product => Some(Meaning::Product),
                Meaning::Title => Some(Meaning::Title),
                Meaning::Place => Some(Meaning::Place),
                Meaning::Tag | Meaning::Category => Some(Meaning::Tag),
                Meaning::Person => Some(Meaning::Person),
                _ => None,
            })
            .unwrap_or(Meaning::Name),
        Some(meaning) => meaning,
        None if words.len() == 1 && is_in("from to", last) => Meaning::Place,
        None => Meaning::Unknown,
    }
}

fn of_word(word: &str) -> Option<Meaning> {
    let found = WORDS.iter().find(|(list, _)| is_in(list, word));
    found.map(|(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_properties_say_what_they_hold() {
        for (name, expect) in [
            ("city", Meaning::City),
            ("cities", Meaning::City),
            ("cityName", Meaning::City),
            ("first_name", Meaning::FirstName),
            ("fullName", Meaning::Person),
            ("name", Meaning::Name),
            ("created_at", Meaning::DateTime),
            ("start_date", Meaning::Date),
            ("check_in", Meaning::Date),
            ("birthday", Meaning::Birthday),
            ("date_of_birth", Meaning::Birthday),
            ("phone_number", Meaning::Phone),
            ("zip", Meaning::Zip),
            ("postal_code", Meaning::Zip),
            ("country_code", Meaning::CountryCode),
            ("user_id", Meaning::Id),
            ("order_number", Meaning::Code),
            ("number_of_guests", Meaning::Person),
            ("max_price", Meaning::Price),
            ("target_language", Meaning::Language),
            ("lat", Meaning::Latitude),
            ("is_active", Meaning::Boolean),
            ("iban", Meaning::Iban),
            ("whatever", Meaning::Unknown),
        ] {
            assert_eq!(Key::new(name, &[], "").meaning, expect, "{name}");
        }
        let described = Key::new("q1", &[], "The city to look for.");
        assert_eq!(described.meaning, Meaning::City);
    }

    #[test]
    fn a_name_is_that_of_what_has_it() {
        for (parent, expect) in [
            ("product", Meaning::Product),
            ("cities", Meaning::City),
            ("customer", Meaning::Person),
            ("thing", Meaning::Name),
        ] {
            let parent: Vec<String> = words::of_name(parent)
                .iter()
                .map(|word| words::singular(word))
                .collect();
            assert_eq!(Key::new("name", &parent, "").meaning, expect);
        }
    }
}
