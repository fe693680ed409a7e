//! Bases of a server: what a project is packed with that has no component of its own.

use std::path::Path;

use anyhow::{Result, anyhow};
use belljar_bundle::pack::project_base;
use belljar_bundle::{Base, BaseName, ModelId};
use reqwest::Method;
use serde_json::Value;

use super::answers::{array, text};
use super::client::Client;

/// The base that a project folder names, as the server has it. None for a project that names none.
pub(super) async fn base_of(client: &Client, folder: &Path) -> Result<Option<Base>> {
    let Some(named) = project_base(folder)? else {
        return Ok(None);
    };
    let models = client
        .send(client.request(Method::GET, &["models"]))
        .await?;
    found(array(&models, "data"), &named).map(Some)
}

/// The version that a name stands for, which has to be a base.
fn found(models: &[Value], named: &BaseName) -> Result<Base> {
    let missing = || unfit(models, named, "which the server does not have: it has");
    let model = models
        .iter()
        .find(|model| text(model, "name") == named.name.as_str())
        .ok_or_else(missing)?;
    let wanted = match &named.version {
        Some(version) => version.to_string(),
        None => text(model, "active").to_owned(),
    };
    if wanted.is_empty() {
        return Err(anyhow!(
            "the project is built on the base `{named}`, of which no version is active: `belljar \
             models activate {named}` lists them, and `base = \"{named}@VERSION\"` names one"
        ));
    }
    let version = array(model, "versions")
        .iter()
        .find(|version| text(version, "version") == wanted)
        .ok_or_else(missing)?;
    let component = text(version, "base_component");
    if component.is_empty() {
        let why = "which is no base: its model.toml does not have `is_base = true`. The server has";
        return Err(unfit(models, named, why));
    }
    Ok(Base {
        id: ModelId {
            name: named.name.clone(),
            version: wanted.parse()?,
        },
        component: component.parse()?,
    })
}

/// What is told of a name that no model can be built on, with those that there are.
fn unfit(models: &[Value], named: &BaseName, why: &str) -> anyhow::Error {
    let bases: Vec<&str> = models
        .iter()
        .flat_map(|model| array(model, "versions"))
        .filter(|version| !text(version, "base_component").is_empty())
        .map(|version| text(version, "id"))
        .collect();
    let there = if bases.is_empty() {
        "none; `belljar new NAME --lang python --kind text --base` writes the project of one"
            .to_owned()
    } else {
        bases.join(", ")
    };
    anyhow!("the project is built on the base `{named}`, {why} {there}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_base_is_the_active_version_or_the_one_that_is_named() {
        let component = format!("sha256:{}", "ab".repeat(32));
        let version = |number: &str| json!({"id": format!("python@{number}"), "version": number, "base_component": component});
        let models = [
            json!({"name": "echo", "active": "1.0.0", "versions": [{"id": "echo@1.0.0", "version": "1.0.0"}]}),
            json!({"name": "python", "active": "2.0.0", "versions": [version("1.0.0"), version("2.0.0")]}),
            json!({"name": "idle", "active": null, "versions": [{"id": "idle@1.0.0", "version": "1.0.0"}]}),
        ];
        let found = |name: &str| found(&models, &name.parse().unwrap());
        assert_eq!(found("python").unwrap().id.to_string(), "python@2.0.0");
        assert_eq!(
            found("python@1.0.0").unwrap().id.to_string(),
            "python@1.0.0"
        );
        for (name, why) in [
            ("js", "which the server does not have"),
            ("python@3.0.0", "which the server does not have"),
            ("echo", "which is no base"),
            ("echo@1.0.0", "which is no base"),
        ] {
            let told = found(name).unwrap_err().to_string();
            assert!(told.contains(why), "{told}");
            assert!(told.ends_with(" has python@1.0.0, python@2.0.0"), "{told}");
        }
        let told = found("idle").unwrap_err().to_string();
        assert!(told.contains("of which no version is active"), "{told}");
        assert!(told.contains("base = \"idle@VERSION\""), "{told}");
    }
}
