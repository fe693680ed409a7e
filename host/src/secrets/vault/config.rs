//! The settings of Vault.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::outgoing::ServiceUrl;
use crate::secrets::SecretText;

/// Characters of a name in Vault.
const NAME_CHARACTERS_MAX: usize = 256;

/// How this server proves to Vault who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VaultAuth {
    /// By a token of the settings.
    #[default]
    Token,
    /// By a role and a secret that belongs to it.
    AppRole,
    /// By the token that Kubernetes gives to a pod.
    Kubernetes,
}

impl VaultAuth {
    /// The name that a setting has for it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::AppRole => "approle",
            Self::Kubernetes => "kubernetes",
        }
    }
}

/// A name in Vault: of a role, a mount or a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultName(String);

/// The text is no name in Vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to 256 characters, without spaces")]
pub struct InvalidVaultName;

impl FromStr for VaultName {
    type Err = InvalidVaultName;

    fn from_str(text: &str) -> Result<Self, InvalidVaultName> {
        let text = text.trim_matches('/');
        let is_name = (1..=NAME_CHARACTERS_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_name
            .then(|| Self(text.to_owned()))
            .ok_or(InvalidVaultName)
    }
}

impl fmt::Display for VaultName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl VaultName {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The settings of Vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultConfig {
    /// Where Vault is, if values of settings may stand there.
    pub address: Option<ServiceUrl>,
    /// The namespace, of Vault Enterprise.
    pub namespace: Option<VaultName>,
    /// How this server proves who it is.
    pub auth: VaultAuth,
    /// Where that way is mounted; its usual place where nothing is said.
    pub auth_mount: Option<VaultName>,
    /// The token, for that way.
    pub token: Option<SecretText>,
    /// The id of the role, for `AppRole`.
    pub role_id: Option<VaultName>,
    /// The secret that belongs to it.
    pub secret_id: Option<SecretText>,
    /// The role, for Kubernetes.
    pub role: Option<VaultName>,
    /// The token that Kubernetes gives to a pod.
    pub jwt_file: PathBuf,
    /// Files with the authorities that vouch for Vault; the system's where there are none.
    pub authorities: Vec<PathBuf>,
    /// How long one request may take.
    pub timeout: Duration,
    /// How often the secrets are read again.
    pub refresh: Duration,
}

impl Default for VaultConfig {
    fn default() -> Self {
        Self {
            address: None,
            namespace: None,
            auth: VaultAuth::Token,
            auth_mount: None,
            token: None,
            role_id: None,
            secret_id: None,
            role: None,
            jwt_file: PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount/token"),
            authorities: Vec::new(),
            timeout: Duration::from_secs(10),
            refresh: Duration::from_mins(5),
        }
    }
}

impl VaultConfig {
    /// Where the way to log in is mounted.
    pub(super) fn mount(&self) -> &str {
        match &self.auth_mount {
            Some(mount) => mount.as_str(),
            None => self.auth.name(),
        }
    }

    /// The contradictions between these settings, each with the key at fault.
    #[must_use]
    pub fn contradictions(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        let mut refuse = |when: bool, key, why: &str| {
            if when {
                found.push((key, why.to_owned()));
            }
        };
        if self.address.is_none() {
            refuse(
                *self != Self::default(),
                "vault.address",
                "something is said of Vault and not where it is",
            );
            return found;
        }
        let way = self.auth;
        for (is_set, of, key) in [
            (self.token.is_some(), VaultAuth::Token, "vault.token"),
            (self.role_id.is_some(), VaultAuth::AppRole, "vault.role_id"),
            (self.role.is_some(), VaultAuth::Kubernetes, "vault.role"),
        ] {
            refuse(
                way == of && !is_set,
                key,
                "the way that `vault.auth` names needs it",
            );
            refuse(
                way != of && is_set,
                key,
                "it belongs to another way than `vault.auth` names",
            );
        }
        refuse(
            way != VaultAuth::AppRole && self.secret_id.is_some(),
            "vault.secret_id",
            "it belongs to another way than `vault.auth` names",
        );
        refuse(
            way == VaultAuth::Token && self.auth_mount.is_some(),
            "vault.auth_mount",
            "tokens are at home in one place: it is for the other ways of `vault.auth`",
        );
        let is_encrypted = self
            .address
            .as_ref()
            .is_some_and(|address| address.url().scheme() == "https");
        refuse(
            !self.authorities.is_empty() && !is_encrypted,
            "vault.ca",
            "authorities vouch for a server and `vault.address` is no `https://` URL",
        );
        found
    }
}
