//! Certificates of clients: who vouches for them, which are revoked, and who they are.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use tokio_util::sync::CancellationToken;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::certificate::{read_chain, read_file};
use super::config::Config;
use super::error::TlsError;
use super::expiry::{End, FileKind};
use super::rule::{ClientAuth, ClientRule, NameKind};

/// What clients' certificates are held against.
pub(super) struct Clients {
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
    rules: Vec<ClientRule>,
    mode: ClientAuth,
    /// Seconds from the Unix epoch to the first end of a list of revocations, from which on nobody
    /// it is about is let in.
    lists_end_s: i64,
}

impl Clients {
    /// None where clients are not asked for certificates. Adds when what it reads ends.
    pub(super) fn of(
        config: &Config,
        provider: &Arc<CryptoProvider>,
        ends: &mut Vec<End>,
    ) -> Result<Option<Self>, TlsError> {
        if config.client_auth == ClientAuth::Off {
            return Ok(None);
        }
        let mut roots = RootCertStore::empty();
        for path in &config.client_authorities {
            let chain = read_chain(path)?;
            ends.push(End::of_chain(path, FileKind::Authority, &chain));
            for authority in chain {
                roots
                    .add(authority)
                    .map_err(|error| TlsError::unusable(path, error))?;
            }
        }
        let mut revocations = Vec::new();
        let mut lists_end_s = i64::MAX;
        for path in &config.client_revocations {
            let lists = read_revocations(path)?;
            let end = End::of_lists(path, &lists);
            lists_end_s = lists_end_s.min(end.at_s().unwrap_or(i64::MAX));
            ends.push(end);
            revocations.extend(lists);
        }
        let builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let has_revocations = !revocations.is_empty();
        let builder = builder.with_crls(revocations);
        let builder = if has_revocations {
            // An authority without a list has revoked nothing. A list that is over says nothing
            // of what was revoked since, and is not believed.
            builder
                .allow_unknown_revocation_status()
                .enforce_revocation_expiration()
        } else {
            builder
        };
        let builder = match config.client_auth {
            ClientAuth::Required => builder,
            ClientAuth::Off | ClientAuth::Optional => builder.allow_unauthenticated(),
        };
        let verifier = builder.build().map_err(|error| {
            let first = config.client_authorities.first();
            TlsError::unusable(first.map_or(Path::new(""), |path| path), error)
        })?;
        Ok(Some(Self {
            verifier,
            rules: config.client_rules.clone(),
            mode: config.client_auth,
            lists_end_s,
        }))
    }

    /// Holds a certificate against what is loaded now.
    fn judge(&self, certificate: &ClientCertificate) -> Verdict {
        let Some((leaf, rest)) = certificate.chain.split_first() else {
            return Verdict::Refused;
        };
        let verified = self
            .verifier
            .verify_client_cert(leaf, rest, UnixTime::now());
        if let Err(error) = verified {
            tracing::debug!("a client's certificate does not hold any more: {error}");
            return Verdict::Refused;
        }
        let names = names(leaf);
        match self.rules.iter().find(|rule| rule.is_for(&names)) {
            Some(rule) => Verdict::Key(rule.key.as_str().into()),
            None if self.mode == ClientAuth::Required && !self.rules.is_empty() => {
                Verdict::Unmapped
            }
            None => Verdict::Nobody,
        }
    }
}

fn read_revocations(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let text = read_file(path)?;
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&text).collect();
    let lists = lists.map_err(|error| TlsError::unusable(path, error))?;
    if lists.is_empty() {
        return Err(TlsError::unusable(
            path,
            "it has no list (`-----BEGIN X509 CRL-----`)",
        ));
    }
    Ok(lists)
}

