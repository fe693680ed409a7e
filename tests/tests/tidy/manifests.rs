//! The packages of the repository and what they depend on.

use std::collections::BTreeSet;

use toml::{Table, Value};

use crate::tree::files;

/// One package.
pub(crate) struct Manifest {
    pub(crate) name: String,
    /// Its folder, from the root.
    pub(crate) folder: String,
    /// What it is built from; what its tests need is not part.
    pub(crate) dependencies: BTreeSet<String>,
}

/// All packages, fuzz targets and guests included.
pub(crate) fn manifests() -> Vec<Manifest> {
    let mut manifests = Vec::new();
    for file in files("", &["/Cargo.toml"]) {
        let table: Table = file
            .text
            .parse()
            .unwrap_or_else(|e| panic!("{}: {e}", file.name));
        let Some(package) = table.get("package") else {
            continue;
        };
        let mut dependencies = BTreeSet::new();
        for kind in ["dependencies", "build-dependencies"] {
            let names = table.get(kind).and_then(Value::as_table);
            dependencies.extend(names.into_iter().flat_map(|names| names.keys().cloned()));
        }
        manifests.push(Manifest {
            name: package["name"].as_str().unwrap().to_owned(),
            folder: file.name.trim_end_matches("/Cargo.toml").to_owned(),
            dependencies,
        });
    }
    assert!(manifests.len() > 10, "packages were overlooked");
    manifests
}
