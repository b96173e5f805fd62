//! OAuth 2.0 (RFC 6749) as a client of a provider: codes for tokens, fresh tokens, tokens taken back.

use std::sync::Arc;

use axum::http::Method;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mcp_kit::{Call, Caller, Metrics, Outgoing, Policy, Reply, ToolError, call::Road};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::Provider;
use crate::config::OAuthClient;

/// This installation's client at one provider.
pub(super) struct OAuth {
    provider: Provider,
    client_id: String,
    client_secret: SecretString,
    authorize_url: Url,
    http: mcp_kit::Provider,
}

/// What the token endpoint gives.
pub(super) struct Tokens {
    pub access_token: SecretString,
    pub refresh_token: Option<SecretString>,
    /// Seconds; none where the access token does not end.
    pub expires_in: Option<i64>,
    pub scopes: Vec<String>,
}

/// Whose tokens they are.
pub(super) struct Owner {
    pub id: String,
    pub name: String,
}

/// Why there are no tokens.
#[derive(Debug)]
pub(super) enum Denial {
    /// The provider does not take the code or the refresh token, in its own word: only a person can help.
    Grant(String),
    /// It does not take our client.
    Client(String),
    /// It says no to something else.
    Other(String),
    /// It did not answer, or not as it should.
    Away(ToolError),
}

impl From<ToolError> for Denial {
    fn from(error: ToolError) -> Self {
        Self::Away(error)
    }
}

/// An answer of any of the endpoints; Slack says no with 200 and `ok`.
#[derive(Default, Deserialize)]
struct Answer {
    ok: Option<bool>,
    error: Option<String>,
    access_token: Option<SecretString>,
    refresh_token: Option<SecretString>,
    expires_in: Option<i64>,
    #[serde(default)]
    scope: Scope,
    id_token: Option<String>,
    team: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
    name: Option<String>,
}

/// A list with spaces or commas, or a JSON array: providers differ, and Linear has changed.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scope {
    Text(String),
    List(Vec<String>),
}

impl Default for Scope {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

/// The part of Google's ID token that says who it is (OIDC Core, 2).
#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    email: Option<String>,
}

impl OAuth {
    /// `None` for a provider that is not set up here.
    pub(super) fn new(
        provider: Provider,
        client: OAuthClient,
        metrics: &Metrics,
    ) -> anyhow::Result<Option<Self>> {
        let Some((client_id, client_secret)) = client.credentials else {
            return Ok(None);
        };
        let policy = Policy {
            response_limit: 64 * 1024,
            ..Policy::default()
        };
        let http = mcp_kit::Provider::new(provider.upstream(), &client.api_url, policy, metrics)?;
        Ok(Some(Self {
            provider,
            client_id,
            client_secret,
            authorize_url: client.authorize_url.parse()?,
            http,
        }))
    }

    pub(super) fn provider(&self) -> Provider {
        self.provider
    }

