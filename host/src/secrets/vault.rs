//! HashiCorp Vault: how this server proves who it is, keeps its token alive, and reads fields of
//! secrets in KV stores of version 2.
//!
//! The requests and answers are those of Vault's HTTP API (`/v1/auth/approle/login`,
//! `/v1/auth/kubernetes/login`, `/v1/auth/token/lookup-self`, `/v1/auth/token/renew-self`,
//! `/v1/MOUNT/data/PATH`), as its documentation for version 1.20 has them.

mod answer;
mod config;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reqwest::Method;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::{SECRET_BYTES_MAX, VaultRef, VaultSecrets};
use crate::outgoing::{Outgoing, OutgoingError, ServiceUrl};
use answer::{Lease, errors_of, field_of};
pub use config::{InvalidVaultName, VaultAuth, VaultConfig, VaultName};

/// Bytes of an answer: a secret with its metadata.
const ANSWER_BYTES_MAX: usize = SECRET_BYTES_MAX + (64 << 10);
/// Bytes of the token that Kubernetes gives to a pod.
const JWT_BYTES_MAX: u64 = 64 << 10;
// What Vault's documentation says of the statuses of its answers.
const OK: u16 = 200;
const FORBIDDEN: u16 = 403;
const NOT_FOUND: u16 = 404;
const TOO_MANY_REQUESTS: u16 = 429;
const SERVER_ERRORS: u16 = 500;
/// How often a request is sent again that Vault could not answer at the moment.
const RETRIES_MAX: u32 = 2;
/// The wait before it is, which doubles.
const RETRY_DELAY: Duration = Duration::from_millis(250);

