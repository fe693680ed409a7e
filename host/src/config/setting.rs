//! One setting: its names, and how its value is read, shown, compared and taken over.

use super::settings::Settings;
use super::values::{Named, RawValue};

/// One setting.
#[derive(Clone, Copy)]
pub struct Setting {
    /// The key in the file, with dots: `sandbox.queue_max`. The environment variable follows
    /// from it: `BELLJAR_SANDBOX_QUEUE_MAX`.
    pub key: &'static str,
    /// Whether the name of the replaced server, `FAKEAI_` and the key, works too.
    pub fakeai: bool,
    /// The flag of its own, if there is one. Any setting but a secret one can be given as
    /// `--set KEY=VALUE`.
    pub flag: Option<&'static str>,
    /// Whether the value is never shown and not taken from a command line, which every process
    /// of the machine can read.
    pub secret: bool,
    /// Whether the value may say where it stands.
    pub references: References,
    /// The accepted texts, for the reference page.
    pub accepts: &'static str,
    /// The module that reads it.
    pub owner: &'static str,
    /// The meaning, in one sentence.
    pub doc: &'static str,
    /// Whether it can change while the server runs: SIGHUP reads it anew.
    pub reloads: bool,
    /// What becomes of the files that it names.
    pub(super) files: FileUse,
    /// What of the machine its value names.
    pub(super) named: fn(&Settings) -> Named,
    pub(super) read: fn(&mut Settings, &RawValue) -> Result<(), String>,
    pub(super) show: fn(&Settings) -> String,
    /// Takes the value of other settings.
    pub(super) copy: fn(&mut Settings, &Settings),
    /// Whether two settings agree on it. Not by what is shown, which hides secrets.
    pub(super) is_same: fn(&Settings, &Settings) -> bool,
}

/// Whether the value of a setting may say where it stands instead of being it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum References {
    /// It is always the value itself.
    None,
    /// In a variable or in Vault; a path is one of the setting's own.
    Elsewhere,
    /// In a file, too.
    Anywhere,
}

/// What a server does with the files that a setting names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileUse {
    /// Reads them, and those of the same names that come later.
    Reads,
    /// Makes and changes files in the folder of each, or in it where it is a folder.
    Keeps,
    /// Makes a socket of that name.
    Listens,
}

impl Setting {
    /// The name in the environment.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("BELLJAR_{}", self.suffix())
    }

    /// The name that the replaced server documents, where it has one.
    #[must_use]
    pub fn fakeai_variable(&self) -> Option<String> {
        self.fakeai.then(|| format!("FAKEAI_{}", self.suffix()))
    }

    /// The default, as the reference page and `belljar config show` write it.
    #[must_use]
    pub fn default_text(&self) -> String {
        (self.show)(&Settings::default())
    }

    fn suffix(&self) -> String {
        self.key.replace('.', "_").to_ascii_uppercase()
    }

    pub(super) const fn flag(mut self, flag: &'static str) -> Self {
        self.flag = Some(flag);
        self
    }

    pub(super) const fn fakeai(mut self) -> Self {
        self.fakeai = true;
        self
    }

    pub(super) const fn secret(mut self) -> Self {
        self.secret = true;
        self.references = References::Anywhere;
        self
    }

    pub(super) const fn by_reference(mut self) -> Self {
        self.references = References::Elsewhere;
        self
    }

    pub(super) const fn files(mut self, files: FileUse) -> Self {
        self.files = files;
        self
    }

    pub(super) const fn reloads(mut self) -> Self {
        self.reloads = true;
        self
    }
}

/// A setting whose value lies at a path of fields in [`Settings`].
macro_rules! setting {
    ($key:literal, $($field:ident).+: $kind:ident<$type:ty>, $owner:literal, $doc:literal) => {
        Setting {
            key: $key,
            fakeai: false,
            flag: None,
            secret: false,
            references: $crate::config::setting::References::None,
            reloads: false,
            files: $crate::config::setting::FileUse::Reads,
            named: |settings| <$kind as ValueParser<$type>>::named(&settings.$($field).+),
            accepts: <$kind as ValueParser<$type>>::ACCEPTS,
            owner: $owner,
            doc: $doc,
            read: |settings, raw| {
                settings.$($field).+ = <$kind as ValueParser<$type>>::read(raw)?;
                Ok(())
            },
            show: |settings| <$kind as ValueParser<$type>>::show(&settings.$($field).+),
            copy: |to, from| Clone::clone_from(&mut to.$($field).+, &from.$($field).+),
            is_same: |one, other| one.$($field).+ == other.$($field).+,
        }
    };
}

pub(super) use setting;
