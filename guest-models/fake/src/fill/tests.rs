use super::*;

fn text(said: &str, name: &str) -> Option<String> {
    let entities = Entities::of_text(said);
    let found = Filler::new(&entities).texts(&Key::new(name, &[], ""));
    let value = found.first()?.values.first()?;
    value.text().map(String::from)
}

fn number(said: &str, name: &str) -> Option<f64> {
    let entities = Entities::of_text(said);
    let found = Filler::new(&entities).numbers(&Key::new(name, &[], ""), false);
    found.first()?.values.first()?.number()
}

#[test]
fn texts_go_to_the_properties_that_they_suit() {
    let flight = "Find a flight from Berlin to New York on March 5, 2026 for Grace Hopper";
    for (name, expect) in [
        ("city", "Berlin"),
        ("origin", "Berlin"),
        ("destination", "New York"),
        ("departure_date", "2026-03-05"),
        ("passenger", "Grace Hopper"),
        ("first_name", "Grace"),
        ("last_name", "Hopper"),
    ] {
        assert_eq!(text(flight, name).as_deref(), Some(expect), "{name}");
    }
    for (said, name, expect) in [
        ("Convert 100 USD to EUR", "from_currency", "USD"),
        ("Convert 100 USD to EUR", "to_currency", "EUR"),
        ("That is $20", "currency", "USD"),
        ("What is 15 * 37?", "expression", "15 * 37"),
        ("Search the web for bell jars", "query", "bell jars"),
        ("Translate hello to French", "target_language", "French"),
        ("Translate hello to French", "language_code", "fr"),
        ("Translate this: good morning", "text", "good morning"),
        ("Where is order 4711?", "order_id", "4711"),
        ("Remind me in 30 minutes", "duration", "30 minutes"),
        ("The user is in France", "country", "France"),
        ("The user is in France", "country_code", "FR"),
        ("Email bob@example.com", "to_email", "bob@example.com"),
        ("巴黎，4晚", "city", "巴黎"),
    ] {
        assert_eq!(text(said, name).as_deref(), Some(expect), "{said}: {name}");
    }
    assert_eq!(text("Hello there", "city"), None);
}

#[test]
fn numbers_go_to_what_they_count() {
    let hotel = "A hotel for 2 adults and 1 child, 4 nights, under $200, at least 3 stars";
    for (name, expect) in [
        ("nights", 4.0),
        ("adults", 2.0),
        ("max_price", 200.0),
        ("children", 1.0),
        ("min_rating", 3.0),
    ] {
        assert_eq!(number(hotel, name), Some(expect), "{name}");
    }
    assert_eq!(number("John is 25 years old", "age"), Some(25.0));
    assert_eq!(number("John is 25", "age"), Some(25.0));
    assert_eq!(number("巴黎，4晚", "nights"), Some(4.0));
    assert_eq!(number("add 5 and 7", "a"), Some(5.0));
    assert_eq!(number("4 nights", "price"), None);
    assert_eq!(number("Paris", "nights"), None);
}

#[test]
fn choices_are_those_that_the_prompt_names() {
    let entities = Entities::of_text("In Fahrenheit please, extra-large, no breakfast but parking");
    let filler = Filler::new(&entities);
    let options = |list: &[&str]| {
        list.iter()
            .map(|text| Json::Text((*text).into()))
            .collect::<Vec<_>>()
    };
    let units = options(&["celsius", "fahrenheit"]);
    assert_eq!(filler.option(&units), units.last());
    let sizes = options(&["small", "large", "extra_large"]);
    assert_eq!(filler.option(&sizes), sizes.last());
    assert_eq!(filler.option(&options(&["x", "y"])), None);
    assert_eq!(
        filler.flag(&Key::new("include_breakfast", &[], "")),
        Some(false)
    );
    assert_eq!(filler.flag(&Key::new("parking", &[], "")), Some(true));
    assert_eq!(filler.flag(&Key::new("include_lunch", &[], "")), None);
}

#[test]
fn rooms_subjects_units_references_and_switches_are_read_off_the_sentence() {
    for (said, name, expect) in [
        ("Turn off the kitchen lights", "room", "kitchen"),
        ("Convert 12 miles to kilometers", "from_unit", "miles"),
        ("Convert 12 miles to kilometers", "to_unit", "kilometers"),
        ("Call Ann on Monday about the budget.", "topic", "budget"),
        (
            "Send it to IBAN DE89370400440532013000, reference 'Rent May'",
            "reference",
            "Rent May",
        ),
    ] {
        assert_eq!(text(said, name).as_deref(), Some(expect), "{said}: {name}");
    }
    assert_eq!(
        number("Convert 12 miles to kilometers", "value"),
        Some(12.0)
    );
    let on = |said: &str, name: &str| {
        let entities = Entities::of_text(said);
        Filler::new(&entities).flag(&Key::new(name, &[], ""))
    };
    assert_eq!(on("Turn off the kitchen lights", "on"), Some(false));
    assert_eq!(on("Turn on the kitchen lights", "on"), Some(true));
    assert_eq!(on("Please disable the alarm", "enabled"), Some(false));
    assert_eq!(on("The kitchen has lights", "on"), None);
}

#[test]
fn events_streets_feelings_and_bounds_are_read_off_the_sentence() {
    for (said, name, expect) in [
        (
            "Ann and Bob are going to a science fair on Friday.",
            "title",
            "science fair",
        ),
        (
            "Jo lives at 12 Main Street, Springfield.",
            "address",
            "12 Main Street",
        ),
        ("Book a table for 6 at Luigi's", "restaurant", "Luigi"),
    ] {
        assert_eq!(text(said, name).as_deref(), Some(expect), "{said}: {name}");
    }
    let rooms = "Find hotels in Lisbon between 80 and 150 euros";
    assert_eq!(number(rooms, "min_price"), Some(80.0));
    assert_eq!(number(rooms, "max_price"), Some(150.0));
    let options = ["positive", "negative", "neutral"].map(|text| Json::Text(text.into()));
    let chosen = |said: &str| {
        let entities = Entities::of_text(said);
        let chosen = Filler::new(&entities).option(&options).cloned();
        chosen.and_then(|chosen| chosen.text().map(String::from))
    };
    assert_eq!(chosen("The film was terrible").as_deref(), Some("negative"));
    assert_eq!(chosen("I love it").as_deref(), Some("positive"));
    assert_eq!(chosen("It is a film"), None);
}
