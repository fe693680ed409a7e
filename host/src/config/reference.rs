//! The reference page of all settings, written from the table.

use std::fmt::Write as _;

use super::environment::OTHER_VARIABLES;
use super::setting::Setting;
use super::settings::Settings;
use super::table::SETTINGS;

/// The page, as Markdown. `CONFIGURATION.md` is a copy of it.
#[must_use]
pub fn reference() -> String {
    let defaults = Settings::default();
    let mut page = String::from(HEAD);
    let mut groups: Vec<&str> = Vec::new();
    for prefix in SETTINGS.iter().map(group) {
        if !groups.contains(&prefix) {
            groups.push(prefix);
        }
    }
    for prefix in groups {
        let title = if prefix.is_empty() {
            "Top level"
        } else {
            prefix
        };
        let _ = write!(page, "\n## {title}\n\n{TABLE_HEAD}");
        for setting in SETTINGS.iter().filter(|setting| group(setting) == prefix) {
            write_row(&mut page, setting, &defaults);
        }
    }
    let _ = write!(
        page,
        "\n## Other variables\n\n| variable | meaning |\n| --- | --- |\n"
    );
    for (name, meaning) in OTHER_VARIABLES {
        let _ = writeln!(page, "| `{name}` | {meaning} |");
    }
    page
}

/// The table of the file that a setting belongs to; empty for the top level.
fn group(setting: &Setting) -> &'static str {
    setting.key.split_once('.').map_or("", |(prefix, _)| prefix)
}

fn write_row(page: &mut String, setting: &Setting, defaults: &Settings) {
    let mut names = format!("`{}`", setting.variable());
    if let Some(name) = setting.fakeai_variable() {
        let _ = write!(names, ", `{name}`");
    }
    if let Some(flag) = setting.flag {
        let _ = write!(names, ", `{flag}`");
    }
    let default = match setting.key {
        "data_dir" => "`$XDG_DATA_HOME/belljar` or `~/.local/share/belljar`".to_owned(),
        _ => format!("`{}`", (setting.show)(defaults)),
    };
    let reloads = if setting.reloads { " Reloads." } else { "" };
    let _ = writeln!(
        page,
        "| `{}` | {names} | {default} | {} Accepts {}. Read by `{}`.{reloads} |",
        setting.key, setting.doc, setting.accepts, setting.owner,
    );
}

const HEAD: &str = "\
# Configuration

Written by `belljar config reference`; do not edit by hand.

A setting comes from its default, the file (`--config FILE`, or `belljar.toml` in the data
directory), the environment, or a flag; the later wins. Any setting but a secret one can be given
as `--set KEY=VALUE`. A key, variable or value that is not understood stops the start, with the
nearest known name. `belljar config show` prints what is in force and where it comes from.

In the file a dot is a table: `sandbox.queue_max` is `queue_max` under `[sandbox]`.
[examples/belljar.toml](examples/belljar.toml) is a file to begin with.

SIGHUP makes a server read the file again. What is marked \"Reloads\" below takes its new value at
once, with a line in the log; of everything else the log says that it waits for the next start. A
file that cannot be used changes nothing. `belljar config show --server` prints what holds.
";

const TABLE_HEAD: &str = "| key | also as | default | meaning |\n| --- | --- | --- | --- |\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_the_repository_is_up_to_date() {
        let page = include_str!("../../../CONFIGURATION.md");
        assert!(
            page == reference(),
            "run `cargo run -- config reference > CONFIGURATION.md` and commit the result"
        );
    }
}
