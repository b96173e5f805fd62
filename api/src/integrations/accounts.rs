//! The account that a call acts with, its access token kept fresh: refreshed once, however many calls, in however many processes.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use mcp_kit::{Account, Code};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::{
    Integrations, Provider, Status,
    oauth::{Denial, OAuth, Tokens},
    queries::{self, NewTokens, Stored},
};
use crate::{
    audit,
    keyring::{KeyRing, Place},
    problem::{Problem, kinds},
    sidecars::{Refusal, SidecarError},
    transaction,
};

/// With less time than this a token is no longer used.
const MARGIN: SignedDuration = SignedDuration::from_mins(1);
/// Longest time for a refresh. It goes on when its caller gives up: the provider may have changed the token already.
const PATIENCE: Duration = Duration::from_secs(10);

/// A refresh under way.
struct Refresh {
    organization_id: Uuid,
    provider: Provider,
    request_id: String,
}

impl Integrations {
    /// The organization's own account at the provider; none where it has connected none.
    ///
    /// # Errors
    /// A refusal where somebody has to connect the account anew; a problem where the provider or the database does not answer.
    pub async fn account(
        &self,
        organization_id: Uuid,
        provider: Provider,
        request_id: &str,
        deadline: Instant,
    ) -> Result<Option<Account>, SidecarError> {
        let stored = queries::stored(self.db(), organization_id, provider).await;
        let Some(stored) = stored.map_err(Problem::from)? else {
            return Ok(None);
        };
        if let Some(account) = self.usable(organization_id, provider, &stored)? {
            return Ok(Some(account));
        }
        let refresh = Refresh {
            organization_id,
            provider,
            request_id: request_id.to_owned(),
        };
        let integrations = self.clone();
        let refreshed = tokio::spawn(async move { refresh.run(&integrations).await });
        match timeout_at(deadline, refreshed).await {
            Ok(Ok(account)) => account,
            Ok(Err(error)) => Err(problem(anyhow::Error::new(error))),
            Err(_) => Err(away(provider, "it takes long to give a fresh token", None)),
        }
    }

    fn count_refresh(&self, provider: Provider, refreshed: &Result<Tokens, Denial>) {
        let outcome = match refreshed {
            Ok(_) => "success",
            Err(Denial::Grant(_)) => "expired",
            Err(_) => "failure",
        };
        if let Some(refreshes) = &self.0.refreshes {
            let labels = [provider.as_str(), outcome];
            refreshes.with_label_values(&labels).inc();
        }
    }

    /// The account if its token holds long enough.
    fn usable(
        &self,
        organization_id: Uuid,
        provider: Provider,
        stored: &Stored,
    ) -> Result<Option<Account>, SidecarError> {
        if stored.status == Status::Expired {
            return Err(expired(provider));
        }
        let ends = stored.expires_at.map(jiff_sqlx::Timestamp::to_jiff);
        if ends.is_some_and(|ends| ends < self.now() + MARGIN) {
            return Ok(None);
        }
        let place = Place {
            organization_id,
            row_id: stored.id,
            column: "access_token",
        };
        let ring = self.ring()?;
        let token = ring.open(place, &stored.key_id, &stored.access_token);
        account(provider, &stored.account_id, &token.map_err(problem)?).map(Some)
    }
}

impl Refresh {
    async fn run(&self, integrations: &Integrations) -> Result<Option<Account>, SidecarError> {
        let deadline = Instant::now() + PATIENCE;
        let _turn = timeout_at(deadline, integrations.turn(self))
            .await
            .map_err(|_| away(self.provider, "it takes long to give fresh tokens", None))?;
        let (organization_id, provider) = (self.organization_id, self.provider);
        let begun = transaction::begin(integrations.db(), "BEGIN").await;
        let mut tx = begun.map_err(Problem::from)?;
        let stored = queries::lock_stored(&mut tx, organization_id, provider).await;
        let Some(stored) = stored.map_err(Problem::from)? else {
            return Ok(None);
        };
        // Somebody else may have refreshed it while we waited.
        if let Some(account) = integrations.usable(organization_id, provider, &stored)? {
            return Ok(Some(account));
        }
        let (oauth, ring) = (integrations.oauth(provider)?, integrations.ring()?);
        let refreshed = self.ask(oauth, ring, &stored, deadline).await;
        integrations.count_refresh(provider, &refreshed);
        let tokens = match refreshed {
            Ok(tokens) => tokens,
            Err(Denial::Grant(word)) => {
                tracing::warn!(provider = provider.as_str(), %organization_id, request.id = self.request_id, word, "an account has to be connected anew");
                self.expire(integrations, &mut tx, stored.id).await?;
                tx.commit().await.map_err(Problem::from)?;
                return Err(expired(provider));
            }
            Err(denial) => return Err(denial.into_error(provider)),
        };
        let now = integrations.now();
        let kept = tokens.seal(ring, organization_id, stored.id, now);
        let kept = kept.map_err(problem)?;
        let renewed = queries::renew(&mut tx, organization_id, stored.id, &kept).await;
        renewed.map_err(Problem::from)?;
        tx.commit().await.map_err(Problem::from)?;
        account(provider, &stored.account_id, &tokens.access_token).map(Some)
    }

