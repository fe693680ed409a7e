//! Each setting has a test that shows that it acts.
//!
//! The test itself says so: a paragraph of its doc comment begins with `Acts:` and names the settings
//! that change what it sees. There is no other list. The test stands with those that begin with what
//! an operator writes, and its file names the setting as operators do: a field of a struct that is
//! set in Rust shows nothing of how the value gets there.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;

use belljar::config::{SETTINGS, Setting};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use crate::markdown::spans;
use crate::tree::{File, expect_none, files};

/// Where tests begin with what an operator writes.
const FOLDERS: [&str; 2] = ["tests/tests/", "host/tests/"];

/// How the paragraph begins.
const MARK: &str = "Acts:";

/// A function whose comment says that settings act.
#[derive(Debug, PartialEq)]
struct Claim {
    function: String,
    is_test: bool,
    settings: Vec<String>,
}

/// What a file has for whoever asks after its tests.
#[derive(Default)]
pub(crate) struct Source {
    /// The functions that are tests.
    pub(crate) tests: BTreeSet<String>,
    claims: Vec<Claim>,
    /// The texts in the code, in quotes, with their line ends.
    texts: Vec<String>,
}

impl Source {
    pub(crate) fn of(file: &File) -> Self {
        let mut source = Self::default();
        let tokens = TokenStream::from_str(&file.text)
            .unwrap_or_else(|error| panic!("{} is no Rust: {error}", file.name));
        source.read(tokens);
        source
    }

