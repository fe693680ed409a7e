//! Brings defaults, file, environment and flags together, and collects everything that is wrong
//! with them, so that one attempt shows all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::environment::{Environment, FILE_VARIABLE, OTHER_VARIABLES};
use super::file;
use super::problem::{ConfigError, Problem, Source};
use super::references::{self, Expanded, expand};
use super::service_variables::is_of_a_service;
use super::setting::{References, Setting};
use super::settings::Settings;
use super::table::SETTINGS;
use super::values::RawValue;
use crate::secrets::{SecretRef, VaultRef};

/// The settings given on the command line.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--config FILE`.
    pub file: Option<PathBuf>,
    /// Flags of settings: the flag as typed, the key, the value.
    pub flags: Vec<(String, String, String)>,
}

impl Overrides {
    /// Adds a flag that belongs to one setting.
    pub fn flag(&mut self, flag: &str, key: &str, value: impl fmt::Display) {
        self.flags
            .push((flag.to_owned(), key.to_owned(), value.to_string()));
    }
}

/// The settings with their origins.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The values.
    pub settings: Settings,
    /// The configuration file, if one was named, and the files that values stand in.
    pub files: Vec<PathBuf>,
    /// The variables that look like settings and were put there for a Kubernetes Service or a
    /// Docker link of this program's name. They mean nothing here.
    pub passed_over: Vec<String>,
    /// The places in Vault that values stand at and that have not been read. While there are any,
    /// contradictions have not been looked for.
    pub in_vault: Vec<VaultRef>,
    /// The settings whose values these are.
    unread: BTreeSet<&'static str>,
    sources: BTreeMap<&'static str, Source>,
}

/// One value that is in force. Secrets are redacted.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Effective {
    /// The key.
    pub key: &'static str,
    /// The value, as it could be written.
    pub value: String,
    /// The place that the value comes from.
    pub source: String,
}

impl Resolved {
    /// All values that are in force, in the order of the reference.
    #[must_use]
    pub fn effective(&self) -> Vec<Effective> {
        let row = |setting: &Setting| Effective {
            key: setting.key,
            value: if self.unread.contains(setting.key) {
                "(in Vault, which the server reads)".to_owned()
            } else {
                (setting.show)(&self.settings)
            },
            source: self.source(setting.key).to_string(),
        };
        SETTINGS.iter().map(row).collect()
    }

    pub(super) fn source(&self, key: &str) -> &Source {
        self.sources.get(key).unwrap_or(&Source::Default)
    }

    pub(super) fn set_source(&mut self, key: &'static str, source: Source) {
        self.sources.insert(key, source);
    }
}

/// The file that is read from the data directory when none is named.
const FILE_NAME: &str = "belljar.toml";

/// Reads everything and decides what holds.
///
/// # Errors
///
/// When anything is unknown, cannot be understood, or contradicts something else; with all
/// problems at once.
pub fn resolve(
    overrides: &Overrides,
    environment: &dyn Environment,
) -> Result<Resolved, ConfigError> {
    let mut reading = Reading::of(overrides, environment);
    reading.settings.derive();
    if let Some(place) = reading.in_vault.first()
        && reading.settings.vault.address.is_none()
    {
        let message = format!("{place} is named and not where Vault is");
        reading.problem(Source::Default, "vault.address", message);
    }
    // Contradictions between values that were misread would only confuse.
    if reading.problems.is_empty() && reading.in_vault.is_empty() {
        for (key, message) in reading.settings.contradictions() {
            let source = reading.sources.get(key).cloned().unwrap_or(Source::Default);
            reading.problem(source, key, message);
        }
    }
    if reading.problems.is_empty() {
        Ok(Resolved {
            settings: reading.settings,
            files: reading.files,
            passed_over: reading.passed_over,
            in_vault: reading.in_vault,
            unread: reading.unread,
            sources: reading.sources,
        })
    } else {
        Err(ConfigError(reading.problems))
    }
}

