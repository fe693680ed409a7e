//! Projects of models: the languages and kinds that there are templates for, and the files that
//! such a project has.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context as _, Result};
use belljar_bundle::{BaseName, ModelName};
use clap::ValueEnum;

use crate::embedded::author_files;

/// A language that there is an SDK for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    /// Rust, by cargo
    Rust,
    /// Python, by componentize-py
    Python,
    /// JavaScript and TypeScript, by componentize-js
    Js,
    /// C, by clang
    C,
}

/// How a project becomes a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Tools of its language make its component.
    Built,
    /// It is the project of a base: of the component that others are built on.
    Base,
    /// The server has the component, and the project its sources.
    OnBase(BaseName),
}

impl Form {
    /// The folder of the templates for what does not depend on the kind.
    const fn folder(&self) -> &'static str {
        match self {
            Self::Built => "all",
            Self::Base => "base",
            Self::OnBase(_) => "source",
        }
    }
}

/// What a model does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// Takes tensors and gives tensors
    Tensors,
    /// Writes text, streamed
    Text,
    /// Makes vectors of texts
    Embeddings,
}

/// What differs between the kinds in files that all of them have.
struct KindWords {
    /// The world of the contract.
    world: &'static str,
    description: &'static str,
    /// The command that asks the model once.
    run: &'static str,
    /// What the server is asked for, and how.
    path: &'static str,
    body: &'static str,
}

impl Language {
    /// Where the SDK of a language is in the binary, and where in a project.
    const fn sdk(self) -> (&'static str, &'static str) {
        match self {
            Self::Rust => ("sdk-rust/src", "sdk/belljar-guest/src"),
            Self::Python => ("sdk-python", "sdk"),
            Self::Js => ("sdk-js", "sdk"),
            Self::C => ("sdk-c", "sdk"),
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::Js => "js",
            Self::C => "c",
        }
    }

    /// Whether a server can have what runs it, so that its sources alone are a model.
    pub(super) const fn has_bases(self) -> bool {
        matches!(self, Self::Python | Self::Js)
    }

    /// The command that runs the tests of a project which no tools of its language build.
    pub(super) const fn plain_test(self) -> &'static str {
        match self {
            Self::Python => "PYTHONPATH=sdk python3 -m unittest -q",
            Self::Js => "node --import ./sdk/belljar-guest/node.mjs --test",
            Self::Rust | Self::C => "",
        }
    }

    /// The language that a folder is written in, as far as its files show it.
    pub(super) fn of_folder(folder: &Path) -> Option<Self> {
        let has = |name: &str| folder.join(name).is_file();
        let has_any = |ending: &str| {
            fs::read_dir(folder).is_ok_and(|entries| {
                entries.flatten().any(|entry| {
                    entry
                        .file_name()
                        .to_str()
                        .is_some_and(|name| name.ends_with(ending))
                })
            })
        };
        if has("Cargo.toml") {
            Some(Self::Rust)
        } else if has("package.json") {
            Some(Self::Js)
        } else if has("pyproject.toml") || has_any(".py") {
            Some(Self::Python)
        } else if has_any(".c") {
            Some(Self::C)
        } else if has_any(".js") {
            Some(Self::Js)
        } else {
            None
        }
    }

    /// The commands that build, test and pack a project.
    pub(super) const fn commands(self) -> [&'static str; 3] {
        match self {
            Self::Rust => [
                "cargo build --release --target wasm32-wasip2",
                "cargo test",
                "belljar pack .",
            ],
            Self::Python | Self::C => ["make", "make test", "make pack"],
            Self::Js => ["npm run build", "npm test", "npm run pack"],
        }
    }
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Tensors => "tensors",
            Self::Text => "text",
            Self::Embeddings => "embeddings",
        }
    }

    const fn words(self) -> KindWords {
        match self {
            Self::Tensors => KindWords {
                world: "tensor-model",
                description: "The probability that a logistic regression gives to each row.",
                run: r#"belljar run . --input '{"x":[[1,2,3],[0,0,0]]}'"#,
                path: "infer",
                body: r#"{"model":"my-model","inputs":{"x":[[1,2,3],[0,0,0]]}}"#,
            },
            Self::Text => KindWords {
                world: "text-model",
                description: "Goes on with a text, word by word.",
                run: "belljar run . --prompt 'the bell'",
                path: "v1/chat/completions",
                body: r#"{"model":"my-model","stream":true,"messages":[{"role":"user","content":"the bell"}]}"#,
            },
            Self::Embeddings => KindWords {
                world: "embedding-model",
                description: "The mean of the vectors of a text's words.",
                run: "belljar run . --prompt 'the bell rings'",
                path: "v1/embeddings",
                body: r#"{"model":"my-model","input":"the bell rings"}"#,
            },
        }
    }
}

/// A file of a project: where it is there, and what is in it.
#[derive(Debug)]
pub(super) struct ProjectFile {
    pub(super) path: String,
    pub(super) content: Vec<u8>,
}

