#![allow(clippy::unwrap_used)]
use super::*;
use bpe_openai::Tokenizer;
use proptest::prelude::*;
use std::time::{Duration, Instant};

fn original(encoding: Encoding) -> &'static Tokenizer {
    match encoding {
        Encoding::O200kBase => bpe_openai::o200k_base(),
        Encoding::Cl100kBase => bpe_openai::cl100k_base(),
    }
}

fn cut(encoding: Encoding, pieces: impl IntoIterator<Item = impl AsRef<str>>) -> Cuts {
    let mut cutter = Cutter::new(encoding);
    let mut cuts = Cuts::default();
    for piece in pieces {
        cutter.push(piece.as_ref(), &mut cuts);
    }
    cutter.finish(&mut cuts);
    cuts
}

#[test]
fn well_known_texts_have_their_well_known_tokens() {
    use Encoding::{Cl100kBase, O200kBase};
    for (encoding, text, expected) in [
        (Cl100kBase, "hello world", &[15339, 1917][..]),
        (
            Cl100kBase,
            "tiktoken is great!",
            &[83, 1609, 5963, 374, 2294, 0],
        ),
        (O200kBase, "hello world", &[24912, 2375]),
        (Cl100kBase, "", &[]),
        (O200kBase, "", &[]),
    ] {
        assert_eq!(encoding.encode(text), expected, "{text} in {encoding:?}");
        assert_eq!(encoding.count(text), expected.len());
        assert_eq!(encoding.decode(expected).unwrap(), text.as_bytes());
    }
}

#[test]
fn numbers_that_stand_for_no_token_are_told() {
    for encoding in Encoding::ALL {
        let end = encoding.tokens();
        let unknown = UnknownToken { index: 1, id: end };
        assert_eq!(encoding.decode(&[0, end]), Err(unknown));
        assert!(encoding.bytes(u32::MAX).is_none());
        assert!(encoding.bytes(end - 1).is_some(), "the last special token");
        assert_eq!(Encoding::named(encoding.name()), Some(encoding));
    }
    assert_eq!(Encoding::O200kBase.tokens(), 200_267);
    assert_eq!(Encoding::Cl100kBase.tokens(), 100_277);
    let end = Encoding::Cl100kBase.decode(&[100_257]).unwrap();
    assert_eq!(end, b"<|endoftext|>");
}

#[test]
fn each_token_is_its_own_encoding() {
    for encoding in Encoding::ALL {
        let vocabulary = encoding.vocabulary();
        let mut merger = Merger::new(vocabulary);
        for token in 0..vocabulary.tokens() {
            let bytes = vocabulary.bytes(token).unwrap();
            assert_eq!(vocabulary.whole(bytes), Some(token));
            assert!(merger.tokens(bytes).eq([token]));
            assert_eq!(bytes, original(encoding).bpe.token_bytes(token));
        }
    }
}

const TEXTS: [&str; 12] = [
    "Don't we'll THEY'RE I'D it's o'clock 'tis",
    "  two   spaces\n\n \n  and lines\r\n\r\n\tend  ",
    "{\"name\": \"Ada\", \"n\": [1, 22, 333, 4444, 55555.5e-10]}",
    "中文字符和日本語のテキスト、カタカナ。한국어 텍스트!",
    "नमस्ते दुनिया العربية עברית ไทย Ελληνικά Русский",
    "👩‍👩‍👧‍👦 🙂🙃 e\u{301} \u{200d} \u{feff} ﷽ ꙮꙮꙮ 𝔘𝔫𝔦",
    "https://example.com/a/b?c=d&e=f#g //comment\n/* x */",
    "AGFyYml0cmFyeSBiYXNlNjQgdGV4dA== 0xDEADBEEF snake_case camelCase",
    "!!!??? ... --- === ~~~ ``` \u{a0}\u{2003}\u{3000}x",
    "ǅ ʰ ⅷ ² ½ ①",
    "a'b'c''d 'S 'Ll",
    "\u{0}\u{1}\u{7f}\u{85}\u{2028}",
];