/// Why nothing was read. Says nothing of what is secret.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The client.
    #[error("Vault: {0}")]
    Client(#[from] OutgoingError),
    /// A setting that the way to log in needs.
    #[error("Vault: `{0}` is not set")]
    Unset(&'static str),
    /// The token that Kubernetes gives to a pod.
    #[error("Vault: {path}: {source}")]
    Jwt {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Vault refused to let this server in.
    #[error("Vault: {what} was refused with {status}{errors}")]
    Refused {
        /// What was asked for.
        what: String,
        /// The status.
        status: u16,
        /// What Vault says of it.
        errors: String,
    },
    /// There is no secret at that path, or it was deleted.
    #[error("{0}: there is no such secret, or its newest version was deleted")]
    Missing(VaultRef),
    /// The secret has no such field, or it is no text.
    #[error("{0}: the secret has no such field with a text")]
    NoField(VaultRef),
    /// An answer that is none of Vault's.
    #[error("Vault: the answer to {0} is not one of Vault's")]
    Odd(String),
}

impl VaultError {
    /// Whether another token could help.
    fn is_of_token(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == FORBIDDEN)
    }
}

/// A token of Vault, and when it has to be seen to.
struct Token {
    text: SecretString,
    /// When it ends; none for one that does not.
    ends: Option<Instant>,
    /// When it is to be renewed: at two thirds of its time.
    due: Option<Instant>,
    is_renewable: bool,
}

impl Token {
    fn new(text: SecretString, lease: Lease, now: Instant) -> Self {
        let time = (!lease.duration.is_zero()).then_some(lease.duration);
        Self {
            text,
            ends: time.map(|time| now + time),
            due: time.map(|time| now + time * 2 / 3),
            is_renewable: lease.is_renewable,
        }
    }
}

/// A connection to Vault: a client with a token that is kept alive.
pub struct Vault {
    config: VaultConfig,
    address: ServiceUrl,
    client: Outgoing,
    token: Option<Token>,
}

impl Vault {
    /// A client of the Vault of these settings, which has not talked to it yet.
    ///
    /// # Errors
    ///
    /// When no address is set, or the files of authorities cannot be used.
    pub fn new(config: VaultConfig) -> Result<Self, VaultError> {
        let address = config.address.clone();
        let address = address.ok_or(VaultError::Unset("vault.address"))?;
        let client = Outgoing::new(config.timeout, &config.authorities)?;
        Ok(Self {
            config,
            address,
            client,
            token: None,
        })
    }

    /// The settings that it has.
    #[must_use]
    pub fn config(&self) -> &VaultConfig {
        &self.config
    }

    /// Reads fields of secrets, each secret once.
    ///
    /// # Errors
    ///
    /// When one of them cannot be read; nothing is given then.
    pub async fn read(&mut self, wanted: &[VaultRef]) -> Result<VaultSecrets, VaultError> {
        let mut secrets: BTreeMap<&[String], Value> = BTreeMap::new();
        let mut read = VaultSecrets::default();
        for place in wanted {
            let secret = match secrets.entry(place.path()) {
                std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::btree_map::Entry::Vacant(new) => {
                    let secret = self.secret(place).await?;
                    new.insert(secret)
                }
            };
            let field = field_of(secret, place.field());
            let field = field.ok_or_else(|| VaultError::NoField(place.clone()))?;
            read.0.insert(place.clone(), field);
        }
        Ok(read)
    }

    /// Keeps the token alive, if that is due; logs in where there is none.
    ///
    /// # Errors
    ///
    /// When Vault refuses, or does not answer.
    pub async fn tend(&mut self) -> Result<(), VaultError> {
        let now = Instant::now();
        match &self.token {
            None => self.log_in().await,
            Some(token) if token.due.is_none_or(|due| now < due) => Ok(()),
            Some(token) if token.is_renewable && token.ends.is_none_or(|ends| now < ends) => {
                match self.renew().await {
                    // It has reached its longest life, or was revoked.
                    Err(error) if error.is_of_token() => self.log_in().await,
                    outcome => outcome,
                }
            }
            Some(_) => self.log_in().await,
        }
    }

    /// How long until there is something to be done about the token; none for one that stays.
    #[must_use]
    pub fn due_in(&self) -> Option<Duration> {
        let due = self.token.as_ref()?.due?;
        Some(due.saturating_duration_since(Instant::now()))
    }

    async fn secret(&mut self, place: &VaultRef) -> Result<Value, VaultError> {
        self.tend().await?;
        match self.get(place).await {
            // Revoked before its time; one more is worth a try.
            Err(error) if error.is_of_token() => {
                self.log_in().await?;
                self.get(place).await
            }
            outcome => outcome,
        }
    }

    async fn get(&self, place: &VaultRef) -> Result<Value, VaultError> {
        let mut segments = vec!["v1"];
        segments.extend(place.path().iter().map(String::as_str));
        let path = place.path().join("/");
        let (status, answer) = self.send(Method::GET, &segments, None, &path).await?;
        match status {
            OK => Ok(answer),
            NOT_FOUND => Err(VaultError::Missing(place.clone())),
            status => Err(refused(path, status, &answer)),
        }
    }

    /// Takes a new token, by the way of the settings.
    async fn log_in(&mut self) -> Result<(), VaultError> {
        self.token = None;
        let config = &self.config;
        let body = match config.auth {
            VaultAuth::Token => return self.take_given_token().await,
            VaultAuth::AppRole => {
                let role = config.role_id.as_ref();
                let role = role.ok_or(VaultError::Unset("vault.role_id"))?;
                let secret = config.secret_id.as_ref();
                let secret = secret.map(|secret| secret.expose().to_owned());
                json!({"role_id": role.as_str(), "secret_id": secret})
            }
            VaultAuth::Kubernetes => {
                let role = config.role.as_ref();
                let role = role.ok_or(VaultError::Unset("vault.role"))?;
                let jwt = read_jwt(&config.jwt_file)?;
                json!({"role": role.as_str(), "jwt": jwt.trim()})
            }
        };
        let mount = config.mount();
        let what = format!("the login at auth/{mount}");
        let mut segments = vec!["v1", "auth"];
        segments.extend(mount.split('/'));
        segments.push("login");
        let (status, answer) = self
            .send(Method::POST, &segments, Some(&body), &what)
            .await?;
        if status != OK {
            return Err(refused(what, status, &answer));
        }
        self.take(&answer, what)
    }

    /// Takes the token of the settings, and asks how long it lives.
    async fn take_given_token(&mut self) -> Result<(), VaultError> {
        let text = self.config.token.as_ref();
        let text = text.ok_or(VaultError::Unset("vault.token"))?;
        let text = SecretString::from(text.expose());
        // Without an end until Vault says otherwise: the look-up is made with it.
        let forever = Lease {
            duration: Duration::ZERO,
            is_renewable: false,
        };
        self.token = Some(Token::new(text.clone(), forever, Instant::now()));
        let what = "the look-up of the token".to_owned();
        let segments = ["v1", "auth", "token", "lookup-self"];
        let (status, answer) = self.send(Method::GET, &segments, None, &what).await?;
        let lease = match status {
            OK => Lease::looked_up(&answer).ok_or(VaultError::Odd(what))?,
            status => {
                self.token = None;
                return Err(refused(what, status, &answer));
            }
        };
        self.token = Some(Token::new(text, lease, Instant::now()));
        Ok(())
    }

    async fn renew(&mut self) -> Result<(), VaultError> {
        let what = "the renewal of the token".to_owned();
        let segments = ["v1", "auth", "token", "renew-self"];
        let empty = json!({});
        let (status, answer) = self
            .send(Method::POST, &segments, Some(&empty), &what)
            .await?;
        if status != OK {
            return Err(refused(what, status, &answer));
        }
        self.take(&answer, what)
    }

    fn take(&mut self, answer: &Value, what: String) -> Result<(), VaultError> {
        let (text, lease) = Lease::granted(answer).ok_or(VaultError::Odd(what))?;
        self.token = Some(Token::new(text, lease, Instant::now()));
        Ok(())
    }

    /// Sends a request, again where Vault cannot answer it at the moment: a standby, or one that
    /// is being sealed.
    async fn send(
        &self,
        method: Method,
        segments: &[&str],
        body: Option<&Value>,
        what: &str,
    ) -> Result<(u16, Value), VaultError> {
        let mut delay = RETRY_DELAY;
        let mut tries = 0;
        loop {
            let outcome = self.send_once(method.clone(), segments, body).await;
            let is_passing = match &outcome {
                Ok((status, _)) => *status >= SERVER_ERRORS || *status == TOO_MANY_REQUESTS,
                Err(OutgoingError::Unanswered(_)) => true,
                Err(_) => false,
            };
            if is_passing && tries < RETRIES_MAX {
                tokio::time::sleep(delay).await;
                delay *= 2;
                tries += 1;
                continue;
            }
            let (status, bytes) = outcome?;
            let bytes = Zeroizing::new(bytes);
            let answer = match serde_json::from_slice(&bytes) {
                Ok(answer) => answer,
                Err(_) if status != OK => Value::Null,
                Err(_) => return Err(VaultError::Odd(what.to_owned())),
            };
            return Ok((status, answer));
        }
    }

    async fn send_once(
        &self,
        method: Method,
        segments: &[&str],
        body: Option<&Value>,
    ) -> Result<(u16, Vec<u8>), OutgoingError> {
        let request = self.client.request(method, self.address.join(segments));
        // Vault refuses requests without it that a browser was tricked into.
        let mut request = request.header("X-Vault-Request", "true");
        if let Some(namespace) = &self.config.namespace {
            request = request.header("X-Vault-Namespace", namespace.as_str());
        }
        if let Some(token) = &self.token {
            request = request.header("X-Vault-Token", token.text.expose_secret());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        self.client.send(request, ANSWER_BYTES_MAX).await
    }
}

fn refused(what: String, status: u16, answer: &Value) -> VaultError {
    VaultError::Refused {
        what,
        status,
        errors: errors_of(answer),
    }
}

fn read_jwt(path: &std::path::Path) -> Result<Zeroizing<String>, VaultError> {
    use std::io::Read as _;
    let failed = |source| VaultError::Jwt {
        path: path.to_owned(),
        source,
    };
    let mut text = Zeroizing::new(String::new());
    let file = std::fs::File::open(path).map_err(failed)?;
    let read = file.take(JWT_BYTES_MAX).read_to_string(&mut text);
    read.map_err(failed)?;
    Ok(text)
}