    fn read(&mut self, stream: TokenStream) {
        let (mut comment, mut is_test) = (String::new(), false);
        let mut trees = stream.into_iter().peekable();
        while let Some(tree) = trees.next() {
            match tree {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    let Some(TokenTree::Group(attribute)) = trees.next_if(is_attribute) else {
                        continue;
                    };
                    match doc_line(&attribute) {
                        Some(line) => {
                            comment.push_str(line.trim());
                            comment.push('\n');
                        }
                        None => is_test |= makes_a_test(&attribute),
                    }
                }
                // What may stand between the attributes and the function.
                TokenTree::Ident(word) if word == "pub" || word == "async" => {}
                TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis => {
                    self.read(group.stream());
                }
                TokenTree::Ident(word) if word == "fn" => {
                    let name = trees.peek().map(ToString::to_string).unwrap_or_default();
                    let settings = claimed(&comment);
                    if !settings.is_empty() {
                        self.claims.push(Claim {
                            function: name.clone(),
                            is_test,
                            settings,
                        });
                    }
                    if is_test {
                        self.tests.insert(name);
                    }
                    (comment, is_test) = (String::new(), false);
                }
                other => {
                    if !claimed(&comment).is_empty() {
                        self.claims.push(Claim {
                            function: other.to_string(),
                            is_test: false,
                            settings: claimed(&comment),
                        });
                    }
                    (comment, is_test) = (String::new(), false);
                    match other {
                        TokenTree::Group(group) => self.read(group.stream()),
                        TokenTree::Literal(text) => {
                            self.texts.push(text.to_string().replace("\\n", "\n"));
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    /// Whether the code names a setting as an operator does: by its key, by its variable, by its
    /// flag, or in TOML below the head of its table.
    fn names(&self, setting: &Setting) -> bool {
        let variable = setting.variable();
        let suffix = variable.trim_start_matches("BELLJAR_").to_owned();
        let mut forms = vec![setting.key.to_owned(), variable, suffix];
        forms.extend(setting.flag.map(str::to_owned));
        let has = |form: &str| self.texts.iter().any(|text| has_word(text, form));
        let in_toml = || {
            let (table, name) = setting.key.split_once('.')?;
            let head = format!("[{table}]");
            let is_there = self.texts.iter().any(|text| text.contains(&head));
            Some(is_there && has(&format!("{name} =")))
        };
        forms.iter().any(|form| has(form)) || in_toml().unwrap_or(false)
    }
}

fn is_attribute(tree: &TokenTree) -> bool {
    matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket)
}

/// A line of a comment: `#[doc = "…"]`.
fn doc_line(attribute: &Group) -> Option<String> {
    let mut trees = attribute.stream().into_iter();
    let is_doc = matches!(trees.next(), Some(TokenTree::Ident(name)) if name == "doc");
    match (is_doc, trees.nth(1)) {
        (true, Some(TokenTree::Literal(text))) => {
            let text = text.to_string();
            Some(text.trim_matches('"').to_owned())
        }
        _ => None,
    }
}

/// `#[test]` or `#[tokio::test(…)]`.
fn makes_a_test(attribute: &Group) -> bool {
    let text = attribute.stream().to_string().replace(' ', "");
    text.split('(')
        .next()
        .unwrap_or_default()
        .rsplit("::")
        .next()
        == Some("test")
}

/// The settings in the paragraph of a comment that begins with the mark.
fn claimed(comment: &str) -> Vec<String> {
    let mut lines = comment.lines().skip_while(|line| !line.starts_with(MARK));
    let paragraph = lines.by_ref().take_while(|line| !line.is_empty());
    spans(&paragraph.collect::<Vec<_>>().join(" "))
}

/// Whether a text has a word that is no part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(goes_on) && !after.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

/// What is wrong with what tests claim, and which settings no test shows.
fn faults(files: &[File], settings: &[Setting]) -> (Vec<String>, Vec<String>) {
    let (mut wrong, mut shown) = (Vec::new(), BTreeMap::new());
    for file in files.iter().filter(|file| file.text.contains(MARK)) {
        let source = Source::of(file);
        for claim in &source.claims {
            let place = format!("{}::{}", file.name, claim.function);
            if !claim.is_test {
                wrong.push(format!("{place} is no test"));
            }
            if !FOLDERS.iter().any(|folder| file.name.starts_with(folder)) {
                wrong.push(format!("{place} is not in {}", FOLDERS.join(" or ")));
            }
            for key in &claim.settings {
                match settings.iter().find(|setting| setting.key == key) {
                    None => wrong.push(format!("{place}: there is no setting {key}")),
                    Some(setting) if !source.names(setting) => {
                        wrong.push(format!("{place}: {key} is not set in that file"));
                    }
                    Some(setting) => drop(shown.insert(setting.key, place.clone())),
                }
            }
        }
    }
    let missing = settings.iter().map(|setting| setting.key);
    let missing = missing.filter(|key| !shown.contains_key(key));
    (wrong, missing.map(str::to_owned).collect())
}

#[test]
fn each_setting_has_a_test_that_shows_that_it_acts() {
    let (wrong, missing) = faults(&files("", &[".rs"]), SETTINGS);
    expect_none(&wrong, "A test says that it shows settings at work, and:");
    expect_none(
        &missing,
        "No test shows that these settings act. Write one that a server answers differently with \
         another value, and name the setting in a paragraph of its comment: `/// Acts: `KEY`.`",
    );
}

#[test]
fn claims_that_do_not_hold_are_found() {
    let file = |name: &str, text: &str| File {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let good = "/// It works.\n///\n/// Acts: `log.level`,\n/// `listen`.\n///\n/// `log.access` too.\n\
        #[tokio::test(flavor = \"x\")]\nasync fn a() { f(\"BELLJAR_LOG_LEVEL\", \"--listen\") }";
    let claims = Source::of(&file("tests/tests/x.rs", good)).claims;
    let settings = ["log.level", "listen"].map(str::to_owned).to_vec();
    let expect = Claim {
        function: "a".to_owned(),
        is_test: true,
        settings,
    };
    assert_eq!(claims, [expect]);
    let (wrong, missing) = faults(&[file("tests/tests/x.rs", good)], SETTINGS);
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(missing.len(), SETTINGS.len() - 2);
    let test = |body: &str| format!("/// Acts: `log.level`.\n#[test]\nfn a() {{ {body} }}");
    for (name, text, why) in [
        (
            "tests/tests/x.rs",
            test("g(log::level)"),
            "not set in that file",
        ),
        (
            "tests/tests/x.rs",
            test("g(\"log.levels\")"),
            "not set in that file",
        ),
        (
            "tests/tests/x.rs",
            test("").replace("#[test]\n", ""),
            "no test",
        ),
        (
            "tests/tests/x.rs",
            "/// Acts: `log.level`.\nstruct A;".to_owned(),
            "no test",
        ),
        (
            "host/src/x.rs",
            test("g(\"log.level\")"),
            "is not in tests/tests/",
        ),
        (
            "host/tests/x.rs",
            test("g(\"log.level\")").replace("log.level`", "log.loud`"),
            "no setting",
        ),
    ] {
        let (wrong, _) = faults(&[file(name, &text)], SETTINGS);
        assert!(
            wrong.iter().any(|fault| fault.contains(why)),
            "{text}: {wrong:?}"
        );
    }
    for set in [
        "g(\"log.level=debug\")",
        "g(\"[log]\\nlevel = 'x'\")",
        "g(both(\"LOG_LEVEL\"))",
        "mod b { fn c() { g(&[(\"log.level\", \"x\")]) } }",
    ] {
        let (wrong, _) = faults(&[file("host/tests/x.rs", &test(set))], SETTINGS);
        assert_eq!(wrong, Vec::<String>::new(), "{set}");
    }
}
