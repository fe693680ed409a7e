use super::*;

const TEXT: &str = "<tool_call>\n{\"name\": \"find\", \"arguments\": {\"a\": \"}\\\"{\u{e4}\", \"b\": [{}]}}\n</tool_call>\n<tool_call>\n{\"name\": \"go\", \"arguments\": {}}\n</tool_call>";

fn calls(reader: &mut CallReader, pieces: impl Iterator<Item = Vec<u8>>) -> Vec<(String, String)> {
    let mut calls: Vec<(String, String)> = Vec::new();
    for event in pieces.flat_map(|piece| reader.read(&piece)) {
        match event {
            Event::Call(name) => calls.push((name, String::new())),
            Event::Arguments(piece) => calls.last_mut().unwrap().1.push_str(&piece),
        }
    }
    calls
}

#[test]
fn calls_are_read_however_the_text_is_cut() {
    let expected = [
        (
            "find".to_owned(),
            "{\"a\": \"}\\\"{\u{e4}\", \"b\": [{}]}".to_owned(),
        ),
        ("go".to_owned(), "{}".to_owned()),
    ];
    for size in 1..40 {
        let mut reader = CallReader::from_start(Dialect::Tags);
        let pieces = TEXT.as_bytes().chunks(size).map(<[u8]>::to_vec);
        assert_eq!(calls(&mut reader, pieces), expected, "{size}");
    }
    let mut reader = CallReader::new(Dialect::Tags);
    let rest = TEXT.strip_prefix("<tool_call>").unwrap();
    let pieces = [rest.as_bytes().to_vec()].into_iter();
    assert_eq!(calls(&mut reader, pieces), expected);
}

#[test]
fn calls_of_the_other_dialect_are_read_too() {
    let text = "{\"name\": \"find\", \"parameters\": {\"a\": 1}}";
    let mut reader = CallReader::from_start(Dialect::Object);
    let found = calls(&mut reader, text.bytes().map(|byte| vec![byte]));
    assert_eq!(found, [("find".to_owned(), "{\"a\": 1}".to_owned())]);
}
