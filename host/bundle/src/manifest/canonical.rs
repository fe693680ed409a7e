//! Writes the canonical text of a manifest. Written by hand and not by a TOML library, so that
//! an update of a library can never change the identity of a stored bundle.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use super::{BASE_KEY, MANIFEST_SCHEMA, Manifest};
use crate::digest::Digest;
use crate::path::AssetName;

pub(super) fn write(manifest: &Manifest, with_signature: bool) -> String {
    let mut out = String::new();
    pair(&mut out, "schema", MANIFEST_SCHEMA);
    pair(&mut out, "name", quoted(manifest.id.name.as_str()));
    pair(
        &mut out,
        "version",
        quoted(&manifest.id.version.to_string()),
    );
    let payload = &manifest.payload;
    pair(&mut out, payload.key(), quoted(payload.file().as_str()));
    optional(
        &mut out,
        "description",
        manifest.description.as_deref().map(quoted),
    );
    optional(&mut out, "license", manifest.license.as_deref().map(quoted));
    // Written where it is on alone: manifests without it keep the identity that they had before
    // there was such a key.
    if manifest.is_private {
        pair(&mut out, "private", true);
    }
    if let Some(base) = &manifest.base {
        pair(&mut out, BASE_KEY, quoted(&base.to_string()));
    }
    if manifest.is_base {
        pair(&mut out, "is_base", true);
    }
    let limits = manifest.limits.written();
    if !limits.is_empty() {
        table(&mut out, "limits");
        for (name, amount) in limits {
            pair(&mut out, name, amount);
        }
    }
    // Likewise.
    if manifest.requires_examples {
        table(&mut out, "examples");
        pair(&mut out, "required", true);
    }
    digests(&mut out, "assets", &manifest.assets);
    digests(&mut out, "digests", &manifest.digests);
    if let Some(signature) = manifest.signature.as_ref().filter(|_| with_signature) {
        table(&mut out, "signature");
        pair(&mut out, "key", quoted(&signature.key.to_string()));
        pair(&mut out, "value", quoted(&signature.value.to_string()));
    }
    out
}

/// Limits of one request, which nothing can notice that runs before the first one.
const LIMITS_OF_REQUESTS: [&str; 2] = ["fuel", "deadline"];

/// Writes what a compiled model depends on. The first line is that of no manifest.
pub(super) fn write_build(manifest: &Manifest) -> String {
    let mut out = String::from("build = 1\n");
    pair(
        &mut out,
        manifest.payload.key(),
        quoted(&manifest.payload_digest().to_string()),
    );
    for (name, amount) in manifest.limits.written() {
        if !LIMITS_OF_REQUESTS.contains(&name) {
            pair(&mut out, name, amount);
        }
    }
    digests(&mut out, "assets", &manifest.assets);
    out
}

fn digests(out: &mut String, name: &str, digests: &BTreeMap<AssetName, Digest>) {
    if digests.is_empty() {
        return;
    }
    table(out, name);
    for (file, digest) in digests {
        pair(out, &quoted(file.as_str()), quoted(&digest.to_string()));
    }
}

fn table(out: &mut String, name: &str) {
    write_to(out, format_args!("\n[{name}]\n"));
}

fn pair(out: &mut String, key: &str, value: impl Display) {
    write_to(out, format_args!("{key} = {value}\n"));
}

fn optional(out: &mut String, key: &str, value: Option<impl Display>) {
    if let Some(value) = value {
        pair(out, key, value);
    }
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            control if control.is_control() => {
                write_to(&mut out, format_args!("\\u{:04X}", u32::from(control)));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

fn write_to(out: &mut String, what: std::fmt::Arguments<'_>) {
    // A `String` takes everything.
    let written = out.write_fmt(what);
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}