    async fn ask(
        &self,
        oauth: &OAuth,
        ring: &KeyRing,
        stored: &Stored,
        deadline: Instant,
    ) -> Result<Tokens, Denial> {
        let Some(sealed) = &stored.refresh_token else {
            return Err(Denial::Grant("no_refresh_token".to_owned()));
        };
        let place = Place {
            organization_id: self.organization_id,
            row_id: stored.id,
            column: "refresh_token",
        };
        let old = ring.open(place, &stored.key_id, sealed);
        let old = old.map_err(mcp_kit::ToolError::internal)?;
        let mut tokens = oauth.refresh(&old, deadline).await?;
        tokens.refresh_token.get_or_insert(old);
        Ok(tokens)
    }

    async fn expire(
        &self,
        integrations: &Integrations,
        tx: &mut sqlx::PgConnection,
        id: Uuid,
    ) -> Result<(), Problem> {
        let now = integrations.now();
        let expired = queries::expire(tx, self.organization_id, id, now).await?;
        let entry = audit::NewEntry {
            id: integrations.new_id(),
            organization_id: self.organization_id,
            actor: None,
            action: "integration.expired",
            audience: crate::webhooks::Audience::of("integration.expired", id),
            subject_type: "integration",
            subject_id: id,
            before: None::<Value>,
            after: audit::json(Some(&expired))?,
            request_id: &self.request_id,
        };
        audit::record(tx, entry, now).await
    }

    /// Which of `of` turns this account has to wait for.
    fn turn(&self, of: usize) -> usize {
        let mut hasher = DefaultHasher::new();
        (self.organization_id, self.provider.as_str()).hash(&mut hasher);
        usize::try_from(hasher.finish() % of as u64).unwrap_or_default()
    }
}

impl Integrations {
    /// One refresh at a time for an account in this process, and few in all: each holds a connection to the database.
    async fn turn(&self, refresh: &Refresh) -> tokio::sync::MutexGuard<'_, ()> {
        let turns = &self.0.turns;
        turns[refresh.turn(turns.len())].lock().await
    }
}

impl Tokens {
    /// As they are kept.
    pub(super) fn seal(
        &self,
        ring: &KeyRing,
        organization_id: Uuid,
        row_id: Uuid,
        now: Timestamp,
    ) -> anyhow::Result<NewTokens> {
        let seal = |column, token: &SecretString| {
            let place = Place {
                organization_id,
                row_id,
                column,
            };
            ring.seal(place, token)
        };
        let refresh_token = self.refresh_token.as_ref();
        let refresh_token = refresh_token.map(|token| seal("refresh_token", token));
        // Some providers say 0 for tokens that do not end.
        let expires_in = self.expires_in.filter(|seconds| *seconds > 0);
        Ok(NewTokens {
            key_id: ring.newest().to_owned(),
            access_token: seal("access_token", &self.access_token)?,
            refresh_token: refresh_token.transpose()?,
            expires_at: expires_in
                .and_then(|seconds| now.checked_add(SignedDuration::from_secs(seconds)).ok()),
        })
    }
}

impl Denial {
    /// Why a call has no account to act with.
    fn into_error(self, provider: Provider) -> SidecarError {
        match self {
            Self::Grant(_) => expired(provider),
            Self::Client(word) => {
                let name = provider.as_str().to_uppercase();
                let why =
                    format!("it does not take {name}_OAUTH_CLIENT_ID and its secret ({word})");
                away(provider, &why, None)
            }
            Self::Other(word) => away(provider, &format!("it gives no fresh token ({word})"), None),
            Self::Away(error) => away(provider, &error.message, error.retry_after_seconds()),
        }
    }
}

fn account(provider: Provider, id: &str, token: &SecretString) -> Result<Account, SidecarError> {
    let account = Account::new(id, token.expose_secret());
    account.ok_or_else(|| problem(anyhow::anyhow!("{provider} gave a token that is none")))
}

/// Nobody's account but the one they have connected is used instead.
fn expired(provider: Provider) -> SidecarError {
    let name = provider.as_str();
    SidecarError::Refused(Refusal {
        code: Code::Refused,
        message: format!(
            "{provider} no longer lets us into this organization's account: connect it anew at /oauth/{name}/start"
        ),
        errors: Vec::new(),
        details: Value::Null,
    })
}

fn away(provider: Provider, why: &str, retry_after: Option<u64>) -> SidecarError {
    let detail = format!("{provider}: {why}");
    let retry_after = retry_after.or(Some(5));
    let problem = Problem::Sidecar(&kinds::SIDECAR_UNAVAILABLE, detail, retry_after);
    SidecarError::Own(Box::new(problem))
}

fn problem(error: anyhow::Error) -> SidecarError {
    Problem::Internal(error).into()
}
