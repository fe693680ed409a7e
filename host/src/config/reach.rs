//! What of the machine a server goes on to use, from the table of settings.
//!
//! The wall around a server leaves open what a setting names, and the kinds of settings say what
//! that is: a path, an address to listen on, another machine. So a new setting of such a kind is
//! within the wall without anything being said here.

use std::path::Path;

use belljar_wall::Reach;

use super::resolve::Resolved;
use super::setting::FileUse;
use super::table::SETTINGS;
use crate::secrets::VaultAuth;

/// The port of DNS over TCP, for answers that are too long for UDP.
const DNS: u16 = 53;

impl Resolved {
    /// What the settings name: files to read, folders to keep things in, ports.
    #[must_use]
    pub fn reach(&self) -> Reach {
        let mut reach = Reach::default();
        for file in &self.files {
            reach.read_named(file);
        }
        for setting in SETTINGS {
            // It has a default, which is there in every pod and is another's to use.
            let is_pods = self.settings.vault.auth == VaultAuth::Kubernetes;
            if setting.key == "vault.jwt_file" && !is_pods {
                continue;
            }
            let named = (setting.named)(&self.settings);
            for path in &named.files {
                match setting.files {
                    FileUse::Reads => reach.read_named(path),
                    FileUse::Keeps => drop(reach.keep.insert(folder(path).to_owned())),
                    FileUse::Listens => drop(reach.sockets.insert(folder(path).to_owned())),
                }
            }
            reach.listen.extend(named.listens);
            reach.connect.extend(named.calls);
        }
        if !reach.connect.is_empty() {
            reach.connect.insert(DNS);
        }
        reach
    }
}

/// A folder, or that of a file.
fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !path.is_dir() && folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) if !path.is_dir() => folder,
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::resolve::{Overrides, resolve};

    #[test]
    fn what_settings_name_is_within_reach_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let base = std::fs::canonicalize(folder.path()).unwrap();
        let at = |name: &str| base.join(name);
        for name in ["data", "tls", "log", "run", "etc", "more", "secrets"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        std::fs::write(at("etc/belljar.toml"), "").unwrap();
        std::fs::write(at("secrets/keys"), "a-key-of-sixteen-characters").unwrap();
        let shown = |name: &str| at(name).to_str().unwrap().to_owned();
        let mut overrides = Overrides {
            file: Some(at("etc/belljar.toml")),
            ..Overrides::default()
        };
        for (key, value) in [
            ("data_dir", shown("data")),
            ("listen", "127.0.0.1:8443".to_owned()),
            ("metrics.listen", "127.0.0.1:9000".to_owned()),
            ("tls.cert", shown("tls/a.pem")),
            ("tls.key", shown("more/a.key")),
            ("api_keys", format!("file:{}", shown("secrets/keys"))),
            ("tls.redirect_listen", "127.0.0.1:8080".to_owned()),
            ("audit.path", shown("log/audit.log")),
            ("unix.path", shown("run/api.sock")),
            ("hardening_read_paths", shown("more")),
        ] {
            overrides.flag("--set", key, value);
        }
        let reach = resolve(&overrides, &BTreeMap::new()).unwrap().reach();
        let set = |names: &[&str]| names.iter().map(|it| at(it)).collect::<BTreeSet<_>>();
        assert_eq!(reach.read, set(&["tls", "etc", "more", "secrets"]));
        assert_eq!(reach.keep, set(&["data", "log"]));
        assert_eq!(reach.sockets, set(&["run"]));
        assert_eq!(reach.listen, BTreeSet::from([8080, 8443, 9000]));
        assert!(reach.connect.is_empty() && reach.execute.is_empty());
        // Without a wall there is nothing that could be left open.
        overrides.flag("--set", "hardening", "off");
        let refused = resolve(&overrides, &BTreeMap::new()).unwrap_err();
        assert!(
            refused.to_string().contains("hardening_read_paths"),
            "{refused}"
        );
    }
}
