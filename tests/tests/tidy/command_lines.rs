//! Commands and flags that a document names are those of the program.

use clap::{Arg, Command};

use crate::markdown::documents;
use crate::tree::expect_none;

/// Flags of other programs that documents mention alone.
const FLAGS_OF_OTHERS: [&str; 3] = ["--test", "--times", "--without-own"];

fn definition() -> Command {
    let mut definition = belljar::cli::definition();
    definition.build();
    definition
}

/// Each command of a shell block and each piece of code that begins with `belljar`, word by word.
#[test]
fn every_command_line_in_a_document_is_one() {
    let definition = definition();
    let mut wrong = Vec::new();
    let mut checked = 0;
    for document in documents() {
        for piece in document
            .spans()
            .into_iter()
            .chain(document.shell_commands())
        {
            let Some(arguments) = piece.text.strip_prefix("belljar ") else {
                continue;
            };
            checked += 1;
            if let Err(what) = check(&definition, &words(arguments)) {
                wrong.push(format!("{}: `{}`: {what}", piece.place, piece.text));
            }
        }
    }
    expect_none(
        &wrong,
        "A document has command lines that the program does not take (see `belljar --help`):",
    );
    assert!(checked > 10, "only {checked} command lines were found");
}

/// A flag alone, as in "`--insecure` says so".
#[test]
fn every_flag_in_a_document_is_one() {
    let definition = definition();
    let mut wrong = Vec::new();
    let mut checked = 0;
    for document in documents() {
        for span in document.spans() {
            let word = span.text.split([' ', '=']).next().unwrap_or_default();
            if !word.starts_with("--") || FLAGS_OF_OTHERS.contains(&word) {
                continue;
            }
            checked += 1;
            if !anywhere(&definition, word) {
                wrong.push(format!("{}: `{word}`", span.place));
            }
        }
    }
    expect_none(
        &wrong,
        "A document names flags that no command has; if one belongs to another program, add it \
         to FLAGS_OF_OTHERS:",
    );
    assert!(checked > 5, "only {checked} flags were found");
}

fn anywhere(command: &Command, flag: &str) -> bool {
    long(command, flag).is_some() || command.get_subcommands().any(|sub| anywhere(sub, flag))
}

/// The words of a command line up to what is the shell's: a comment, a pipe, another command.
fn words(line: &str) -> Vec<&str> {
    let ends = |word: &&str| !matches!(*word, "|" | "||" | "&&" | ";" | "&") && !is_shell(word);
    line.split_whitespace().take_while(ends).collect()
}

fn is_shell(word: &str) -> bool {
    word.starts_with(['#', '>', '<']) || word.starts_with("2>")
}

/// Goes down the commands as the program would. Values are not looked at: documents have
/// placeholders in their place.
fn check(definition: &Command, words: &[&str]) -> Result<(), String> {
    let mut command = definition;
    let mut positionals = 0;
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        if word == "…" {
            continue;
        }
        if word.starts_with('-') && word.len() > 1 {
            let (flag, value) = match word.split_once('=') {
                Some((flag, value)) => (flag, Some(value)),
                None => (word, None),
            };
            let found = if flag.starts_with("--") {
                long(command, flag)
            } else {
                short(command, flag)
            };
            let argument =
                found.ok_or_else(|| format!("`{}` has no {flag}", command.get_name()))?;
            if argument.get_action().takes_values() && value.is_none() {
                words.next();
            }
        } else if let Some(sub) = command.find_subcommand(word) {
            command = sub;
            positionals = 0;
        } else {
            positionals += 1;
            let allowed = command.get_positionals().count();
            let many = command
                .get_positionals()
                .any(|argument| argument.get_num_args().is_some_and(|n| n.max_values() > 1));
            if positionals > allowed && !many {
                return Err(format!("`{}` takes no {word}", command.get_name()));
            }
        }
    }
    Ok(())
}

/// Whether the program takes these arguments.
pub(crate) fn check_line(arguments: &str) -> Result<(), String> {
    check(&definition(), &words(arguments))
}

fn long<'a>(command: &'a Command, flag: &str) -> Option<&'a Arg> {
    let name = flag.strip_prefix("--")?;
    command.get_arguments().find(|argument| {
        argument
            .get_long_and_visible_aliases()
            .is_some_and(|names| names.contains(&name))
    })
}

fn short<'a>(command: &'a Command, flag: &str) -> Option<&'a Arg> {
    let name = flag.chars().nth(1)?;
    command
        .get_arguments()
        .find(|argument| argument.get_short() == Some(name))
}

#[test]
fn what_the_program_does_not_take_is_found() {
    let definition = definition();
    let refused = [
        "keys create --allow-network 10.0.0.0/8",
        "keys make",
        "pack . --out double.tar",
        "push one.tar two.tar",
        "bans list -x",
    ];
    for line in refused {
        assert!(check(&definition, &words(line)).is_err(), "{line}");
    }
    let taken = [
        "keys create --name ci --scopes infer,models:write --json",
        "pack . -o double.tar     # computes the digests",
        "audit verify && echo good",
        "--listen 127.0.0.1:1 --insecure",
    ];
    for line in taken {
        assert_eq!(check(&definition, &words(line)), Ok(()), "{line}");
    }
}
