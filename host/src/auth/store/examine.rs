//! Tokens: those that were not seen before are looked into, those that must not be taken any more
//! are revoked.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::record::whole_milliseconds;
use super::{AuthError, KeyError, KeyStore, token_rows, usage_rows};
use crate::auth::caller::Caller;
use crate::auth::jwt::{
    Jwt, JwtConfig, JwtError, JwtFiles, RevokedToken, TokenCaller, TokenError, TokenText, Verified,
    checked_id,
};
use crate::auth::key::{KeyDigest, PresentedKey};
use crate::auth::usage::KeyUsage;
use crate::telemetry::metrics;

/// The longest time that it takes to look into a token, whatever it waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was found out about a token.
#[derive(Clone, Debug)]
pub struct Examined {
    digest: KeyDigest,
    outcome: Result<Caller, AuthError>,
}

impl Examined {
    /// The outcome, if it is that of this key.
    #[must_use]
    pub fn of(&self, key: &PresentedKey<'_>) -> Option<Result<Caller, AuthError>> {
        let is_same = self.digest.matches(&key.digest);
        is_same.then(|| self.outcome.clone())
    }
}

impl KeyStore {
    /// Looks into a token that was not seen before. Costs a check of its signature; may wait, in
    /// bounded time, for the keys of its issuer and for the counts of its caller. What holds is
    /// known again from then on.
    pub fn examine(
        &self,
        key: &PresentedKey<'_>,
    ) -> impl Future<Output = Examined> + Send + 'static + use<> {
        let (store, digest) = (self.clone(), key.digest);
        let token = key.token.map(TokenText::copy);
        async move {
            let outcome = match (&store.0.jwt, token) {
                (Some(jwt), Some(token)) => {
                    let looking = store.look_into(jwt, digest, &token);
                    let found = tokio::time::timeout(PATIENCE, looking).await;
                    found.unwrap_or(Err(TokenError::Unavailable))
                }
                _ => Err(TokenError::Malformed),
            };
            let name = outcome.as_ref().map_or_else(|error| error.name(), |_| "ok");
            metrics::JWT_CHECKS
                .with([("outcome", name.into())])
                .increment(1);
            Examined {
                digest,
                outcome: outcome.map_err(AuthError::Token),
            }
        }
    }

    async fn look_into(
        &self,
        jwt: &Jwt,
        digest: KeyDigest,
        token: &TokenText,
    ) -> Result<Caller, TokenError> {
        let verified = jwt.verify(token).await?;
        let usage = match jwt.usage(&verified.id) {
            Some(usage) => usage,
            None => self.counts_of(jwt, &verified).await.map_err(|error| {
                tracing::error!("what a caller by token has used cannot be read: {error}");
                TokenError::Unavailable
            })?,
        };
        jwt.admit(digest, verified, usage)
    }

    /// The counts of a caller that is not in memory.
    async fn counts_of(
        &self,
        jwt: &Jwt,
        verified: &Verified,
    ) -> Result<std::sync::Arc<KeyUsage>, KeyError> {
        if jwt.is_full_of_callers() {
            self.write_usage().await?;
        }
        let (jwt, id, caller) = (
            jwt.clone(),
            verified.id.clone(),
            verified.caller().to_owned(),
        );
        // As a change: the counts that are read here must not be older than those that were
        // written when the caller was last forgotten.
        self.change(|store| async move {
            if let Some(usage) = jwt.usage(&id) {
                return Ok(usage);
            }
            let counts = usage_rows::read_one(store.pool(), id.as_str()).await?;
            let usage = KeyUsage::resumed(store.0.clock.clone(), &counts.unwrap_or_default());
            Ok(jwt.add_caller(id, &caller, usage))
        })
        .await
    }

    /// Revokes the tokens with that id: they are refused from the next request on, also after a
    /// restart, and their open streams are ended. Revoking twice changes nothing. Gives the
    /// revocation, and whether it is new.
    ///
    /// # Errors
    ///
    /// When no tokens are taken, `jti` is no id, there are too many, or the host fails.
    pub async fn revoke_token(&self, jti: &str) -> Result<(RevokedToken, bool), KeyError> {
        let jwt = self.jwt()?.clone();
        let jti = checked_id(jti)?.to_owned();
        self.change(|store| async move {
            if let Some(known) = jwt.revocation(&jti) {
                return Ok((known, false));
            }
            let now = whole_milliseconds(store.now());
            let mut token = jwt
                .new_revocation(jti, now)
                .ok_or(JwtError::TooManyRevoked)?;
            token.until = whole_milliseconds(token.until);
            token_rows::insert(store.pool(), &token).await?;
            jwt.revoke(vec![token.clone()]);
            Ok((token, true))
        })
        .await
    }

    /// The tokens that were revoked by [`Self::revoke_token`] and could still hold otherwise: none
    /// where no tokens are taken.
    #[must_use]
    pub fn revoked_tokens(&self) -> Vec<RevokedToken> {
        self.0.jwt.as_ref().map_or_else(Vec::new, Jwt::revoked)
    }

    /// The callers by token whose counts are in memory: those since the start, as long as there
    /// is room.
    #[must_use]
    pub fn token_callers(&self) -> Vec<TokenCaller> {
        self.0.jwt.as_ref().map_or_else(Vec::new, Jwt::callers)
    }

    fn jwt(&self) -> Result<&Jwt, KeyError> {
        self.0.jwt.as_ref().ok_or(KeyError::Jwt(JwtError::Off))
    }

    /// Reads the files that vouch for tokens or take that back, for [`Self::take_up_files`], which
    /// holds tokens to these settings as well; none where no tokens are taken.
    ///
    /// # Errors
    ///
    /// When one cannot be read or used.
    pub async fn read_files(&self, config: &JwtConfig) -> Result<Option<JwtFiles>, KeyError> {
        match &self.0.jwt {
            Some(jwt) => Ok(Some(jwt.look(config).await?)),
            None => Ok(None),
        }
    }

    /// Goes by what was read, from now on.
    pub fn take_up_files(&self, files: Option<JwtFiles>) {
        if let (Some(jwt), Some(files)) = (&self.0.jwt, files) {
            jwt.take_up(files);
        }
    }

    /// Keeps what vouches for tokens fresh, until `stop`.
    pub async fn keep_tokens(&self, stop: CancellationToken) {
        let Some(jwt) = &self.0.jwt else { return };
        let keep = async {
            loop {
                jwt.keep().await;
            }
        };
        stop.run_until_cancelled(keep).await;
    }
}
