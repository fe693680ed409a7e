use super::*;

fn token(id: u32, bytes: &[u8]) -> Option<Token> {
    Some(Token {
        id,
        bytes: bytes.to_vec(),
        logprob: None,
        alternatives: Vec::new(),
    })
}

fn held(pieces: &[&[u8]]) -> Held {
    let mut held = Held::default();
    for (id, piece) in pieces.iter().enumerate() {
        held.push(piece, token(id as u32, piece));
    }
    held
}

#[test]
fn a_character_in_two_tokens_is_released_with_both() {
    let mut held = held(&[b"a", b"\xe2\x82"]);
    let first = held.release(0);
    assert_eq!((first.text.as_str(), first.count), ("a", 1));
    held.push(b"\xac", token(2, b"\xac"));
    let second = held.release(0);
    assert_eq!((second.text.as_str(), second.count), ("\u{20ac}", 2));
    assert_eq!(held.take_all(), Released::default());
}

#[test]
fn bytes_that_are_no_text_do_not_hold_up_what_follows() {
    let mut held = held(&[b"\xff", b"a", b"\xe2", b"b"]);
    assert_eq!(held.release(0).text, "\u{fffd}a\u{fffd}b");
}

#[test]
fn what_could_begin_a_mark_waits() {
    let mut held = held(&[b"yes", b" EN"]);
    let kept = held.open(["END"].into_iter());
    assert_eq!(kept, 2);
    assert_eq!(held.release(kept).text, "yes");
    held.push(b"D.", token(2, b"D."));
    assert_eq!(held.find(&["END".to_owned()]), Some((1, "END")));
    let before = held.take_before(1);
    assert_eq!((before.text.as_str(), before.tokens.len()), (" ", 1));
}

#[test]
fn the_first_mark_counts_and_of_two_at_one_place_the_longer() {
    let held = held(&[b"one two three"]);
    let marks = ["three", "two", "two t"].map(str::to_owned);
    assert_eq!(held.find(&marks), Some((4, "two t")));
    assert_eq!(held.find(&[String::new()]), None);
}
