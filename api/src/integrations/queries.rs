use jiff::Timestamp;
use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Integration, Provider, Status};
use crate::{access::Role, keyring::Sealed};

/// The sealed tokens of one account.
pub struct Stored {
    pub id: Uuid,
    pub status: Status,
    pub account_id: String,
    pub key_id: String,
    pub access_token: Sealed,
    pub refresh_token: Option<Sealed>,
    pub expires_at: Option<SqlTimestamp>,
}

/// Tokens to keep.
pub struct NewTokens {
    pub key_id: String,
    pub access_token: Sealed,
    pub refresh_token: Option<Sealed>,
    pub expires_at: Option<Timestamp>,
}

/// Whose account it is.
pub struct NewOwner {
    pub account_id: String,
    pub account_name: String,
    pub scopes: Vec<String>,
    pub connected_by: Uuid,
}

/// The beginning of a connection.
pub struct NewAttempt<'a> {
    pub state_hash: [u8; 32],
    pub id: Uuid,
    pub provider: Provider,
    pub member_id: Uuid,
    pub api_key_id: Option<Uuid>,
    pub browser_hash: Option<[u8; 32]>,
    pub redirect_uri: &'a str,
    pub key_id: &'a str,
    pub code_verifier: Sealed,
    pub expires_at: Timestamp,
}

/// A connection that comes back, with the role that its member has now, and whether the key that began it is still good.
pub struct Attempt {
    pub id: Uuid,
    pub provider: Provider,
    pub member_id: Uuid,
    pub role: Role,
    pub api_key_id: Option<Uuid>,
    pub is_key_good: bool,
    pub browser_hash: Option<Vec<u8>>,
    pub redirect_uri: String,
    pub key_id: String,
    pub code_verifier: Sealed,
    pub expires_at: SqlTimestamp,
}

