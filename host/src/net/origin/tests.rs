#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

fn rule(header: ForwardedHeader) -> OriginRule {
    let proxies = ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().unwrap());
    OriginRule {
        trusted_proxies: NetworkList::new(proxies.into(), 2).unwrap(),
        header,
        ..OriginRule::default()
    }
}

fn resolve(rule: &OriginRule, peer: &str, xff: &[&str], forwarded: &[&str]) -> String {
    let lines = |lines: &[&str]| -> Vec<Vec<u8>> {
        lines.iter().map(|line| line.as_bytes().to_vec()).collect()
    };
    let (xff, forwarded) = (lines(xff), lines(forwarded));
    let resolved = rule.resolve(
        peer.parse().unwrap(),
        xff.iter().map(Vec::as_slice),
        forwarded.iter().map(Vec::as_slice),
    );
    resolved.map_or_else(
        |ConflictingOrigins| "conflict".to_owned(),
        |origin| {
            // Whom nobody can be held to is marked.
            let mark = if origin.is_caller { "" } else { "?" };
            format!("{}{mark}", origin.ip())
        },
    )
}

#[track_caller]
fn check_xff(lines: &[&str], expect: &str) {
    let rule = rule(ForwardedHeader::Auto);
    assert_eq!(resolve(&rule, "10.0.0.1", lines, &[]), expect, "{lines:?}");
}

#[test]
fn the_right_most_untrusted_hop_is_the_caller() {
    check_xff(&[], "10.0.0.1");
    check_xff(&["192.0.2.7"], "192.0.2.7");
    check_xff(&["198.51.100.1, 192.0.2.7"], "192.0.2.7");
    check_xff(&["198.51.100.1, 192.0.2.7, 10.0.0.2"], "192.0.2.7");
    check_xff(&["198.51.100.1", "192.0.2.7", "10.0.0.2"], "192.0.2.7");
    check_xff(&["10.0.0.3, 10.0.0.2"], "10.0.0.3");
    check_xff(&["192.0.2.7:4711"], "192.0.2.7");
    check_xff(&["[2001:db8::1]:4711"], "2001:db8::1");
    check_xff(&["[2001:db8::1]"], "2001:db8::1");
    check_xff(&["2001:db8::1"], "2001:db8::1");
    check_xff(&["::ffff:192.0.2.7"], "192.0.2.7");
    check_xff(&["192.0.2.7, ::ffff:10.0.0.2"], "192.0.2.7");
}

#[test]
fn garbage_ends_the_walk_at_the_last_known_hop() {
    check_xff(&["192.0.2.7, unknown, 10.0.0.2"], "10.0.0.2?");
    check_xff(&["192.0.2.7, unknown"], "10.0.0.1?");
    check_xff(&["192.0.2.7, 10.0.0.2, \u{fe}"], "10.0.0.1?");
    check_xff(&["fe80::1%eth0"], "10.0.0.1?");
    check_xff(&["192.0.2.777"], "10.0.0.1?");
}

#[test]
fn empty_elements_and_pairs_say_nothing() {
    for line in [
        "192.0.2.7,",
        ",192.0.2.7",
        "192.0.2.7, ,\t,10.0.0.2",
        " , 192.0.2.7 , ,",
        "192.0.2.7,,10.0.0.2,",
    ] {
        check_xff(&[line], "192.0.2.7");
        check_xff(&[line, ""], "192.0.2.7");
        check_xff(&["198.51.100.1", line], "192.0.2.7");
    }
    for nothing in [&[""][..], &[","], &["", " , "]] {
        // The proxy does not speak for itself.
        check_xff(nothing, "10.0.0.1?");
        let other = rule(ForwardedHeader::Forwarded);
        assert_eq!(resolve(&other, "10.0.0.1", nothing, &[]), "10.0.0.1");
    }
    let rule = rule(ForwardedHeader::Forwarded);
    for line in [
        "for=192.0.2.7;",
        ";for=192.0.2.7",
        "for=192.0.2.7;;proto=http",
        "for=192.0.2.7; ;proto=http; ",
        "for=192.0.2.7,",
        ",for=192.0.2.7,,for=10.0.0.2;",
        "for=192.0.2.7, ; ,",
    ] {
        let found = resolve(&rule, "10.0.0.1", &[], &[line]);
        assert_eq!(found, "192.0.2.7", "{line}");
    }
}

