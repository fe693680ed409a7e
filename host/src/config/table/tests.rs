//! Each row means its own value, and no other.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::settings::Settings;
use crate::config::values::RawValue;

#[test]
fn names_are_unique_and_well_formed() {
    let mut variables: Vec<String> = SETTINGS.iter().map(Setting::variable).collect();
    variables.sort();
    let count = variables.len();
    variables.dedup();
    assert_eq!(variables.len(), count, "two keys give one variable");
    for setting in SETTINGS {
        assert!(setting.doc.ends_with('.'), "{}", setting.key);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.';
        assert!(setting.key.chars().all(plain), "{}", setting.key);
        assert!(
            setting.flag.is_none_or(|flag| flag.starts_with("--")),
            "{}",
            setting.key
        );
    }
}

/// A value that no setting of that kind has by default.
fn other_value(setting: &Setting, default: &str) -> String {
    let accepts = setting.accepts;
    let candidates = [
        "true",
        "false",
        "7",
        "7 MiB",
        "7 s",
        "7 ms",
        "127.0.0.1:7",
        "/seven",
        "https://seven.example",
        "json",
        "debug",
        "keep-resident",
        "10.7.0.0/16",
        "forwarded",
        "required",
        "stdout",
        "refuse",
        "ignore",
        "7m,7h,8h",
        "free",
        "report",
        "block",
        "0.75",
        "duration",
        "/infer=7:7",
        "1.3",
        "600",
        "dns:seven.example=key",
        "a-key-of-sixteen-characters",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "ban",
        "PS384",
        "approle",
        "uploader",
        "reset",
        "virtual",
        "gpt-4o* ttft=7ms",
        "read=models:read",
        "ci=ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    ];
    candidates
        .iter()
        .find(|text| {
            let mut settings = Settings::default();
            let raw = RawValue::Text((**text).to_owned());
            (setting.read)(&mut settings, &raw).is_ok() && (setting.show)(&settings) != default
        })
        .unwrap_or_else(|| panic!("no other value for {} ({accepts})", setting.key))
        .to_string()
}

#[test]
fn each_setting_changes_its_own_value_and_no_other() {
    let before = Settings::default();
    for setting in SETTINGS {
        let mut after = Settings::default();
        let value = other_value(setting, &(setting.show)(&before));
        (setting.read)(&mut after, &RawValue::Text(value)).unwrap();
        for other in SETTINGS {
            let same = (other.show)(&before) == (other.show)(&after);
            assert_eq!(
                same,
                other.key != setting.key,
                "{} and {}",
                setting.key,
                other.key
            );
        }
    }
}

#[test]
fn what_is_shown_can_be_read_again() {
    let settings = Settings::default();
    for setting in SETTINGS
        .iter()
        .filter(|s| !matches!(s.key, "api_keys" | "signatures.trusted" | "data_dir"))
    {
        let shown = (setting.show)(&settings);
        let mut again = Settings::default();
        (setting.read)(&mut again, &RawValue::Text(shown.clone())).unwrap();
        assert_eq!((setting.show)(&again), shown, "{}", setting.key);
    }
}
