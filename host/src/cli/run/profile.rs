//! What the fuel of a run goes for, as a file, and against that of another.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::cli::output;
use crate::flame::Folded;

/// Functions that are told.
const FUNCTIONS: usize = 5;

#[derive(Args, Debug)]
pub(super) struct ProfileArgs {
    /// Write what the fuel goes for, by function and source line: a flame graph (.svg), or the
    /// stacks as text (.folded)
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Show what has changed since another bundle on the same input, or since the stacks of an
    /// earlier run (.folded)
    #[arg(long, value_name = "FILE|DIR", requires = "profile")]
    against: Option<PathBuf>,
}

/// A profile that is asked for.
pub(super) struct Wanted {
    file: PathBuf,
    form: Form,
    pub(super) before: Option<Before>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Svg,
    Folded,
}

/// What a profile is held against.
pub(super) enum Before {
    /// A bundle or a project folder, which has to run first.
    Bundle(PathBuf),
    Stacks(Folded),
}

impl ProfileArgs {
    /// Reads what is to be read before anything runs.
    pub(super) fn wanted(&self) -> Result<Option<Wanted>> {
        let Some(file) = &self.profile else {
            return Ok(None);
        };
        let form = match extension(file) {
            "svg" => Form::Svg,
            "folded" => Form::Folded,
            _ => bail!(
                "{}: a profile is a picture (.svg) or stacks (.folded)",
                file.display()
            ),
        };
        let before = match &self.against {
            Some(path) if extension(path) == "folded" => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("{} cannot be read", path.display()))?;
                let stacks = Folded::parse(&text).with_context(|| path.display().to_string())?;
                Some(Before::Stacks(stacks))
            }
            Some(path) => Some(Before::Bundle(path.clone())),
            None => None,
        };
        Ok(Some(Wanted {
            file: file.clone(),
            form,
            before,
        }))
    }
}

fn extension(path: &Path) -> &str {
    path.extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default()
}

impl Wanted {
    /// Writes the profile, and tells the functions that most of the fuel goes for.
    pub(super) fn write(&self, model: &str, now: &Folded, before: Option<&Folded>) -> Result<()> {
        let bytes = match (self.form, before) {
            (Form::Folded, None) => now.text().into_bytes(),
            (Form::Folded, Some(before)) => now.text_against(before).into_bytes(),
            (Form::Svg, None) => now.svg(&format!("{model}: {} fuel", now.fuel()))?,
            (Form::Svg, Some(before)) => {
                let title = format!("{model}: {} fuel, {} before", now.fuel(), before.fuel());
                now.svg_against(before, &title)?
            }
        };
        std::fs::write(&self.file, bytes)
            .with_context(|| format!("{} cannot be written", self.file.display()))?;
        output::note(&told(now, before));
        output::note(&format!("the profile is in {}", self.file.display()));
        if !now.has_lines() {
            output::note(
                "the component has no source lines: they are in one with debug information \
                 (Rust: `debug = \"line-tables-only\"` in the profile, C: `-g`)",
            );
        }
        Ok(())
    }
}

/// The functions that most of the fuel goes for, on one line.
fn told(now: &Folded, before: Option<&Folded>) -> String {
    let all = now.fuel().max(1);
    let share = |fuel: u64| fuel as f64 * 100.0 / all as f64;
    let functions = now.functions();
    let functions: Vec<String> = functions
        .iter()
        .take(FUNCTIONS)
        .map(|(name, fuel)| format!("{name} {:.1} %", share(*fuel)))
        .collect();
    let change = before.map_or_else(String::new, |before| {
        let change = i128::from(now.fuel()) - i128::from(before.fuel());
        format!(" ({change:+} against {})", before.fuel())
    });
    format!("fuel {}{change}: {}", now.fuel(), functions.join(", "))
}