#[test]
fn forwarded_is_read_as_the_standard_says() {
    let check = |lines: &[&str], expect: &str| {
        let rule = rule(ForwardedHeader::Auto);
        assert_eq!(resolve(&rule, "10.0.0.1", &[], lines), expect, "{lines:?}");
    };
    check(&["for=192.0.2.7"], "192.0.2.7");
    check(
        &["For=\"[2001:db8:cafe::17]:4711\";proto=https"],
        "2001:db8:cafe::17",
    );
    check(
        &["by=203.0.113.43;FOR = \"192.0.2.7:80\" ; host=\"a,b\""],
        "192.0.2.7",
    );
    check(
        &["for=198.51.100.1, for=192.0.2.7", "for=10.0.0.2"],
        "192.0.2.7",
    );
    // A port may hide its number, and what is quoted may hold any sign.
    check(&["for=\"192.0.2.7:_http\""], "192.0.2.7");
    check(&["for=\"[2001:db8::1]:_a.b-c\""], "2001:db8::1");
    check(&["for=192.0.2.7;x=\"a;b;for=192.0.2.9\""], "192.0.2.7");
    check(&["x=\"a;b\";for=\"192.0.2.7\";proto=http"], "192.0.2.7");
    check(&[r#"host="a\"b;c,d";for=192.0.2.7"#], "192.0.2.7");
    check(&[r#"for=192.0.2.7;x="a\\";y="b\"c""#], "192.0.2.7");
    check(&[r#"x="\",for=198.51.100.1, for=192.0.2.7"#], "192.0.2.7");
    check(&["for=\"192.0.2.7:_\""], "10.0.0.1?");
    check(&["for=\"2001:db8::1:_x\""], "10.0.0.1?");
    check(&["for=\"192.0.2.7:_a b\""], "10.0.0.1?");
    check(&["for=192.0.2.7, for=unknown"], "10.0.0.1?");
    check(&["for=192.0.2.7, for=_hidden"], "10.0.0.1?");
    check(&["for=192.0.2.7;for=192.0.2.8"], "10.0.0.1?");
    check(&["proto=https"], "10.0.0.1?");
    // A quote that the caller has left open does not swallow what the proxy has appended.
    check(&["for=\"198.51.100.1, for=192.0.2.7"], "192.0.2.7");
    check(&["for=\"198.51.100.1;x=, for=\"192.0.2.7\""], "192.0.2.7");
}

#[test]
fn two_headers_must_agree_unless_one_is_chosen() {
    let both = |header| {
        let rule = rule(header);
        resolve(&rule, "10.0.0.1", &["192.0.2.7"], &["for=198.51.100.1"])
    };
    assert_eq!(both(ForwardedHeader::Auto), "conflict");
    assert_eq!(both(ForwardedHeader::XForwardedFor), "192.0.2.7");
    assert_eq!(both(ForwardedHeader::Forwarded), "198.51.100.1");
    let rule = rule(ForwardedHeader::Auto);
    let same = resolve(&rule, "10.0.0.1", &["192.0.2.7"], &["for=192.0.2.7"]);
    assert_eq!(same, "192.0.2.7");
}

fn any_header() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..60);
    let likely = "([0-9a-f.:,;=\"\\[\\] ]|for=|10\\.0\\.0\\.1|192\\.0\\.2\\.7|unknown){0,12}";
    let line = prop_oneof![bytes, likely.prop_map(String::into_bytes)];
    proptest::collection::vec(line, 0..4)
}

proptest! {
    /// Whatever a stranger writes, it is held to its own address.
    #[test]
    fn an_untrusted_peer_is_who_it_is(xff in any_header(), forwarded in any_header(), peer: u32) {
        let peer = IpAddr::V4(peer.into());
        let rule = rule(ForwardedHeader::Auto);
        prop_assume!(!rule.trusts(peer));
        let resolved = rule.resolve(
            peer,
            xff.iter().map(Vec::as_slice),
            forwarded.iter().map(Vec::as_slice),
        );
        prop_assert_eq!(resolved.map(Origin::ip), Ok(peer));
    }

    /// Whatever a caller writes to the left of what a proxy appends, the caller is found.
    #[test]
    fn nothing_to_the_left_of_the_proxy_matters(spoofed in any_header(), caller: u32) {
        let caller = IpAddr::V4(caller.into());
        let rule = rule(ForwardedHeader::XForwardedFor);
        prop_assume!(!rule.trusts(caller));
        let mut joined = spoofed.join(&b", "[..]);
        joined.extend(format!(", {caller}").into_bytes());
        let separate = [spoofed.clone(), vec![caller.to_string().into_bytes()]].concat();
        for lines in [vec![joined], separate] {
            let none = std::iter::empty::<&[u8]>();
            let peer = "10.0.0.1".parse().unwrap();
            let resolved = rule.resolve(peer, lines.iter().map(Vec::as_slice), none);
            prop_assert_eq!(resolved.map(Origin::ip), Ok(caller));
        }
    }

    /// `Forwarded` is read from the right as well.
    #[test]
    fn nothing_to_the_left_of_a_forwarded_element_matters(spoofed in any_header(), caller: u32) {
        let caller = IpAddr::V4(caller.into());
        let rule = rule(ForwardedHeader::Forwarded);
        prop_assume!(!rule.trusts(caller));
        let mut joined = spoofed.join(&b", "[..]);
        joined.extend(format!(", for=\"{caller}:80\";proto=http").into_bytes());
        let none = std::iter::empty::<&[u8]>();
        let peer = "10.0.0.1".parse().unwrap();
        let resolved = rule.resolve(peer, none, [joined.as_slice()].into_iter());
        prop_assert_eq!(resolved.map(Origin::ip), Ok(caller));
    }
}
