//! The reference page of `model.toml`, written from the list of its keys and from the settings that
//! decide about them.

use std::fmt::Write as _;

use belljar_bundle::{
    ByteSize, DurationText, ManifestKey, Presence, manifest_example, manifest_keys,
};

use super::setting::Setting;
use super::table::SETTINGS;

/// The page, as Markdown. `docs/model-toml.md` is a copy of it.
#[must_use]
pub fn manifest_reference() -> String {
    let mut page = String::from(HEAD);
    let _ = write!(page, "\n```toml\n{}```\n\n{PROJECTS}", manifest_example());
    let mut table = None;
    for key in manifest_keys() {
        if table != Some(key.table) {
            table = Some(key.table);
            begin_table(&mut page, key);
        }
        write_row(&mut page, key);
    }
    let list = |units: Vec<&str>| units.join(", ");
    let _ = write!(
        page,
        "\nA size has one of the units {}; a time one of {}. The file itself may have {} \
         (`archive.manifest_max`).\n",
        list(ByteSize::units().collect()),
        list(DurationText::units().collect()),
        default_of("archive.manifest_max"),
    );
    page
}

fn begin_table(page: &mut String, key: &ManifestKey) {
    let title = match key.table {
        "" => "## At the top".to_owned(),
        table => format!("## `[{table}]`"),
    };
    let _ = write!(page, "\n{title}\n\n{}", introduction(key.table));
    page.push_str(if has_defaults(key) {
        "| key | value | unless it is there | at most | meaning |\n| --- | --- | --- | --- | --- |\n"
    } else {
        "| key | value | meaning |\n| --- | --- | --- |\n"
    });
}

/// Whether a server gives the keys of this table a value where a manifest is silent.
fn has_defaults(key: &ManifestKey) -> bool {
    key.default_setting.is_some()
}

fn write_row(page: &mut String, key: &ManifestKey) {
    let _ = write!(page, "| `{}` | {} |", key.full_name(), key.value);
    if let Some(default) = key.default_setting {
        let _ = write!(page, " {} |", with_default(default));
        let bounds = key.bound_settings.iter().map(|name| with_default(name));
        let _ = write!(page, " {} |", bounds.collect::<Vec<_>>().join(", "));
    }
    let _ = write!(page, " {}", key.doc);
    if key.presence == Presence::Needed {
        page.push_str(" Has to be there.");
    }
    if key.default_setting.is_none() && !key.bound_settings.is_empty() {
        let bounds = key.bound_settings.iter().map(|name| with_default(name));
        let bounds = bounds.collect::<Vec<_>>().join(", ");
        let _ = write!(page, " Bounded by the server: {bounds}.");
    }
    page.push_str(" |\n");
}

/// A setting with its default: 256 MiB (`policy.default_memory`).
fn with_default(name: &str) -> String {
    format!("{} (`{name}`)", default_of(name))
}

fn default_of(name: &str) -> String {
    let setting = SETTINGS.iter().find(|setting| setting.key == name);
    let value = setting.map(Setting::default_text).unwrap_or_default();
    grouped(&value)
}

/// Long numbers in groups of three digits, as documents write them.
fn grouped(value: &str) -> String {
    if value.len() <= 4 || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return value.to_owned();
    }
    let mut grouped = String::new();
    for (index, digit) in value.chars().enumerate() {
        if index > 0 && (value.len() - index).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

fn introduction(table: &str) -> &'static str {
    match table {
        "limits" => LIMITS,
        "examples" => EXAMPLES,
        "assets" => ASSETS,
        "digests" => DIGESTS,
        "signature" => SIGNATURE,
        _ => "",
    }
}

const HEAD: &str = "\
# model.toml

Written by `cargo run -p belljar --example reference_pages`; do not edit by hand.

Each bundle has a file `model.toml` at its root, which says what the model is called, what it asks
for, and which files belong to it. What the model *can do* it does not say: that is what its
component exports. A key that is not on this page is refused, with the nearest one that is.

`schema`, `name`, `version` and one of `component`, `recording` and `base` make a whole manifest for
a project folder. This one has all that whoever writes a component can say beside that:
";

const PROJECTS: &str = "\
`belljar pack DIR` makes a bundle of a project folder with such a file. It computes the digests: a
digest that is written down must fit, an empty one (`\"\"`) is filled in, and one for the component
is added. In a bundle that is made otherwise every digest has to be there, and every file of the
archive has to be in `[assets]` or `[digests]`. `belljar check` says what comes of it: what the
component can do, and the limits that it will have.

A project that names a `base` is packed by `belljar push` and `belljar dev`, which ask the server for
the digest of the base's component; its sources become assets below `source/`
([authors/source.md](authors/source.md)).
";

const LIMITS: &str = "\
What the model asks for of each request. A server gives it that, or refuses the upload if it is
more than its policy allows. Every value is above zero. When a limit is reached, the caller reads
which one and what was used; `belljar run` prints what a request used, so that these need no
guessing, and [authors.md](authors.md) says how much to ask for. How long `load` may take is not
asked for: `policy.load_time_max` decides.

";

const EXAMPLES: &str = "\
What the model answers to requests in `tests/*.toml` ([inside.md](inside.md)), which
`belljar test` runs.

";

const ASSETS: &str = "\
Without this table, `belljar pack` takes every file in the folder `assets/` of the project, named
relative to it, but for those whose names begin with a dot. With it, it takes the files that are
listed, from the project folder or from `assets/` in it; a file in `assets/` that is not listed is
an error.

";

const DIGESTS: &str = "\
The files of the archive that the model does not see. Each file is either here or in `[assets]`.

";

const SIGNATURE: &str = "\
Made by `belljar pack --sign KEY`, checked by servers: one that does not fit is always refused, and
`signatures.required` refuses bundles without one of a key in `signatures.trusted`.

";

#[cfg(test)]
mod tests {
    use belljar_bundle::MANIFEST_PATH;

    use super::*;

    #[test]
    fn the_page_in_the_repository_is_up_to_date() {
        let page = include_str!("../../../docs/model-toml.md");
        assert!(
            page == manifest_reference(),
            "run `cargo run -p belljar --example reference_pages` and commit the result"
        );
    }

    #[test]
    fn every_setting_that_decides_about_a_key_exists() {
        for key in manifest_keys() {
            for name in key.bound_settings.iter().chain(&key.default_setting) {
                let exists = SETTINGS.iter().any(|setting| setting.key == *name);
                assert!(exists, "{}: {name}", key.full_name());
            }
        }
        assert_eq!(MANIFEST_PATH, "model.toml", "the page is called after it");
    }

    #[test]
    fn long_numbers_are_in_groups() {
        for (value, expected) in [
            ("100", "100"),
            ("1024", "1024"),
            ("20000000000", "20 000 000 000"),
            ("4 GiB", "4 GiB"),
        ] {
            assert_eq!(grouped(value), expected);
        }
    }
}
