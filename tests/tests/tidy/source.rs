//! Reads Rust by tokens: what a file names, without its comments, its text and its tests.

use std::str::FromStr as _;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use crate::tree::File;

fn tokens(file: &File) -> TokenStream {
    TokenStream::from_str(&file.text)
        .unwrap_or_else(|error| panic!("{} is no Rust: {error}", file.name))
}

/// Whether the whole file is a test, or helps only tests.
pub(crate) fn is_test(name: &str) -> bool {
    ["tests", "benches", "examples", "fuzz_targets"]
        .iter()
        .any(|folder| name.split('/').any(|part| part == *folder))
        || name.ends_with("/tests.rs")
}

fn without_tests(stream: TokenStream) -> Vec<TokenTree> {
    let mut kept = Vec::new();
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        if is_punct(&tree, '#')
            && let Some(TokenTree::Group(attribute)) = trees.peek()
            && is_for_tests(attribute)
        {
            // The item that the attribute belongs to ends with its body or a semicolon.
            for tree in trees.by_ref() {
                let body =
                    matches!(&tree, TokenTree::Group(g) if g.delimiter() == Delimiter::Brace);
                if body || is_punct(&tree, ';') {
                    break;
                }
            }
            continue;
        }
        kept.push(match tree {
            TokenTree::Group(group) => TokenTree::Group(Group::new(
                group.delimiter(),
                without_tests(group.stream()).into_iter().collect(),
            )),
            other => other,
        });
    }
    kept
}

/// `[cfg(test)]`.
fn is_for_tests(attribute: &Group) -> bool {
    attribute.stream().to_string().replace(' ', "") == "cfg(test)"
}

fn is_punct(tree: &TokenTree, c: char) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == c)
}

/// A name in the source, with what stands before it in its path.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Path(pub(crate) Vec<String>);

/// Something that a file declares or names.
#[derive(Debug, PartialEq)]
pub(crate) enum Fact {
    /// `mod name;`
    Module(String),
    /// `use path as name;`, with whether it is passed on to other modules.
    Import {
        path: Path,
        name: String,
        public: bool,
    },
    /// A path anywhere else, of one name or more.
    Path(Path),
    /// `name!`
    Macro(String),
    /// `#[name…`
    Attribute(String),
}

impl Fact {
    /// The path that is named, here or in an import.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Path(path) | Self::Import { path, .. } => Some(path),
            Self::Module(_) | Self::Macro(_) | Self::Attribute(_) => None,
        }
    }
}

/// The facts of a file, in order, without what is compiled for tests only.
pub(crate) fn facts(file: &File) -> Vec<Fact> {
    let mut facts = Vec::new();
    read(&without_tests(tokens(file)), &mut facts);
    facts
}

/// The facts of a file with those of its tests.
pub(crate) fn facts_with_tests(file: &File) -> Vec<Fact> {
    let mut facts = Vec::new();
    let trees: Vec<TokenTree> = tokens(file).into_iter().collect();
    read(&trees, &mut facts);
    facts
}

fn read(trees: &[TokenTree], facts: &mut Vec<Fact>) {
    let mut at = 0;
    // Whether the item that begins here is visible elsewhere.
    let mut public = false;
    while let Some(tree) = trees.get(at) {
        match tree {
            TokenTree::Ident(ident) if ident == "pub" => {
                public = true;
                at += 1;
                // `pub(crate)`, `pub(in path)`
                if let Some(TokenTree::Group(group)) = trees.get(at)
                    && group.delimiter() == Delimiter::Parenthesis
                {
                    at += 1;
                }
                continue;
            }
            TokenTree::Ident(ident) if ident == "mod" => {
                if let (Some(TokenTree::Ident(name)), Some(end)) =
                    (trees.get(at + 1), trees.get(at + 2))
                    && is_punct(end, ';')
                {
                    facts.push(Fact::Module(name.to_string()));
                }
                at += 2;
            }
            TokenTree::Ident(ident) if ident == "use" && is_item(trees, at) => {
                let end = (at..trees.len())
                    .find(|end| is_punct(&trees[*end], ';'))
                    .unwrap_or(trees.len());
                read_use(&trees[at + 1..end], &Path::default(), public, facts);
                at = end;
            }
            TokenTree::Ident(ident) => {
                let (path, next) = read_path(trees, at);
                if trees.get(next).is_some_and(|tree| is_punct(tree, '!'))
                    && matches!(trees.get(next + 1), Some(TokenTree::Group(_)))
                {
                    facts.push(Fact::Macro(ident.to_string()));
                }
                facts.push(Fact::Path(path));
                at = next;
                public = false;
                continue;
            }
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                let skip = usize::from(trees.get(at + 1).is_some_and(|t| is_punct(t, '!')));
                if let Some(TokenTree::Group(group)) = trees.get(at + 1 + skip)
                    && let Some(TokenTree::Ident(name)) = group.stream().into_iter().next()
                {
                    facts.push(Fact::Attribute(name.to_string()));
                }
            }
            TokenTree::Group(group) => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                read(&inner, facts);
            }
            _ => {}
        }
        public = false;
        at += 1;
    }
}