/// The data directory alone, for commands to which no other setting matters: what a stray
/// variable or a setting of another version says must not keep anybody from managing a server.
///
/// # Errors
///
/// When what names the directory cannot be understood, or nothing does.
pub fn resolve_data_dir(
    overrides: &Overrides,
    environment: &dyn Environment,
) -> Result<PathBuf, ConfigError> {
    let mut reading = Reading::of(overrides, environment);
    reading
        .problems
        .retain(|problem| matches!(problem.name.as_str(), DATA_DIR | FILE));
    if reading.problems.is_empty() {
        Ok(reading.settings.data_dir)
    } else {
        Err(ConfigError(reading.problems))
    }
}

/// The key of the data directory.
const DATA_DIR: &str = "data_dir";

/// The name of the file itself in a problem.
const FILE: &str = "file";

/// A configuration file that somebody has named.
struct NamedFile {
    path: PathBuf,
    by: Source,
}

impl NamedFile {
    fn of(overrides: &Overrides, environment: &dyn Environment) -> Option<Self> {
        if let Some(path) = overrides.file.clone() {
            let by = Source::Flag("--config".to_owned());
            return Some(Self { path, by });
        }
        let path = environment.variable(FILE_VARIABLE)?.into();
        let by = Source::Environment(FILE_VARIABLE.to_owned());
        Some(Self { path, by })
    }
}

/// A value that somebody gave to a setting.
struct GivenValue {
    setting: &'static Setting,
    source: Source,
    raw: RawValue,
}

#[derive(Default)]
struct Reading {
    settings: Settings,
    sources: BTreeMap<&'static str, Source>,
    problems: Vec<Problem>,
    passed_over: Vec<String>,
    files: Vec<PathBuf>,
    in_vault: Vec<VaultRef>,
    unread: BTreeSet<&'static str>,
}

impl Reading {
    /// Everything that was said, each later place over the one before.
    fn of(overrides: &Overrides, environment: &dyn Environment) -> Self {
        let mut reading = Self::default();
        let from_environment = reading.environment(environment);
        let from_flags = reading.flags(overrides);
        let data_dir = reading.data_dir(environment, &from_environment, &from_flags);
        let named = NamedFile::of(overrides, environment);
        reading
            .files
            .extend(named.iter().map(|named| named.path.clone()));
        let from_file = reading.file(named.as_ref(), data_dir.as_deref());
        for given in from_file
            .into_iter()
            .chain(from_environment)
            .chain(from_flags)
        {
            reading.apply(given, environment);
        }
        reading.place_data_dir(data_dir);
        reading
    }

    /// Settles where the data directory is. Its path is absolute from here on: the compiling
    /// process works elsewhere, and a message that names it is read elsewhere.
    fn place_data_dir(&mut self, found: Option<PathBuf>) {
        if self.settings.data_dir.as_os_str().is_empty() {
            let Some(path) = found else {
                return self.problem(
                    Source::Default,
                    DATA_DIR,
                    "neither HOME nor XDG_DATA_HOME is set: say where with --data-dir".to_owned(),
                );
            };
            self.settings.data_dir = path;
        }
        match std::path::absolute(&self.settings.data_dir) {
            Ok(path) => self.settings.data_dir = path,
            Err(error) => {
                let source = self.sources.get(DATA_DIR).cloned();
                let message = format!(
                    "{} is relative to the current directory, which cannot be found: {error}",
                    self.settings.data_dir.display()
                );
                self.problem(source.unwrap_or(Source::Default), DATA_DIR, message);
            }
        }
    }

    fn problem(&mut self, source: Source, name: &str, message: String) {
        self.problems.push(Problem {
            source,
            name: name.to_owned(),
            message,
        });
    }