/// The files that an author changes, with the model's name in them.
pub(super) fn template(
    language: Language,
    kind: Kind,
    form: &Form,
    name: &ModelName,
) -> Vec<ProjectFile> {
    let mut folders = vec![format!("templates/{}/{}", language.name(), form.folder())];
    // A base is no model yet.
    if *form != Form::Base {
        folders.push(format!("templates/{}/{}", language.name(), kind.name()));
        folders.push(format!("templates/shared/{}", kind.name()));
    }
    let mut files: Vec<ProjectFile> = folders
        .iter()
        .flat_map(|folder| author_files(folder))
        .map(|(path, bytes)| ProjectFile {
            // What begins with a dot does so in a project alone: a checkout of the templates would
            // go by it.
            path: path.replace("dot-", "."),
            content: filled(bytes, kind, form, name),
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// The files that belong to this program, and are the same in each project of a language: the SDK
/// and the contract.
pub(super) fn sdk(language: Language) -> Vec<ProjectFile> {
    let (from, to) = language.sdk();
    [(from, to), ("wit", "wit")]
        .into_iter()
        .flat_map(|(from, to)| {
            author_files(from).map(move |(path, bytes)| ProjectFile {
                path: format!("{to}/{path}"),
                content: bytes.to_vec(),
            })
        })
        .collect()
}

/// A file of a template with the words of this project. Bytes that are no text stay as they are.
fn filled(bytes: &[u8], kind: Kind, form: &Form, name: &ModelName) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return bytes.to_vec();
    };
    let words = kind.words();
    // A package's name begins with a letter, and has no dots.
    let mut package = name.as_str().replace('.', "-");
    if package.starts_with(|first: char| first.is_ascii_digit()) {
        package.insert_str(0, "model-");
    }
    let base = match form {
        Form::OnBase(base) => base.to_string(),
        Form::Built | Form::Base => String::new(),
    };
    let replaced = [
        ("my-base", base.as_str()),
        ("my-kind", kind.name()),
        ("my-description", words.description),
        ("my-run", words.run),
        ("my-path", words.path),
        ("my-body", words.body),
        ("my-world", words.world),
        ("my_world", &words.world.replace('-', "_")),
        ("my-package", &package),
        ("my_package", &package.replace('-', "_")),
        // The last: some of the words above have it.
        ("my-model", name.as_str()),
    ];
    let mut text = text.to_owned();
    for (from, to) in replaced {
        text = text.replace(from, to);
    }
    text.into_bytes()
}

/// How a file of the SDK is in a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SdkState {
    Same,
    Differs,
    Missing,
}

/// How a file that belongs to this program is in a project.
pub(super) fn state(folder: &Path, file: &ProjectFile) -> Result<SdkState> {
    let path = folder.join(&file.path);
    match fs::read(&path) {
        Ok(bytes) if bytes == file.content => Ok(SdkState::Same),
        Ok(_) => Ok(SdkState::Differs),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(SdkState::Missing),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Writes files below a folder, and the folders that they are in.
pub(super) fn write(folder: &Path, files: &[ProjectFile]) -> Result<()> {
    for file in files {
        let path = folder.join(&file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot make {}", parent.display()))?;
        }
        fs::write(&path, &file.content)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::collections::BTreeSet;

    use super::*;

    /// The forms that there are templates for in a language.
    fn forms(language: Language) -> Vec<Form> {
        let mut forms = vec![Form::Built];
        if language.has_bases() {
            forms.extend([Form::Base, Form::OnBase("keeper@2.0.0".parse().unwrap())]);
        }
        forms
    }

    fn each_template(mut look: impl FnMut(Language, Kind, &Form, &[ProjectFile])) {
        for &language in Language::value_variants() {
            for &kind in Kind::value_variants() {
                for form in forms(language) {
                    let name = "2.scores".parse().unwrap();
                    let files = template(language, kind, &form, &name);
                    look(language, kind, &form, &files);
                }
            }
        }
    }

    #[test]
    fn each_template_is_whole_and_has_the_models_name() {
        each_template(|language, kind, form, files| {
            let which = format!("{language:?} {kind:?} {form:?}");
            let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
            assert_eq!(paths.len(), files.len(), "{which}");
            for needed in ["README.md", "model.toml", ".gitignore"] {
                assert!(paths.contains(needed), "{which}: {needed}");
            }
            let has_assets = paths.iter().any(|path| path.starts_with("assets/"));
            assert_eq!(has_assets, *form != Form::Base, "{which}");
            for file in files {
                let text = String::from_utf8_lossy(&file.content);
                for word in ["my-", "my_"] {
                    assert!(!text.contains(word), "{which} {}: {text}", file.path);
                }
            }
            let manifest = files.iter().find(|file| file.path == "model.toml").unwrap();
            let manifest = String::from_utf8_lossy(&manifest.content);
            assert!(manifest.contains("name = \"2.scores\""), "{manifest}");
            let says = |line: &str| manifest.lines().any(|it| it == line);
            assert_eq!(says("is_base = true"), *form == Form::Base, "{manifest}");
            let is_on_base = matches!(form, Form::OnBase(_));
            assert_eq!(says("base = \"keeper@2.0.0\""), is_on_base, "{manifest}");
        });
    }

    #[test]
    fn a_project_shows_its_language() {
        each_template(|language, kind, form, files| {
            let folder = tempfile::tempdir().unwrap();
            assert_eq!(Language::of_folder(folder.path()), None);
            write(folder.path(), files).unwrap();
            let shown = Language::of_folder(folder.path());
            assert_eq!(shown, Some(language), "{kind:?} {form:?}");
        });
    }

    #[test]
    fn the_bindings_of_c_are_those_of_the_contract() {
        use sha2::{Digest as _, Sha256};
        let contract = crate::embedded::author_file("wit/model.wit").unwrap();
        let digest = hex::encode(Sha256::digest(contract));
        for (path, bytes) in author_files("sdk-c") {
            if path.ends_with("_model.c") || path.ends_with("_model.h") {
                let first = String::from_utf8_lossy(bytes);
                let first = first.lines().next().unwrap();
                assert!(
                    first.contains(&digest),
                    "{path} is of another contract: run guest-models/sdk-c/generate"
                );
            }
        }
    }
}
