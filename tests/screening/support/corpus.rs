//! Reads the corpus of attacks and of ordinary texts. It is no part of the repository, because
//! its licences differ; where it is missing, there is nothing to do.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use belljar_screen::{Feature, FieldKind, Mode, Screener, find};
use serde::Deserialize;

/// The variable that names the folder of the corpus.
pub(crate) const VARIABLE: &str = "BELLJAR_CORPUS";

/// One text, and what it is.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) text: String,
    pub(crate) label: Label,
    pub(crate) source: String,
    /// The place that it is screened as.
    pub(crate) kind: FieldKind,
    /// The features that count there.
    pub(crate) features: Vec<Feature>,
}

/// What a text is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Label {
    Attack { category: String, encoded: bool },
    Benign { tier: String, group: String },
    Everyday { place: String, group: String },
}

impl Sample {
    pub(crate) fn new(text: String, label: Label, source: String) -> Self {
        Self::placed(FieldKind::Prompt, text, label, source)
    }

    fn placed(kind: FieldKind, text: String, label: Label, source: String) -> Self {
        let found = find(kind, &text);
        let counts = |feature: &Feature| !kind.is_strict() || feature.counts_strictly();
        let features = found.features().filter(counts).collect();
        Self {
            text,
            label,
            source,
            kind,
            features,
        }
    }

    pub(crate) fn is_attack(&self) -> bool {
        matches!(self.label, Label::Attack { .. })
    }

    /// Whether a hit refuses a request with it, unless a setting says other.
    pub(crate) fn is_blocked(&self) -> bool {
        Screener::default().mode(self.kind) == Mode::Block
    }

    /// The category of an attack, the tier of another text.
    pub(crate) fn class(&self) -> &str {
        match &self.label {
            Label::Everyday { .. } => EVERYDAY,
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

#[derive(Deserialize)]
struct EverydayLine {
    place: String,
    kind: String,
    text: String,
}

/// The class of honest texts that are known by their place.
pub(crate) const EVERYDAY: &str = "everyday";

/// Honest texts of every place, as people and their tools send them; nothing where the folder
/// has none.
pub(crate) fn read_everyday(folder: &Path) -> Result<Vec<Sample>, Box<dyn Error>> {
    let Ok(lines) = fs::read_to_string(folder.join("everyday.dev.jsonl")) else {
        return Ok(Vec::new());
    };
    let mut samples = Vec::new();
    for line in lines.lines() {
        let EverydayLine { place, kind, text } = serde_json::from_str(line)?;
        let field = match place.as_str() {
            // Arguments of tool calls are what a model said.
            "tool_args" => FieldKind::History,
            name => *FieldKind::ALL
                .iter()
                .find(|field| field.name() == name)
                .ok_or_else(|| format!("there is no place {name}"))?,
        };
        let source = format!("everyday: {place} {kind}");
        let label = Label::Everyday { place, group: kind };
        samples.push(Sample::placed(field, text, label, source));
    }
    Ok(samples)
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