    /// The page on which a person allows us in.
    pub(super) fn authorize_url(
        &self,
        redirect_uri: &str,
        state: &str,
        code_verifier: &SecretString,
    ) -> String {
        let provider = self.provider;
        let mut url = self.authorize_url.clone();
        {
            let mut query = url.query_pairs_mut();
            query
                .append_pair("client_id", &self.client_id)
                .append_pair("redirect_uri", redirect_uri)
                .append_pair("scope", &provider.scopes().join(provider.separator()))
                .append_pair("state", state)
                .extend_pairs(provider.authorize_parameters());
            if provider.has_pkce() {
                let digest = Sha256::digest(code_verifier.expose_secret());
                query
                    .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(digest))
                    .append_pair("code_challenge_method", "S256");
            }
        }
        url.into()
    }

    /// Tokens for a code, and whose they are.
    pub(super) async fn exchange(
        &self,
        code: &str,
        code_verifier: &SecretString,
        redirect_uri: &str,
        deadline: Instant,
    ) -> Result<(Tokens, Owner), Denial> {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
        ];
        if self.provider.has_pkce() {
            fields.push(("code_verifier", code_verifier.expose_secret()));
        }
        let mut answer = self.ask_for_tokens(fields, deadline).await?;
        let owner = match self.provider {
            Provider::Google => self.google_owner(answer.id_token.take())?,
            Provider::Slack => answer.team.take().map(Owner::from),
            Provider::Linear => None,
        };
        let tokens = self.tokens(answer)?;
        let owner = match owner {
            Some(owner) => owner,
            None if self.provider == Provider::Linear => {
                self.linear_owner(&tokens.access_token, deadline).await?
            }
            None => return Err(self.strange("it does not say whose account it is")),
        };
        Ok((tokens, owner))
    }

    /// Tokens for a refresh token. Where the answer has no new one, the old one stays.
    pub(super) async fn refresh(
        &self,
        refresh_token: &SecretString,
        deadline: Instant,
    ) -> Result<Tokens, Denial> {
        let fields = vec![
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.expose_secret()),
        ];
        let answer = self.ask_for_tokens(fields, deadline).await?;
        self.tokens(answer)
    }

    /// Takes the tokens back. What the provider does not know any more is back already.
    pub(super) async fn revoke(
        &self,
        access_token: &SecretString,
        refresh_token: Option<&SecretString>,
        deadline: Instant,
    ) -> Result<(), Denial> {
        let [_, path] = self.provider.endpoints();
        let request = Outgoing::new(Method::POST, path.iter().copied()).repeatable();
        let token = refresh_token.unwrap_or(access_token).expose_secret();
        let request = match self.provider {
            Provider::Google => request.form([("token", token)]),
            Provider::Slack => request.bearer(access_token),
            Provider::Linear => {
                let secret = self.client_secret.expose_secret();
                request.form([
                    ("token", token),
                    ("client_id", &self.client_id),
                    ("client_secret", secret),
                ])
            }
        };
        match self.send(request, deadline).await {
            Ok(_) | Err(Denial::Grant(_) | Denial::Other(_)) => Ok(()),
            Err(denial) => Err(denial),
        }
    }

    async fn ask_for_tokens(
        &self,
        mut fields: Vec<(&'static str, &str)>,
        deadline: Instant,
    ) -> Result<Answer, Denial> {
        fields.push(("client_id", &self.client_id));
        fields.push(("client_secret", self.client_secret.expose_secret()));
        let [path, _] = self.provider.endpoints();
        let request = Outgoing::new(Method::POST, path.iter().copied()).form(fields);
        let reply = self.send(request, deadline).await?;
        Ok(reply.json()?)
    }

    /// A reply that is no refusal.
    async fn send(&self, request: Outgoing, deadline: Instant) -> Result<Reply, Denial> {
        let mut call = Call::new(Arc::new(Caller::local()), Road::Http, "");
        call.deadline = deadline;
        let reply = self.http.send(&call, request).await?;
        let answer: Answer = serde_json::from_slice(&reply.body).unwrap_or_default();
        if reply.status.is_success() && answer.ok != Some(false) {
            return Ok(reply);
        }
        // A word such as `invalid_grant`; whatever else they say stays with them.
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        let word = answer.error.filter(|word| word.bytes().all(is_word));
        let word = word.unwrap_or_else(|| reply.status.as_u16().to_string());
        Err(match word.as_str() {
            "invalid_client"
            | "unauthorized_client"
            | "bad_client_secret"
            | "invalid_client_id"
            | "bad_redirect_uri"
            | "redirect_uri_mismatch" => Denial::Client(word),
            "invalid_grant"
            | "invalid_code"
            | "code_already_used"
            | "invalid_refresh_token"
            | "token_revoked"
            | "token_expired"
            | "invalid_auth"
            | "account_inactive" => Denial::Grant(word),
            _ => Denial::Other(word),
        })
    }

    fn tokens(&self, answer: Answer) -> Result<Tokens, Denial> {
        let access_token = answer
            .access_token
            .ok_or_else(|| self.strange("it gave no access token"))?;
        let separates = |letter: char| letter == ',' || letter.is_whitespace();
        let scopes = match answer.scope {
            Scope::Text(text) => text.split(separates).map(str::to_owned).collect(),
            Scope::List(list) => list,
        };
        Ok(Tokens {
            access_token,
            refresh_token: answer.refresh_token,
            expires_in: answer.expires_in,
            scopes: scopes
                .into_iter()
                .filter(|scope| !scope.is_empty())
                .collect(),
        })
    }

    /// The ID token came straight from Google, so that TLS stands for its signature (OIDC Core, 3.1.3.7).
    fn google_owner(&self, id_token: Option<String>) -> Result<Option<Owner>, Denial> {
        let Some(token) = id_token else {
            return Ok(None);
        };
        let claims = token.split('.').nth(1);
        let claims = claims.and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
        let claims = claims.and_then(|json| serde_json::from_slice::<Claims>(&json).ok());
        let issuers = ["https://accounts.google.com", "accounts.google.com"];
        let is_for_us = |claims: &Claims| {
            claims.aud == self.client_id && issuers.contains(&claims.iss.as_str())
        };
        let claims = claims
            .filter(is_for_us)
            .ok_or_else(|| self.strange("its ID token is not for us"))?;
        let name = claims.email.unwrap_or_else(|| claims.sub.clone());
        Ok(Some(Owner {
            id: claims.sub,
            name,
        }))
    }

    async fn linear_owner(&self, token: &SecretString, deadline: Instant) -> Result<Owner, Denial> {
        #[derive(Deserialize)]
        struct Data {
            data: Organization,
        }
        #[derive(Deserialize)]
        struct Organization {
            organization: Named,
        }
        let query = json!({ "query": "query { organization { id name } }" });
        let request = Outgoing::new(Method::POST, ["graphql"]).repeatable();
        let request = request.json(&query)?.bearer(token);
        let answer: Data = self.send(request, deadline).await?.json()?;
        Ok(answer.data.organization.into())
    }

    fn strange(&self, what: &str) -> Denial {
        let words = format!("{} answered strangely: {what}", self.provider);
        Denial::Away(ToolError::unavailable(
            words,
            std::time::Duration::from_secs(5),
        ))
    }
}

impl From<Named> for Owner {
    fn from(named: Named) -> Self {
        let name = named.name.unwrap_or_else(|| named.id.clone());
        Self { id: named.id, name }
    }
}
