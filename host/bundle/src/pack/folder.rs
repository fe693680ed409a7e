//! The files of a project folder beside its component: assets, and examples of what the model
//! answers.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::{EXAMPLES_FOLDER, Source, within};
use crate::error::BundleError;
use crate::path::AssetName;

/// The folder of a project whose files become assets, where `model.toml` has no `[assets]`.
const ASSETS_FOLDER: &str = "assets";

/// Assets are looked for this many folders deep, so that a loop of links ends.
const FOLDER_DEPTH_MAX: usize = AssetName::DEPTH_MAX;

/// The files that `[assets]` names, which lie in the folder or in `assets/`.
pub(super) fn listed_assets<'a>(
    folder: &Path,
    names: impl Iterator<Item = &'a AssetName>,
) -> Result<Vec<(AssetName, Source)>, BundleError> {
    let mut listed = BTreeMap::new();
    for name in names {
        let beside = Source::file(folder, name.as_str());
        let source = if folder.join(name.as_str()).exists() {
            beside
        } else {
            let inside = Source::file(folder, &format!("{ASSETS_FOLDER}/{name}"));
            if folder.join(ASSETS_FOLDER).join(name.as_str()).exists() {
                inside
            } else {
                beside
            }
        };
        listed.insert(name.clone(), source);
    }
    // A file that was put into the folder and forgotten in the table would be missed only when
    // the model runs.
    for (name, source) in folder_assets(folder)? {
        let full = source.shown.as_str();
        if !listed.contains_key(&name) && !listed.contains_key(full) {
            return Err(BundleError::ProjectContent {
                path: source.shown,
                reason: format!(
                    "it is not in [assets]: add the line \"{name}\" = \"\", or remove the \
                     [assets] table to pack all files in {ASSETS_FOLDER}/"
                ),
            });
        }
    }
    Ok(listed.into_iter().collect())
}

/// The files `tests/*.toml`, but for those whose names begin with a dot.
pub(super) fn folder_examples(folder: &Path) -> Result<Vec<(AssetName, Source)>, BundleError> {
    let failed = |source| BundleError::ProjectFile {
        path: EXAMPLES_FOLDER.to_owned(),
        source,
        hint: "",
    };
    let entries = match fs::read_dir(folder.join(EXAMPLES_FOLDER)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        let Some(name) = name.to_str() else { continue };
        if !name.starts_with('.') && name.ends_with(".toml") {
            let path = format!("{EXAMPLES_FOLDER}/{name}");
            found.push((path.parse::<AssetName>()?, Source::file(folder, &path)));
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

/// All files in `assets/`, but for those whose names begin with a dot, which file managers and
/// version control leave behind.
pub(super) fn folder_assets(folder: &Path) -> Result<Vec<(AssetName, Source)>, BundleError> {
    let mut found = Vec::new();
    let mut open = vec![String::new()];
    while let Some(inside) = open.pop() {
        let shown = format!("{ASSETS_FOLDER}/{inside}");
        let failed = |source| BundleError::ProjectFile {
            path: shown.clone(),
            source,
            hint: "",
        };
        let entries = match fs::read_dir(folder.join(&shown)) {
            Ok(entries) => entries,
            Err(error) if inside.is_empty() && error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(failed(error)),
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                return Err(BundleError::ProjectContent {
                    path: entry.path().display().to_string(),
                    reason: "its name is not UTF-8: rename it".to_owned(),
                });
            };
            if name.starts_with('.') {
                continue;
            }
            let name = format!("{inside}{name}");
            // Links to files are followed: caches of model files are made of them. Where they
            // lead is looked at when they are opened.
            if fs::metadata(entry.path()).map_err(failed)?.is_dir() {
                if name.split('/').count() >= FOLDER_DEPTH_MAX {
                    return Err(BundleError::ProjectContent {
                        path: format!("{ASSETS_FOLDER}/{name}"),
                        reason: "it is too many folders deep".to_owned(),
                    });
                }
                let path = format!("{ASSETS_FOLDER}/{name}");
                within::check(folder, &path).map_err(|source| BundleError::ProjectContent {
                    path,
                    reason: source.to_string(),
                })?;
                open.push(format!("{name}/"));
            } else {
                let source = Source::file(folder, &format!("{ASSETS_FOLDER}/{name}"));
                found.push((name.parse::<AssetName>()?, source));
            }
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}