pub async fn list(
    db: &PgPool,
    organization_id: Uuid,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Integration>> {
    sqlx::query_as!(
        Integration,
        r#"SELECT id, provider AS "provider: Provider", status AS "status: Status", account_id, account_name, scopes,
               expires_at, connected_by, version, created_at, updated_at FROM integrations
           WHERE organization_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3"#,
        organization_id,
        after,
        limit
    )
    .fetch_all(db)
    .await
}

pub async fn get(
    db: &PgPool,
    organization_id: Uuid,
    provider: Provider,
) -> sqlx::Result<Option<Integration>> {
    sqlx::query_as!(
        Integration,
        r#"SELECT id, provider AS "provider: Provider", status AS "status: Status", account_id, account_name, scopes,
               expires_at, connected_by, version, created_at, updated_at FROM integrations
           WHERE organization_id = $1 AND provider = $2"#,
        organization_id,
        provider.as_str()
    )
    .fetch_optional(db)
    .await
}

pub async fn lock(
    db: &mut PgConnection,
    organization_id: Uuid,
    provider: Provider,
) -> sqlx::Result<Option<Integration>> {
    sqlx::query_as!(
        Integration,
        r#"SELECT id, provider AS "provider: Provider", status AS "status: Status", account_id, account_name, scopes,
               expires_at, connected_by, version, created_at, updated_at FROM integrations
           WHERE organization_id = $1 AND provider = $2 FOR UPDATE"#,
        organization_id,
        provider.as_str()
    )
    .fetch_optional(db)
    .await
}

pub async fn insert(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    provider: Provider,
    owner: &NewOwner,
    tokens: &NewTokens,
    now: Timestamp,
) -> sqlx::Result<Integration> {
    sqlx::query_as!(
        Integration,
        r#"INSERT INTO integrations (organization_id, id, provider, account_id, account_name, scopes, connected_by,
               key_id, access_token, refresh_token, expires_at, created_at, updated_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
           RETURNING id, provider AS "provider: Provider", status AS "status: Status", account_id, account_name, scopes,
               expires_at, connected_by, version, created_at, updated_at"#,
        organization_id,
        id,
        provider.as_str(),
        owner.account_id,
        owner.account_name,
        &owner.scopes,
        owner.connected_by,
        tokens.key_id,
        tokens.access_token,
        tokens.refresh_token,
        tokens.expires_at.map(ToSqlx::to_sqlx) as _,
        now.to_sqlx() as _
    )
    .fetch_one(db)
    .await
}

/// The same account, connected anew.
pub async fn update(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    owner: &NewOwner,
    tokens: &NewTokens,
    now: Timestamp,
) -> sqlx::Result<Integration> {
    sqlx::query_as!(
        Integration,
        r#"UPDATE integrations SET status = 'CONNECTED', account_name = $3, scopes = $4, connected_by = $5, key_id = $6,
               access_token = $7, refresh_token = $8, expires_at = $9, version = version + 1, updated_at = $10
           WHERE organization_id = $1 AND id = $2
           RETURNING id, provider AS "provider: Provider", status AS "status: Status", account_id, account_name, scopes,
               expires_at, connected_by, version, created_at, updated_at"#,
        organization_id,
        id,
        owner.account_name,
        &owner.scopes,
        owner.connected_by,
        tokens.key_id,
        tokens.access_token,
        tokens.refresh_token,
        tokens.expires_at.map(ToSqlx::to_sqlx) as _,
        now.to_sqlx() as _
    )
    .fetch_one(db)
    .await
}

/// Takes the account away, and keeps its tokens only until the provider has taken them back.
pub async fn retire(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    now: Timestamp,
) -> sqlx::Result<()> {
    let moved = sqlx::query!(
        "WITH gone AS (DELETE FROM integrations WHERE organization_id = $1 AND id = $2 RETURNING *)
         INSERT INTO integration_revocations (organization_id, id, provider, key_id, access_token, refresh_token, created_at)
         SELECT organization_id, id, provider, key_id, access_token, refresh_token, $3 FROM gone",
        organization_id,
        id,
        now.to_sqlx() as _
    );
    moved.execute(db).await.map(|_| ())
}

pub async fn stored(
    db: &PgPool,
    organization_id: Uuid,
    provider: Provider,
) -> sqlx::Result<Option<Stored>> {
    sqlx::query_as!(
        Stored,
        r#"SELECT id, status AS "status: Status", account_id, key_id, access_token, refresh_token, expires_at
           FROM integrations WHERE organization_id = $1 AND provider = $2"#,
        organization_id,
        provider.as_str()
    )
    .fetch_optional(db)
    .await
}

/// As [`stored`]; nobody else refreshes this account until the transaction ends, in no process.
pub async fn lock_stored(
    db: &mut PgConnection,
    organization_id: Uuid,
    provider: Provider,
) -> sqlx::Result<Option<Stored>> {
    sqlx::query_as!(
        Stored,
        r#"SELECT id, status AS "status: Status", account_id, key_id, access_token, refresh_token, expires_at
           FROM integrations WHERE organization_id = $1 AND provider = $2 FOR UPDATE"#,
        organization_id,
        provider.as_str()
    )
    .fetch_optional(db)
    .await
}

/// Fresh tokens. To people it is the same connection, so its version stays.
pub async fn renew(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    tokens: &NewTokens,
) -> sqlx::Result<()> {
    let renewed = sqlx::query!(
        "UPDATE integrations SET key_id = $3, access_token = $4, refresh_token = $5, expires_at = $6
         WHERE organization_id = $1 AND id = $2",
        organization_id,
        id,
        tokens.key_id,
        tokens.access_token,
        tokens.refresh_token,
        tokens.expires_at.map(ToSqlx::to_sqlx) as _
    );
    renewed.execute(db).await.map(|_| ())
}

pub async fn expire(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    now: Timestamp,
) -> sqlx::Result<Integration> {
    sqlx::query_as!(
        Integration,
        r#"UPDATE integrations SET status = 'EXPIRED', version = version + 1, updated_at = $3
           WHERE organization_id = $1 AND id = $2
           RETURNING id, provider AS "provider: Provider", status AS "status: Status", account_id, account_name, scopes,
               expires_at, connected_by, version, created_at, updated_at"#,
        organization_id,
        id,
        now.to_sqlx() as _
    )
    .fetch_one(db)
    .await
}

/// Also forgets the organization's attempts that nobody came back from.
pub async fn begin(
    db: &mut PgConnection,
    organization_id: Uuid,
    attempt: &NewAttempt<'_>,
    now: Timestamp,
) -> sqlx::Result<()> {
    let stale = sqlx::query!(
        "DELETE FROM integration_attempts WHERE organization_id = $1 AND expires_at < $2",
        organization_id,
        now.to_sqlx() as _
    );
    stale.execute(&mut *db).await?;
    let begun = sqlx::query!(
        "INSERT INTO integration_attempts (organization_id, state_hash, id, provider, member_id, api_key_id, browser_hash,
             redirect_uri, key_id, code_verifier, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        organization_id,
        &attempt.state_hash[..],
        attempt.id,
        attempt.provider.as_str(),
        attempt.member_id,
        attempt.api_key_id,
        attempt.browser_hash.as_ref().map(|hash| &hash[..]),
        attempt.redirect_uri,
        attempt.key_id,
        attempt.code_verifier,
        attempt.expires_at.to_sqlx() as _
    );
    begun.execute(db).await.map(|_| ())
}

/// The attempt of that state, which is used up by this.
pub async fn take(
    db: &PgPool,
    organization_id: Uuid,
    state_hash: [u8; 32],
    now: Timestamp,
) -> sqlx::Result<Option<Attempt>> {
    sqlx::query_as!(
        Attempt,
        r#"DELETE FROM integration_attempts a USING members m
           WHERE a.organization_id = $1 AND a.state_hash = $2
             AND m.organization_id = a.organization_id AND m.id = a.member_id
           RETURNING a.id, a.provider AS "provider: Provider", a.member_id, m.role AS "role: Role", a.api_key_id,
               a.api_key_id IS NULL OR EXISTS (
                   SELECT FROM api_keys k WHERE k.organization_id = a.organization_id AND k.id = a.api_key_id
                     AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $3)) AS "is_key_good!",
               a.browser_hash, a.redirect_uri, a.key_id, a.code_verifier, a.expires_at"#,
        organization_id,
        &state_hash[..],
        now.to_sqlx() as _
    )
    .fetch_optional(db)
    .await
}

/// Tokens that wait for being taken back.
pub struct Retired {
    pub key_id: String,
    pub access_token: Sealed,
    pub refresh_token: Option<Sealed>,
}

pub async fn retired(
    db: &PgPool,
    organization_id: Uuid,
    id: Uuid,
) -> sqlx::Result<Option<Retired>> {
    sqlx::query_as!(
        Retired,
        "SELECT key_id, access_token, refresh_token FROM integration_revocations
         WHERE organization_id = $1 AND id = $2",
        organization_id,
        id
    )
    .fetch_optional(db)
    .await
}

pub async fn forget_retired(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
) -> sqlx::Result<()> {
    let forgotten = sqlx::query!(
        "DELETE FROM integration_revocations WHERE organization_id = $1 AND id = $2",
        organization_id,
        id
    );
    forgotten.execute(db).await.map(|_| ())
}