/// The names in a certificate.
fn names(der: &[u8]) -> Vec<(NameKind, String)> {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return Vec::new();
    };
    let subject = certificate.subject();
    let mut names = vec![(NameKind::Subject, subject.to_string())];
    let common = subject
        .iter_common_name()
        .filter_map(|name| name.as_str().ok());
    names.extend(common.map(|name| (NameKind::Common, name.to_owned())));
    let others = certificate.subject_alternative_name().ok().flatten();
    let others = others.map_or(&[][..], |extension| &extension.value.general_names);
    names.extend(others.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((NameKind::Dns, (*name).to_owned())),
        GeneralName::RFC822Name(name) => Some((NameKind::Email, (*name).to_owned())),
        GeneralName::URI(name) => Some((NameKind::Uri, (*name).to_owned())),
        GeneralName::IPAddress(bytes) => {
            let address = match bytes.len() {
                4 => IpAddr::from(<[u8; 4]>::try_from(*bytes).ok()?),
                _ => IpAddr::from(<[u8; 16]>::try_from(*bytes).ok()?),
            };
            Some((NameKind::Ip, address.to_string()))
        }
        _ => None,
    }));
    names
}

/// Who a client is by its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody: no rule is for the certificate.
    Nobody,
    /// Whoever has the key of that id or name.
    Key(Arc<str>),
    /// No rule is for the certificate, and one has to be.
    Unmapped,
    /// The certificate does not hold any more: it is over, revoked, or nobody vouches for it.
    Refused,
}

/// What a client is by its certificate, until that changes.
#[derive(Debug)]
pub struct Standing {
    /// Who the client is.
    pub verdict: Verdict,
    /// Cancelled when the verdict is another one: what was let in by this one is over.
    pub ended: CancellationToken,
    /// The number of what it was judged by.
    generation: u64,
    /// Seconds from the Unix epoch to when it has to be judged anew.
    until_s: i64,
}

/// A certificate that a client has shown, on one connection.
#[derive(Debug)]
pub(super) struct ClientCertificate {
    chain: Vec<CertificateDer<'static>>,
    /// Seconds from the Unix epoch to the first end of one in the chain.
    not_after_s: i64,
    /// None before it was judged for the first time.
    last: ArcSwapOption<Standing>,
    /// Held while it is judged, so that no signal is lost that somebody listens to.
    judging: Mutex<()>,
}

impl ClientCertificate {
    /// None for an empty chain.
    pub(super) fn of(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let ends = chain.iter().map(|der| {
            let parsed = X509Certificate::from_der(der).ok();
            parsed.map_or(i64::MIN, |(_, it)| it.validity().not_after.timestamp())
        });
        Some(Self {
            not_after_s: ends.min()?,
            chain: chain.iter().map(|der| der.clone().into_owned()).collect(),
            last: ArcSwapOption::empty(),
            judging: Mutex::new(()),
        })
    }

    /// Its standing by what is loaded now, which has that number. Costs next to nothing as long as
    /// that is the same: an open connection is held to what was read meanwhile.
    pub(super) fn standing(
        &self,
        clients: Option<&Clients>,
        generation: u64,
        now_s: i64,
    ) -> Arc<Standing> {
        let good = |last: &Arc<Standing>| last.generation == generation && now_s <= last.until_s;
        if let Some(last) = self.last.load_full().filter(good) {
            return last;
        }
        let _judging = self.judging.lock();
        let last = self.last.load_full();
        if let Some(last) = last.clone().filter(good) {
            return last;
        }
        let verdict = clients.map_or(Verdict::Nobody, |clients| clients.judge(self));
        let lists_end_s = clients.map_or(i64::MAX, |clients| clients.lists_end_s);
        let ended = match last {
            Some(last) if last.verdict == verdict => last.ended.clone(),
            Some(last) => {
                last.ended.cancel();
                CancellationToken::new()
            }
            None => CancellationToken::new(),
        };
        let standing = Arc::new(Standing {
            verdict,
            ended,
            generation,
            until_s: self.not_after_s.min(lists_end_s),
        });
        self.last.store(Some(Arc::clone(&standing)));
        standing
    }
}
