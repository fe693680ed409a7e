//! Bases of a server: what a project is packed with that has no component of its own.

use std::path::Path;

use anyhow::{Result, anyhow};
use belljar_bundle::pack::project_base;
use belljar_bundle::{Base, BaseName, ModelId};
use reqwest::Method;
use serde_json::Value;

use super::client::Client;
use super::upload::{array, text};

/// The base that a project folder names, as the server has it. None for a project that names none.
pub(super) async fn base_of(client: &Client, folder: &Path) -> Result<Option<Base>> {
    let Some(named) = project_base(folder)? else {
        return Ok(None);
    };
    let models = client
        .send(client.request(Method::GET, &["models"]))
        .await?;
    let models = array(&models, "data");
    found(models, &named)?.map_or_else(|| Err(unknown(models, &named)), |base| Ok(Some(base)))
}

/// The version that a name stands for, if it is a base.
fn found(models: &[Value], named: &BaseName) -> Result<Option<Base>> {
    let Some(model) = models
        .iter()
        .find(|model| text(model, "name") == named.name.as_str())
    else {
        return Ok(None);
    };
    let wanted = match &named.version {
        Some(version) => version.to_string(),
        None => text(model, "active").to_owned(),
    };
    let version = array(model, "versions")
        .iter()
        .find(|version| text(version, "version") == wanted);
    let Some(version) = version else {
        return Ok(None);
    };
    let component = text(version, "base_component");
    if component.is_empty() {
        return Ok(None);
    }
    Ok(Some(Base {
        id: ModelId {
            name: named.name.clone(),
            version: wanted.parse()?,
        },
        component: component.parse()?,
    }))
}

/// What is said where the server has not the base.
fn unknown(models: &[Value], named: &BaseName) -> anyhow::Error {
    let bases: Vec<&str> = models
        .iter()
        .flat_map(|model| array(model, "versions"))
        .filter(|version| !text(version, "base_component").is_empty())
        .map(|version| text(version, "id"))
        .collect();
    let there = if bases.is_empty() {
        "it has none; `belljar new NAME --lang python --kind text --base` writes the project of one"
            .to_owned()
    } else {
        format!("it has {}", bases.join(", "))
    };
    anyhow!("the project is built on the base `{named}`, which the server does not have: {there}")
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
        ];
        let found = |name: &str| found(&models, &name.parse().unwrap()).unwrap();
        assert_eq!(found("python").unwrap().id.to_string(), "python@2.0.0");
        assert_eq!(
            found("python@1.0.0").unwrap().id.to_string(),
            "python@1.0.0"
        );
        for name in ["python@3.0.0", "echo", "js"] {
            assert_eq!(found(name), None, "{name}");
        }
        let told = unknown(&models, &"js".parse().unwrap()).to_string();
        assert!(told.contains("python@1.0.0, python@2.0.0"), "{told}");
    }
}