    fn apply(&mut self, given: GivenValue, environment: &dyn Environment) {
        let GivenValue {
            setting,
            source,
            raw,
        } = given;
        self.files
            .extend(references::files(&raw, setting.references));
        let expanded = match setting.references {
            References::None => Ok(Expanded::Value(raw)),
            references => expand(raw, references, environment),
        };
        let mut raw = match expanded {
            Ok(Expanded::Value(raw)) => raw,
            Ok(Expanded::InVault(places)) => {
                self.in_vault.extend(places);
                self.unread.insert(setting.key);
                self.sources.insert(setting.key, source);
                return;
            }
            Err(message) => return self.problem(source, setting.key, message),
        };
        self.unread.remove(setting.key);
        let read = (setting.read)(&mut self.settings, &raw);
        if setting.secret {
            raw.wipe();
        }
        match read {
            Ok(()) => {
                self.sources.insert(setting.key, source);
            }
            Err(message) => {
                let accepted = if message.contains(setting.accepts) {
                    message
                } else {
                    format!("{message} (accepted: {})", setting.accepts)
                };
                self.problem(source, setting.key, accepted);
            }
        }
    }

    fn environment(&mut self, environment: &dyn Environment) -> Vec<GivenValue> {
        let mut found: BTreeMap<&'static str, GivenValue> = BTreeMap::new();
        let mut variables = environment.variables();
        variables.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, value) in variables {
            let concerns_us = name.starts_with("BELLJAR_") || name.starts_with("FAKEAI_");
            if !concerns_us || OTHER_VARIABLES.iter().any(|(other, _)| *other == name) {
                continue;
            }
            let source = Source::Environment(name.clone());
            let Some(setting) = by_variable(&name) else {
                let of_ours = name.strip_prefix("BELLJAR_");
                let suffix = of_ours.or_else(|| name.strip_prefix("FAKEAI_"));
                if suffix.is_some_and(|suffix| is_of_a_service(suffix, &value)) {
                    self.passed_over.push(name);
                    continue;
                }
                self.problem(source, &name, unknown(&name, all_variables()));
                continue;
            };
            let Ok(value) = value else {
                self.problem(source, setting.key, "the value is not UTF-8".to_owned());
                continue;
            };
            let raw = RawValue::Text(value);
            match found.get(setting.key) {
                Some(other) if other.raw != raw => {
                    let message = format!("{} says something else: keep one of them", other.source);
                    self.problem(source, setting.key, message);
                }
                Some(_) => {}
                None => {
                    found.insert(
                        setting.key,
                        GivenValue {
                            setting,
                            source,
                            raw,
                        },
                    );
                }
            }
        }
        found.into_values().collect()
    }

    fn flags(&mut self, overrides: &Overrides) -> Vec<GivenValue> {
        let mut given = Vec::new();
        for (flag, key, value) in &overrides.flags {
            let source = Source::Flag(flag.clone());
            match by_key(key) {
                None => self.problem(source, key, unknown(key, all_keys())),
                Some(setting) if setting.secret && !is_reference(value) => {
                    let message = format!(
                        "a command line can be read by every process of the machine: use the \
                         file or {}",
                        setting.variable()
                    );
                    self.problem(source, key, message);
                }
                Some(setting) => {
                    given.push(GivenValue {
                        setting,
                        source,
                        raw: RawValue::Text(value.clone()),
                    });
                }
            }
        }
        given
    }

    /// The data directory as far as it is known without the file that may be in it.
    fn data_dir(
        &mut self,
        environment: &dyn Environment,
        from_environment: &[GivenValue],
        from_flags: &[GivenValue],
    ) -> Option<PathBuf> {
        let mut given = from_environment
            .iter()
            .chain(from_flags)
            .filter(|g| g.setting.key == DATA_DIR);
        if let Some(GivenValue {
            raw: RawValue::Text(path),
            ..
        }) = given.next_back()
        {
            return Some(PathBuf::from(path.trim()));
        }
        let absolute = |path: PathBuf| path.is_absolute().then_some(path);
        let share = environment
            .variable("XDG_DATA_HOME")
            .map(PathBuf::from)
            .and_then(absolute);
        let home = || {
            environment
                .variable("HOME")
                .map(|home| Path::new(&home).join(".local/share"))
        };
        share.or_else(home).map(|share| share.join("belljar"))
    }

    fn file(&mut self, named: Option<&NamedFile>, data_dir: Option<&Path>) -> Vec<GivenValue> {
        let found = data_dir.map(|dir| dir.join(FILE_NAME));
        let Some(path) = named.map(|named| named.path.clone()).or(found) else {
            return Vec::new();
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => {
                return Vec::new();
            }
            Err(error) => {
                match named {
                    Some(NamedFile { path, by }) => {
                        let message = format!("{} cannot be read: {error}", path.display());
                        self.problem(by.clone(), FILE, message);
                    }
                    None => self.problem(Source::Default, DATA_DIR, unreadable(&path, &error)),
                }
                return Vec::new();
            }
        };
        let entries = match file::parse(&text, &path) {
            Ok(entries) => entries,
            Err(problem) => {
                self.problems.push(problem);
                return Vec::new();
            }
        };
        let mut given = Vec::new();
        for file::Entry { key, line, value } in entries {
            let source = Source::File {
                path: path.clone(),
                line,
            };
            match (by_key(&key), value) {
                (None, _) => self.problem(source, &key, unknown(&key, all_keys())),
                (Some(_), Err(message)) => self.problem(source, &key, message),
                (Some(setting), Ok(_)) if setting.key == DATA_DIR && named.is_none() => {
                    let message = "this file was found through the data directory and cannot \
                                   move it: name the file with --config, or use --data-dir";
                    self.problem(source, &key, message.to_owned());
                }
                (Some(setting), Ok(raw)) => given.push(GivenValue {
                    setting,
                    source,
                    raw,
                }),
            }
        }
        given
    }
}

