//! What whoever works on a model is told in its answers: why its next version is not there. It is in
//! memory alone, one line for a name, and gone when another version becomes the active one.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use belljar_bundle::{ModelId, ModelName, ModelVersion};

use super::live::ServedModel;

/// Bytes of the line.
const LINE_BYTES_MAX: usize = 300;

/// A line, and the version that serves on. Names with one are names of models, of which
/// `models.versions_max` bounds how many there are.
#[derive(Clone, Debug)]
struct DevError {
    version: ModelVersion,
    line: Arc<str>,
}

/// The lines of all models.
#[derive(Default)]
pub(super) struct DevErrors(ArcSwap<HashMap<ModelName, DevError>>);

impl DevErrors {
    /// Notes the message for the answers of a version, and gives back the line that it becomes.
    pub(super) fn note(&self, id: ModelId, message: &str) -> Arc<str> {
        let (version, line) = (id.version, line(message));
        self.0.rcu(|errors| {
            let mut errors = HashMap::clone(errors);
            let (version, line) = (version.clone(), Arc::clone(&line));
            errors.insert(id.name.clone(), DevError { version, line });
            errors
        });
        line
    }

    /// Forgets what is noted of a model.
    pub(super) fn forget(&self, name: &ModelName) {
        self.retain(|other, _| other != name);
    }

    /// Keeps the lines of names whose active version is still the one that served on.
    pub(super) fn retain(&self, keep: impl Fn(&ModelName, &ModelVersion) -> bool) {
        if self.0.load().is_empty() {
            return;
        }
        self.0.rcu(|errors| {
            let mut errors = HashMap::clone(errors);
            errors.retain(|name, error| keep(name, &error.version));
            errors
        });
    }

    /// The line for answers of a version. On the way of each request: one load where there is none.
    pub(super) fn of(&self, model: &ServedModel) -> Option<Arc<str>> {
        let errors = self.0.load();
        if errors.is_empty() {
            return None;
        }
        let error = errors.get(&model.id.name)?;
        (error.version == model.id.version).then(|| Arc::clone(&error.line))
    }
}

/// A message as it stands in a header: one line of ASCII.
fn line(message: &str) -> Arc<str> {
    let words: Vec<&str> = message.split_whitespace().collect();
    let plain = words.join(" ");
    let plain = plain.replace(|c: char| !c.is_ascii() || c.is_ascii_control(), "?");
    let (line, _) = plain.split_at(plain.len().min(LINE_BYTES_MAX));
    line.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_of_ascii_and_short() {
        assert_eq!(&*line(" a\tb\r\n c\u{e9} "), "a b c?");
        assert_eq!(line(&"x".repeat(10_000)).len(), LINE_BYTES_MAX);
        assert_eq!(&*line("a\u{1b}[2Jb\0"), "a?[2Jb?");
    }
}
