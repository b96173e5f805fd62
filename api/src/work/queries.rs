use axum::http::StatusCode;
use jiff::{Timestamp, ToSpan};
use jiff_sqlx::ToSqlx;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Answer, Seen};

/// How long an answer is replayed.
fn kept_since(now: Timestamp) -> Timestamp {
    now.checked_sub(24.hours()).unwrap_or(now)
}

/// Takes the key for this transaction, unless another one has it right now, and finds the answer
/// of an earlier one. Should that one commit between lock and look, `keep` notices.
pub async fn claim(
    db: &mut PgConnection,
    organization_id: Uuid,
    key: &str,
    now: Timestamp,
) -> sqlx::Result<Seen> {
    let row = sqlx::query!(
        r#"SELECT pg_try_advisory_xact_lock(hashtextextended($1::uuid::text || $2::text, 0)) AS "claimed!",
                  k.fingerprint AS "fingerprint?", k.status AS "status?", k.headers AS "headers?", k.body AS "body?"
           FROM (VALUES (1)) AS one LEFT JOIN idempotency_keys k
             ON k.organization_id = $1 AND k.key = $2 AND k.created_at > $3"#,
        organization_id,
        key,
        kept_since(now).to_sqlx()
    )
    .fetch_one(db)
    .await?;
    let (Some(fingerprint), Some(status), Some(headers), Some(body)) =
        (row.fingerprint, row.status, row.headers, row.body)
    else {
        return Ok(Seen {
            claimed: row.claimed,
            answer: None,
        });
    };
    let text = |name: &str| headers[name].as_str().map(str::to_owned);
    let answer = Answer {
        status: StatusCode::from_u16(status.cast_unsigned()).unwrap_or(StatusCode::OK),
        location: text("location"),
        etag: text("etag"),
        body: body.into(),
    };
    let fingerprint = fingerprint.try_into().unwrap_or([0; 32]);
    Ok(Seen {
        claimed: row.claimed,
        answer: Some((fingerprint, Box::new(answer))),
    })
}

/// Stores the answer; false when somebody else's came first.
pub async fn keep(
    db: &mut PgConnection,
    organization_id: Uuid,
    key: &str,
    fingerprint: &[u8],
    answer: &Answer,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let headers = serde_json::json!({"location": answer.location, "etag": answer.etag});
    let done = sqlx::query!(
        "INSERT INTO idempotency_keys AS k (organization_id, key, fingerprint, status, headers, body, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (organization_id, key) DO UPDATE
         SET fingerprint = excluded.fingerprint, status = excluded.status, headers = excluded.headers,
             body = excluded.body, created_at = excluded.created_at
         WHERE k.created_at <= $8",
        organization_id,
        key,
        fingerprint,
        answer.status.as_u16().cast_signed(),
        headers,
        &answer.body[..],
        now.to_sqlx(),
        kept_since(now).to_sqlx()
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes what is no longer replayed, a bounded number at a time.
pub async fn forget(db: &sqlx::PgPool, now: Timestamp) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "DELETE FROM idempotency_keys WHERE (organization_id, key) IN (
             SELECT organization_id, key FROM idempotency_keys WHERE created_at <= $1 LIMIT 5000)",
        kept_since(now).to_sqlx()
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}