/// What is said about a file of the data directory that cannot be read. Whoever may not look into
/// the folder does not know whether there is one.
fn unreadable(path: &Path, error: &io::Error) -> String {
    if fs::symlink_metadata(path).is_ok() {
        return format!(
            "{} cannot be read: {error}. Run as the user who owns it, or name another directory \
             with --data-dir",
            path.display()
        );
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    format!(
        "{} cannot be looked into for a {FILE_NAME}: {error}. Run as the user who owns it, or name \
         another with --data-dir",
        folder.display()
    )
}

/// Whether a text says where a secret stands, which is none itself.
fn is_reference(text: &str) -> bool {
    matches!(SecretRef::of(text), Ok(Some(_)))
}

fn by_key(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

fn by_variable(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| {
        setting.variable() == name || setting.fakeai_variable().as_deref() == Some(name)
    })
}

fn all_keys() -> impl Iterator<Item = String> {
    SETTINGS.iter().map(|setting| setting.key.to_owned())
}

fn all_variables() -> impl Iterator<Item = String> {
    let settings = SETTINGS
        .iter()
        .flat_map(|setting| [Some(setting.variable()), setting.fakeai_variable()])
        .flatten();
    settings.chain(OTHER_VARIABLES.iter().map(|(name, _)| (*name).to_owned()))
}

/// The message about a name that nobody knows.
fn unknown(name: &str, known: impl Iterator<Item = String>) -> String {
    // Below this the nearest name is as good as any other.
    const LIKENESS_MIN: f64 = 0.7;
    let nearest = known
        .map(|candidate| {
            (
                strsim::normalized_damerau_levenshtein(name, &candidate),
                candidate,
            )
        })
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((_, candidate)) => format!("there is no such setting: did you mean `{candidate}`?"),
        None => "there is no such setting; `belljar config reference` lists all".to_owned(),
    }
}

#[cfg(test)]
mod tests;