/// Whether a `use` begins an item; `use<'a>` in a type does not.
fn is_item(trees: &[TokenTree], at: usize) -> bool {
    !trees.get(at + 1).is_some_and(|tree| is_punct(tree, '<'))
}

/// Reads `a::b::c` from its first name on; the second value is where it ends.
fn read_path(trees: &[TokenTree], mut at: usize) -> (Path, usize) {
    let mut path = Path::default();
    while let Some(TokenTree::Ident(ident)) = trees.get(at) {
        path.0.push(ident.to_string());
        at += 1;
        let colons = (0..2).all(|i| trees.get(at + i).is_some_and(|t| is_punct(t, ':')));
        let name_follows = matches!(trees.get(at + 2), Some(TokenTree::Ident(_)));
        if !(colons && name_follows) {
            break;
        }
        at += 2;
    }
    (path, at)
}

/// Reads a tree of imports: `a::{b, c as d, e::*}`.
fn read_use(trees: &[TokenTree], prefix: &Path, public: bool, facts: &mut Vec<Fact>) {
    for part in trees.split(|tree| is_punct(tree, ',')) {
        let mut path = prefix.clone();
        let mut name = None;
        let mut at = 0;
        let mut done = part.is_empty();
        while let Some(tree) = part.get(at) {
            match tree {
                TokenTree::Ident(ident) if ident == "as" => {
                    name = part.get(at + 1).map(ToString::to_string);
                    break;
                }
                TokenTree::Ident(ident) => path.0.push(ident.to_string()),
                TokenTree::Punct(punct) if punct.as_char() == '*' => path.0.push("*".to_owned()),
                TokenTree::Group(group) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    read_use(&inner, &path, public, facts);
                    done = true;
                }
                _ => {}
            }
            at += 1;
        }
        if done || path.0.is_empty() {
            continue;
        }
        // `a::{self, b}` imports `a`.
        if path.0.len() > 1 && path.0.last().is_some_and(|last| last == "self") {
            path.0.pop();
        }
        let name = name.unwrap_or_else(|| path.0.last().cloned().unwrap_or_default());
        facts.push(Fact::Import { path, name, public });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<Fact> {
        facts(&File {
            name: "sample.rs".to_owned(),
            text: text.to_owned(),
        })
    }

    fn path(text: &str) -> Path {
        Path(text.split("::").map(str::to_owned).collect())
    }

    #[test]
    fn imports_are_read_to_their_leaves() {
        let import = |text: &str, name: &str, public| Fact::Import {
            path: path(text),
            name: name.to_owned(),
            public,
        };
        assert_eq!(
            of("mod a; pub(crate) use crate::{x::{self, Y as Z}, w::*}; use super::v;"),
            [
                Fact::Module("a".to_owned()),
                import("crate::x", "x", true),
                import("crate::x::Y", "Z", true),
                import("crate::w::*", "*", true),
                import("super::v", "v", false),
            ]
        );
    }

    #[test]
    fn comments_text_and_tests_name_nothing() {
        let found = of(
            "//! crate::a\n/// crate::b\n#[cfg(test)] mod tests { use crate::c; } fn f() { \"crate::d\"; }",
        );
        let names = |fact: &Fact| matches!(fact, Fact::Path(p) if p.0.len() > 1);
        assert!(!found.iter().any(names), "{found:?}");
        assert!(!found.iter().any(|fact| matches!(fact, Fact::Import { .. })));
    }

    #[test]
    fn paths_are_found_in_macros_and_attributes() {
        let found = of("#[ignore] fn f() { json!({ \"a\": crate::a::b(), x: [super::c::D] }); }");
        for wanted in [
            Fact::Attribute("ignore".to_owned()),
            Fact::Macro("json".to_owned()),
            Fact::Path(path("crate::a::b")),
            Fact::Path(path("super::c::D")),
        ] {
            assert!(found.contains(&wanted), "{wanted:?}");
        }
    }
}