#[test]
fn chosen_texts_have_the_tokens_of_the_package_that_the_vocabularies_are_from() {
    for encoding in Encoding::ALL {
        for text in TEXTS {
            let expected = original(encoding).encode(text);
            assert_eq!(encoding.encode(text), expected, "{text:?}");
            let letters = text.split_inclusive(|_| true);
            assert_eq!(cut(encoding, letters).tokens, expected, "{text:?}");
        }
    }
}

#[test]
fn a_text_that_is_written_is_given_word_by_word() {
    let mut cutter = Cutter::new(Encoding::O200kBase);
    let mut cuts = Cuts::default();
    cutter.push("hello", &mut cuts);
    assert_eq!(cuts.text, "", "it may go on");
    cutter.push(" wor", &mut cuts);
    assert_eq!(cuts.text, "hello");
    cutter.push("ld.", &mut cuts);
    assert_eq!(cuts.text, "hello world");
    cutter.finish(&mut cuts);
    assert_eq!(cuts.text, "hello world.");
}

#[test]
fn characters_of_several_tokens_are_given_whole() {
    let cuts = cut(Encoding::Cl100kBase, ["𝔘𝔫"]);
    assert!(cuts.ends.len() < cuts.tokens.len());
    assert_eq!(cuts.text, "𝔘𝔫");
}

/// Repeated letters, spaces and the like, for which some encoders take quadratic time or a stack.
const REPEATED: [&str; 14] = [
    "a",
    " ",
    "\n",
    " \n",
    "é",
    "中",
    "!",
    "1",
    "'",
    "'s",
    " a",
    "aA",
    "👩\u{200d}",
    "ab",
];

#[test]
fn no_repetition_takes_more_than_its_length() {
    for encoding in Encoding::ALL {
        for part in REPEATED {
            let long = part.repeat((1 << 20) / part.len());
            let start = Instant::now();
            let count = encoding.count(&long);
            let cuts = cut(encoding, [&long]);
            assert!(count > 0 && cuts.text == long);
            // A debug build takes a second or less; a quadratic search would take hours.
            assert!(start.elapsed() < Duration::from_secs(60), "{part:?}");
        }
    }
}

/// Texts of words, spaces, signs and anything.
fn any_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-zA-Z]{1,12}",
        "[ \t\r\n]{1,4}",
        "[0-9]{1,6}",
        "['!-/:-@]{1,4}",
        "\\PC{1,6}",
        ".{1,4}",
        prop::sample::select(TEXTS.to_vec()).prop_map(str::to_owned),
        ("[a-c' ]{1,3}", 1_usize..40).prop_map(|(part, times)| part.repeat(times)),
    ];
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_has_the_tokens_of_the_package_that_the_vocabularies_are_from(text in any_text()) {
        for encoding in Encoding::ALL {
            let expected = original(encoding).encode(&text);
            prop_assert_eq!(&encoding.encode(&text), &expected);
            prop_assert_eq!(encoding.count(&text), expected.len());
            prop_assert_eq!(encoding.decode(&expected).unwrap(), text.as_bytes());
        }
    }

    #[test]
    fn a_text_that_is_written_has_the_tokens_of_the_whole(
        parts in prop::collection::vec(any_text(), 0..8),
    ) {
        let whole = parts.concat();
        for encoding in Encoding::ALL {
            let cuts = cut(encoding, &parts);
            prop_assert_eq!(&cuts.text, &whole);
            for (text, tokens) in cuts.iter() {
                prop_assert!(!text.is_empty());
                prop_assert_eq!(encoding.decode(tokens).unwrap(), text.as_bytes());
            }
            if whole.len() <= 1 << 10 {
                prop_assert_eq!(&cuts.tokens, &encoding.encode(&whole));
            }
        }
    }
}
