use super::*;

fn found(text: &str) -> Vec<(Kind, String)> {
    let list = Entities::of_text(text).list;
    list.into_iter()
        .filter(|entity| !entity.weak)
        .map(|entity| (entity.kind, entity.text))
        .collect()
}

#[track_caller]
fn check(text: &str, expect: &[(Kind, &str)]) {
    let found = found(text);
    let found: Vec<(Kind, &str)> = found
        .iter()
        .map(|(kind, text)| (*kind, text.as_str()))
        .collect();
    assert_eq!(found, expect, "{text}");
}

#[test]
fn places_and_numbers_are_found() {
    use Kind::{Number, Place};
    check("Paris, 4 nights", &[(Place, "Paris"), (Number, "4")]);
    check(
        "Book a hotel in New York for 2 adults and three children",
        &[(Place, "New York"), (Number, "2"), (Number, "three")],
    );
    check("weather in las vegas?", &[(Place, "Las Vegas")]);
    check("巴黎和罗马的天气", &[(Place, "巴黎"), (Place, "罗马")]);
    check("巴黎，4晚", &[(Place, "巴黎"), (Number, "4")]);
    check("パリに三泊", &[(Place, "パリ"), (Number, "3")]);
    check("Какая погода в Москве?", &[(Place, "Москве")]);
    check("What's Paris's population?", &[(Place, "Paris")]);
}

#[test]
fn people_and_things_have_names() {
    use Kind::{Name, Number, Person, Quoted, Symbol};
    check(
        "Extract: Jason is 25 years old",
        &[(Person, "Jason"), (Number, "25")],
    );
    check(
        "Tell Grace Hopper about Apollo.",
        &[(Person, "Grace Hopper"), (Name, "Apollo")],
    );
    check("Dr. Strange is here", &[(Person, "Strange")]);
    check(
        "Create an event called \"Team sync\" and don't stop",
        &[(Quoted, "Team sync")],
    );
    check(
        "What is the price of AAPL and MSFT?",
        &[(Symbol, "AAPL"), (Symbol, "MSFT")],
    );
}

#[test]
fn a_list_of_people_is_of_people() {
    check(
        "Users: Ann (30), Bo (25), Cy (41)",
        &[
            (Kind::Person, "Ann"),
            (Kind::Number, "30"),
            (Kind::Person, "Bo"),
            (Kind::Number, "25"),
            (Kind::Person, "Cy"),
            (Kind::Number, "41"),
        ],
    );
}

#[test]
fn numbers_keep_what_they_count() {
    let list = Entities::of_text("25 years, $1,200.50, 5km, 20% and 3,5 kg at -4°C").list;
    let numbers: Vec<(Kind, f64, &str)> = list
        .iter()
        .map(|entity| (entity.kind, entity.number, entity.after.as_str()))
        .collect();
    assert_eq!(
        numbers,
        [
            (Kind::Number, 25.0, "years"),
            (Kind::Money, 1200.5, ""),
            (Kind::Number, 5.0, "km"),
            (Kind::Percent, 20.0, ""),
            (Kind::Number, 3.5, "kg"),
            (Kind::Number, -4.0, "c"),
        ]
    );
}

#[test]
fn dates_and_times_have_a_plain_form() {
    for (text, expect) in [
        ("on 2026-03-05", "2026-03-05"),
        ("on March 5th, 2027", "2027-03-05"),
        ("on 5 March", "2026-03-05"),
        ("am 5. März 2026", "2026-03-05"),
        ("el 5 de marzo de 2026", "2026-03-05"),
        ("on 3/5/2026", "2026-03-05"),
        ("at 3pm", "15:00"),
        ("at 3:15 PM", "15:15"),
        ("at 12 am", "00:00"),
        ("um 10:30", "10:30"),
    ] {
        let list = Entities::of_text(text).list;
        assert_eq!(list.len(), 1, "{list:?}");
        assert_eq!(list[0].plain, expect, "{text}");
    }
    assert_eq!(found("tomorrow"), [(Kind::Date, "tomorrow".into())]);
    assert_eq!(found("February 31"), [(Kind::Number, "31".into())]);
}

#[test]
fn what_has_a_form_is_known_by_it() {
    use Kind::{Code, Email, File, Ip, Money, Phone, Url};
    check(
        "Mail ada@example.com about order #4711 and ORD-12345, see https://a.example/x.",
        &[
            (Email, "ada@example.com"),
            (Code, "4711"),
            (Code, "ORD-12345"),
            (Url, "https://a.example/x"),
        ],
    );
    check(
        "call +1 202 555 0143 or 555-0143",
        &[(Phone, "+1 202 555 0143"), (Phone, "555-0143")],
    );
    check(
        "ping 192.0.2.7, open report.pdf",
        &[(Ip, "192.0.2.7"), (File, "report.pdf")],
    );
    check("100 euros or 50 USD", &[(Money, "100"), (Money, "50")]);
}

#[test]
fn an_expression_is_the_part_to_calculate() {
    assert_eq!(expression("What is 15 * 37?"), Some("15 * 37"));
    assert_eq!(
        expression("Compute (3 + 4.5) / 2, please"),
        Some("(3 + 4.5) / 2")
    );
    assert_eq!(expression("on 2026-03-05"), None);
    assert_eq!(expression("I am 25 years old"), None);
}

#[test]
fn nothing_breaks_what_reads_it() {
    for text in [
        "",
        " ",
        "\"",
        "'",
        "''",
        "“",
        "+",
        "#",
        "@",
        "..",
        "-",
        "5",
        "$",
        "$x",
        "\u{301}",
        "1,,2",
        "1.2.3.4.5",
        "March",
        "March 99",
        "at :",
        "25:99",
        "五",
        "é'é",
        "A",
        "the The the",
        "'s",
    ] {
        let _ = Entities::of_text(text);
        let _ = expression(text);
    }
}
