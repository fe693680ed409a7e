//! Reads the corpus of attacks and of ordinary texts. It is no part of the repository, because
//! its licences differ; where it is missing, there is nothing to do.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use belljar_screen::{Feature, find};
use serde::Deserialize;

/// The variable that names the folder of the corpus.
pub(crate) const VARIABLE: &str = "BELLJAR_CORPUS";

/// One text, and what it is.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) text: String,
    pub(crate) label: Label,
    pub(crate) source: String,
    /// The features found in it.
    pub(crate) features: Vec<Feature>,
}

/// What a text is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Label {
    Attack { category: String, encoded: bool },
    Benign { tier: String, group: String },
}

impl Sample {
    pub(crate) fn new(text: String, label: Label, source: String) -> Self {
        let features = find(&text).features().collect();
        Self {
            text,
            label,
            source,
            features,
        }
    }

    pub(crate) fn is_attack(&self) -> bool {
        matches!(self.label, Label::Attack { .. })
    }

    /// The category of an attack, the tier of another text.
    pub(crate) fn class(&self) -> &str {
        match &self.label {
            Label::Attack { category, .. } => category,
            Label::Benign { tier, .. } => tier,
        }
    }
}

#[derive(Deserialize)]
struct AttackLine {
    category: String,
    text: String,
    source: String,
    encoded: bool,
}

#[derive(Deserialize)]
struct BenignLine {
    tier: String,
    group: String,
    text: String,
    source: String,
}

/// The folder of the corpus: after `--corpus`, or in the variable; nothing when neither names
/// one that exists.
pub(crate) fn folder() -> Option<PathBuf> {
    let mut arguments = std::env::args_os().skip_while(|argument| argument != "--corpus");
    let named = arguments.nth(1).or_else(|| std::env::var_os(VARIABLE))?;
    Some(PathBuf::from(named)).filter(|folder| folder.join("malicious.dev.jsonl").is_file())
}

/// All texts of the corpus.
pub(crate) fn read(folder: &Path) -> Result<Vec<Sample>, Box<dyn Error>> {
    let mut samples = Vec::new();
    for line in fs::read_to_string(folder.join("malicious.dev.jsonl"))?.lines() {
        let line: AttackLine = serde_json::from_str(line)?;
        let label = Label::Attack {
            category: line.category,
            encoded: line.encoded,
        };
        samples.push(Sample::new(line.text, label, line.source));
    }
    for line in fs::read_to_string(folder.join("benign.dev.jsonl"))?.lines() {
        let line: BenignLine = serde_json::from_str(line)?;
        let label = Label::Benign {
            tier: line.tier,
            group: line.group,
        };
        samples.push(Sample::new(line.text, label, line.source));
    }
    Ok(samples)
}
