//! What is read of signatures, and what is refused.
#![allow(clippy::unwrap_used)]

use http::{HeaderValue, Method, Uri};

use super::*;

const KEY: &str = "key_0123456789abcdef";
const ALL: &str = "\"@method\" \"@authority\" \"@path\" \"@query\"";

fn headers(all: &[(HeaderName, &str)]) -> HeaderMap {
    let value = |text: &str| HeaderValue::from_bytes(text.as_bytes()).unwrap();
    let all = all.iter().map(|(name, text)| (name.clone(), value(text)));
    let mut headers = HeaderMap::new();
    for (name, value) in all {
        headers.append(name, value);
    }
    headers
}

fn read(input: &str, signature: &str) -> Result<Option<SignedHead>, SignatureFault> {
    SignedHead::of(&headers(&[
        (SIGNATURE_INPUT, input),
        (SIGNATURE, signature),
    ]))
}

fn params(more: &str) -> String {
    format!(";created=1;nonce=\"12345678\";keyid=\"{KEY}\"{more}")
}

#[test]
fn a_signature_is_read_with_its_parameters_as_they_were_written() {
    let input =
        format!("sig=({ALL});created=7;nonce=\"12345678\";keyid=\"{KEY}\";tag=\"x\";expires=9");
    let signed = read(&input, "sig=:AAEC:").unwrap().unwrap();
    assert_eq!(format!("sig={}", signed.params), input);
    let presented = signed.presented(b"base");
    assert_eq!(
        (
            presented.key_id,
            presented.created,
            presented.expires,
            presented.nonce
        ),
        (KEY, 7, Some(9), "12345678")
    );
    assert_eq!(presented.signature, [0, 1, 2]);
    // In other blanks it is the canonical form that was signed.
    let spaced = format!(
        "sig=(  \"@method\"   \"@path\" ){}",
        params("").replace(';', "; ")
    );
    let signed = read(&spaced, "sig=:AAEC:").unwrap().unwrap();
    assert_eq!(
        signed.params,
        format!("(\"@method\" \"@path\"){}", params(""))
    );
}

#[test]
fn signatures_of_others_are_passed_over() {
    let bot = "web=(\"@authority\");created=1;keyid=\"poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U\";tag=\"web-bot-auth\"";
    assert!(read(bot, "web=:AAEC:").unwrap().is_none());
    let both = format!("{bot}, mine=({ALL}){}", params(""));
    let signed = read(&both, "web=:AAEC:, mine=:AwQ=:").unwrap().unwrap();
    assert_eq!(signed.signature, [3, 4]);
    // In two lines.
    let headers = headers(&[
        (SIGNATURE_INPUT, bot),
        (SIGNATURE_INPUT, &format!("mine=({ALL}){}", params(""))),
        (SIGNATURE, "web=:AAEC:"),
        (SIGNATURE, "mine=:AwQ=:"),
    ]);
    assert!(SignedHead::of(&headers).unwrap().is_some());
    for other in [
        "a=1",
        "a=(\"@method\")",
        "a=();keyid=7",
        "a;keyid=\"key_0123456789abcdef\"",
    ] {
        assert!(read(other, "a=:AAEC:").unwrap().is_none(), "{other}");
    }
}

