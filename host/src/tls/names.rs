//! Which certificate a client is shown, by the name that it asks for.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;

/// The certificates by their names.
#[derive(Debug)]
pub(super) struct ByName {
    /// For clients that ask for no name, or for one that none has.
    default: Vec<Arc<CertifiedKey>>,
    /// By whole names and by `*.` and the rest. Several where they differ in the kind of key.
    named: HashMap<String, Vec<Arc<CertifiedKey>>>,
}

impl ByName {
    /// None where there is no certificate at all.
    pub(super) fn new(certificates: Vec<Certificate>) -> Option<Self> {
        let default = vec![Arc::clone(&certificates.first()?.key)];
        let mut named: HashMap<String, Vec<_>> = HashMap::new();
        for Certificate { key, names, .. } in certificates {
            for name in names {
                named.entry(name).or_default().push(Arc::clone(&key));
            }
        }
        Some(Self { default, named })
    }

    fn of(&self, name: Option<&str>) -> &[Arc<CertifiedKey>] {
        let Some(name) = name.map(str::to_ascii_lowercase) else {
            return &self.default;
        };
        let found = self.named.get(&name).or_else(|| {
            let (_, rest) = name.split_once('.')?;
            self.named.get(&format!("*.{rest}"))
        });
        found.unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let keys = self.of(hello.server_name());
        let schemes = hello.signature_schemes();
        let understood = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(schemes).is_some();
        let found = keys.iter().find(understood).or(keys.first());
        found.map(Arc::clone)
    }
}
