//! `Authorization` and `X-API-Key`: nothing panics, the word `Bearer` changes no key, and no key
//! or token is printed.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "."]
mod auth {
    #[path = "../../src/auth/key.rs"]
    pub(crate) mod key;
}

use auth::key::{ConfiguredKey, PresentedKey};

fuzz_target!(|value: &[u8]| {
    let plain = PresentedKey::parse(value);
    let bearer = PresentedKey::from_authorization(value);
    let header = [b"bEARER ", value].concat();
    let both = PresentedKey::from_authorization(&header);
    match (&plain, &both) {
        (Ok(plain), Ok(both)) => assert!(plain.same_as(both)),
        // Spaces around a key are no part of it behind the word, and none is one alone. A token may
        // be longer than a key.
        (Err(_), Ok(both)) => assert!(both.is_token() || value.trim_ascii() != value),
        (Ok(_), Err(error)) => panic!("{error}"),
        (Err(_), Err(_)) => {}
    }
    if let Ok(key) = &both
        && key.is_token()
    {
        let printed = format!("{key:?}");
        assert!(
            value.len() < 16
                || !value.is_ascii()
                || !printed.contains(&*String::from_utf8_lossy(value))
        );
    }
    // A key has no spaces, so no value is both.
    assert!(plain.is_err() || bearer.is_err());
    if let Ok(key) = &plain {
        let printed = format!("{key:?}");
        assert!(
            value.len() < 16
                || !printed
                    .as_bytes()
                    .windows(value.len())
                    .any(|part| part == value)
        );
    }
    if let Ok(text) = std::str::from_utf8(value) {
        let _ = text.parse::<ConfiguredKey>();
    }
});