#[test]
fn what_cannot_be_a_signature_is_refused_by_name() {
    let good = params("");
    let of = |list: &str, params: &str| read(&format!("a=({list}){params}"), "a=:AAEC:");
    let fault = |list: &str, params: &str| of(list, params).unwrap_err();
    let wrong = |params: &str| match fault(ALL, params) {
        SignatureFault::Parameter { name, .. } => name,
        other => panic!("{other}"),
    };
    let id = format!(";keyid=\"{KEY}\"");
    assert_eq!(wrong(&format!(";nonce=\"12345678\"{id}")), "created");
    assert_eq!(
        wrong(&format!(";created=\"1\";nonce=\"12345678\"{id}")),
        "created"
    );
    assert_eq!(wrong(&format!(";created=1{id}")), "nonce");
    assert_eq!(wrong(&format!(";created=1;nonce=\"1234567\"{id}")), "nonce");
    let long = "n".repeat(129);
    assert_eq!(wrong(&format!(";created=1;nonce=\"{long}\"{id}")), "nonce");
    assert_eq!(wrong(&params(";alg=\"hmac-sha512\"")), "alg");
    assert_eq!(wrong(&params(";alg=hmac-sha256")), "alg");
    assert_eq!(wrong(&params(";expires=1.5")), "expires");
    for list in [
        "\"@method\" \"@method\"",
        "\"@method\";req",
        "\"@query-param\";name=\"a\"",
        "1",
        "@method",
    ] {
        assert!(of(list, &good).is_err(), "{list}");
    }
    let many: String = (0..65).map(|n| format!("\"x-{n}\" ")).collect();
    assert_eq!(fault(&many, &good), SignatureFault::TooMany);
    let input: String = (0..9).map(|n| format!("a{n}=(){good}, ")).collect();
    let input = input.trim_end_matches(", ");
    assert_eq!(
        read(input, "a=:AAEC:").unwrap_err(),
        SignatureFault::TooMany
    );
    let two = format!("a=({ALL}){good}, b=({ALL}){good}");
    assert_eq!(read(&two, "a=:AAEC:").unwrap_err(), SignatureFault::Several);
    let one = format!("a=({ALL}){good}");
    assert_eq!(
        read(&one, "b=:AAEC:").unwrap_err(),
        SignatureFault::Unsigned
    );
    assert_eq!(
        read(&one, "a=(:AAEC:)").unwrap_err(),
        SignatureFault::Unsigned
    );
    assert_eq!(
        read(&one, "a=\"AAEC\"").unwrap_err(),
        SignatureFault::Malformed
    );
    for garbage in ["", "=", "a=(", "a=(\"@method\"", "\u{e4}", "a=();;", "A=()"] {
        let refused = read(garbage, "a=:AAEC:").map(|signed| signed.is_some());
        assert_ne!(refused, Ok(true), "{garbage}");
    }
    let alone = SignedHead::of(&headers(&[(SIGNATURE_INPUT, &one)]));
    assert_eq!(alone.unwrap_err(), SignatureFault::Unsigned);
}

#[track_caller]
fn covers(list: &str, target: &str, more: &[(HeaderName, &str)], has_body: bool) -> bool {
    let signed = read(&format!("a=({list}){}", params("")), "a=:AAEC:");
    let (target, headers) = (target.parse::<Uri>().unwrap(), headers(more));
    let message = Message {
        method: &Method::POST,
        scheme: "https",
        authority: "h".into(),
        target: &target,
        headers: &headers,
    };
    signed
        .unwrap()
        .unwrap()
        .check_coverage(&message, has_body)
        .is_ok()
}

#[test]
fn all_that_decides_what_a_request_does_must_be_signed() {
    assert!(covers(ALL, "/a?b", &[], false));
    assert!(covers("\"@method\" \"@target-uri\"", "/a?b", &[], false));
    assert!(covers(
        "\"@method\" \"@authority\" \"@path\"",
        "/a",
        &[],
        false
    ));
    assert!(covers(
        "\"@method\" \"@authority\" \"@request-target\"",
        "/a?b",
        &[],
        false
    ));
    for short in [
        "",
        "\"@authority\" \"@path\" \"@query\"",
        "\"@method\" \"@path\" \"@query\"",
        "\"@method\" \"@authority\" \"@query\"",
        "\"@method\" \"@authority\" \"@path\"",
        "\"@method\" \"@request-target\"",
    ] {
        assert!(!covers(short, "/a?b", &[], false), "{short}");
    }
    assert!(!covers(ALL, "/a", &[], true));
    assert!(covers(
        &format!("{ALL} \"content-digest\""),
        "/a",
        &[],
        true
    ));
    for header in DECISIVE_HEADERS {
        let there = [(header.clone(), "x")];
        assert!(!covers(ALL, "/a", &there, false), "{header}");
        let all = format!("{ALL} \"{header}\"");
        assert!(covers(&all, "/a", &there, false), "{header}");
    }
}
