//! `--help` of each command, 80 columns wide.

use std::collections::BTreeSet;

use clap::Command;

use crate::{expect, names};

#[test]
fn help_of_every_command() {
    let mut definition = belljar::cli::definition().term_width(80);
    definition.build();
    let mut written = BTreeSet::new();
    write(&definition, "help", &mut written);
    assert!(written.len() > 20, "{written:?}");
    assert_eq!(
        names("help"),
        written,
        "a file of a command that is gone: remove it"
    );
}

fn write(command: &Command, name: &str, written: &mut BTreeSet<String>) {
    let help = command.clone().render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    expect(name, &lines.join("\n"));
    written.insert(name.to_owned());
    for sub in command.get_subcommands() {
        // `help` repeats what is here.
        if !sub.is_hide_set() && sub.get_name() != "help" {
            write(sub, &format!("{name}-{}", sub.get_name()), written);
        }
    }
}
