//! Settings of the edge that contradict one another, or name files that cannot be used, stop the
//! start.

use std::collections::BTreeMap;

use belljar::config::{Overrides, resolve};
use belljar::tls::Tls;

use crate::kit::{Authority, Folder};

/// What the settings are refused for; empty where they are taken.
pub(crate) fn refused(settings: &[(&str, &str)]) -> String {
    let mut overrides = Overrides::default();
    overrides.flag("the test", "data_dir", "/nowhere");
    for (key, value) in settings {
        overrides.flag("the test", key, value);
    }
    let environment = BTreeMap::<String, String>::new();
    resolve(&overrides, &environment).map_or_else(|error| error.to_string(), |_| String::new())
}

#[test]
fn contradictions_stop_the_start() {
    let cert = ("tls.cert", "a.pem");
    for (settings, names) in [
        (&[("tls.key", "a.key")][..], "tls.key"),
        (
            &[("tls.cert", "a.pem,b.pem"), ("tls.key", "a.key")],
            "tls.key",
        ),
        (&[("tls.hsts", "1 d")], "tls.hsts"),
        (
            &[("tls.redirect_listen", "127.0.0.1:80")],
            "tls.redirect_listen",
        ),
        (&[cert, ("tls.redirect_port", "443")], "tls.redirect_port"),
        (
            &[
                cert,
                ("tls.redirect_listen", "127.0.0.1:1"),
                ("listen", "127.0.0.1:1"),
            ],
            "tls.redirect_listen",
        ),
        (
            &[
                cert,
                ("tls.redirect_listen", "127.0.0.1:1"),
                ("tls.redirect_port", "70000"),
            ],
            "tls.redirect_port",
        ),
        (&[("unix.mode", "rw")], "octal"),
        (&[("unix.mode", "0888")], "octal"),
        (&[("unix.mode", "600")], "unix.path"),
        (&[("tls.client_auth", "required")], "tls.client_auth"),
        (&[cert, ("tls.client_auth", "required")], "tls.client_ca"),
        (&[cert, ("tls.client_ca", "ca.pem")], "tls.client_auth"),
        (&[cert, ("tls.client_crl", "list.pem")], "tls.client_auth"),
        (&[cert, ("tls.client_keys", "dns:a=b")], "tls.client_auth"),
        (&[cert, ("tls.client_keys", "host:a=b")], "a rule is"),
        (&[cert, ("tls.min_version", "1.1")], "1.2 or 1.3"),
        (&[cert, ("tls.handshakes_max", "0")], "tls.handshakes_max"),
        (
            &[("signed_requests.nonces_max", "5")],
            "signed_requests.nonces_per_key_max",
        ),
        (
            &[("signed_requests.skew_max", "2 min")],
            "signed_requests.age_max",
        ),
        (
            &[("signed_requests.age_max", "0")],
            "signed_requests.age_max",
        ),
        (
            &[("tls.cert", "a.pem,,b.pem"), ("tls.key", "[\"\"]")],
            "a path is empty",
        ),
    ] {
        let why = refused(settings);
        assert!(why.contains(names), "{settings:?}: {why}");
    }
    assert_eq!(
        refused(&[cert, ("tls.key", "a.key"), ("tls.hsts", "1 d")]),
        ""
    );
    assert_eq!(refused(&[("tls.cert", "none"), ("tls.key", "none")]), "");
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let (authority, folder) = (Authority::new("the test"), Folder::new());
    let (issued, other) = (
        authority.issue(&["a.example"]),
        authority.issue(&["a.example"]),
    );
    let certificate = folder.write("a.pem", &issued.certificate);
    let key = folder.write("a.key", &issued.key);
    let other = folder.write("other.key", &other.key);
    let gone = folder.path("gone.pem");
    let gone = gone.to_str().unwrap();
    for (certificate, key, why) in [
        (gone, &*key, "gone.pem: No such file"),
        (&*certificate, gone, "gone.pem: No such file"),
        (&*key, &*key, "a.key has no certificate"),
        (&*certificate, &*certificate, "a.pem has no private key"),
        (&*certificate, &*other, "other.key does not belong to"),
    ] {
        let config = belljar::tls::Config {
            certificates: vec![certificate.into()],
            keys: vec![key.into()],
            ..belljar::tls::Config::default()
        };
        let error = Tls::load(&config).err().map(|error| error.to_string());
        let error = error.unwrap_or_default();
        assert!(error.contains(why), "{error}");
        assert!(!error.contains("PRIVATE KEY-----"), "{error}");
    }
}
