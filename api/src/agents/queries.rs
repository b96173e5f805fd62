use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{
    Agent, AgentKind, NewAgent,
    directory::Registered,
    token::{SealedToken, Stored},
};

pub async fn list(
    db: &PgPool,
    organization_id: Uuid,
    after: Option<&str>,
    limit: i64,
) -> sqlx::Result<Vec<Agent>> {
    sqlx::query_as!(
        Agent,
        r#"SELECT agent_type, 'MCP' AS "kind!: AgentKind", description, url AS "url?", token IS NOT NULL AS "has_token!", tools,
                  version AS "version?", created_at AS "created_at?"
           FROM agents WHERE organization_id = $1 AND ($2::text IS NULL OR agent_type COLLATE "C" > $2)
           ORDER BY agent_type COLLATE "C" LIMIT $3"#,
        organization_id,
        after,
        limit
    )
    .fetch_all(db)
    .await
}

pub async fn get(
    db: &mut PgConnection,
    organization_id: Uuid,
    agent_type: &str,
) -> sqlx::Result<Option<Agent>> {
    sqlx::query_as!(
        Agent,
        r#"SELECT agent_type, 'MCP' AS "kind!: AgentKind", description, url AS "url?", token IS NOT NULL AS "has_token!", tools,
                  version AS "version?", created_at AS "created_at?"
           FROM agents WHERE organization_id = $1 AND agent_type = $2"#,
        organization_id,
        agent_type
    )
    .fetch_optional(db)
    .await
}

/// The same with its id, and nobody else changes it until the change ends.
pub async fn lock(
    db: &mut PgConnection,
    organization_id: Uuid,
    agent_type: &str,
) -> sqlx::Result<Option<(Uuid, Agent)>> {
    let id = sqlx::query_scalar!(
        "SELECT id FROM agents WHERE organization_id = $1 AND agent_type = $2 FOR UPDATE",
        organization_id,
        agent_type
    );
    let Some(id) = id.fetch_optional(&mut *db).await? else {
        return Ok(None);
    };
    let agent = get(db, organization_id, agent_type).await?;
    Ok(agent.map(|agent| (id, agent)))
}

/// None where the organization has `most` agents already.
pub async fn insert(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    new: &NewAgent,
    token: Option<&SealedToken>,
    most: i64,
    now: Timestamp,
) -> sqlx::Result<Option<Agent>> {
    sqlx::query_as!(
        Agent,
        r#"INSERT INTO agents (organization_id, id, agent_type, description, url, key_id, token, tools, created_at, updated_at)
           SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $9
           WHERE (SELECT count(*) FROM agents WHERE organization_id = $1) < $10
           RETURNING agent_type, 'MCP' AS "kind!: AgentKind", description, url AS "url?", token IS NOT NULL AS "has_token!", tools,
                     version AS "version?", created_at AS "created_at?""#,
        organization_id,
        id,
        new.agent_type,
        new.description,
        new.url,
        token.map(|token| &token.key_id),
        token.map(|token| &token.token),
        &new.tools,
        now.to_sqlx(),
        most
    )
    .fetch_optional(db)
    .await
}

/// With `keeps_token` it stays, whatever `token` is.
pub async fn update(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
    new: &NewAgent,
    keeps_token: bool,
    token: Option<&SealedToken>,
    now: Timestamp,
) -> sqlx::Result<Agent> {
    sqlx::query_as!(
        Agent,
        r#"UPDATE agents SET description = $3, url = $4, tools = $5, version = version + 1, updated_at = $6,
               key_id = CASE WHEN $7 THEN key_id ELSE $8 END, token = CASE WHEN $7 THEN token ELSE $9 END
           WHERE organization_id = $1 AND id = $2
           RETURNING agent_type, 'MCP' AS "kind!: AgentKind", description, url AS "url?", token IS NOT NULL AS "has_token!", tools,
                     version AS "version?", created_at AS "created_at?""#,
        organization_id,
        id,
        new.description,
        new.url,
        &new.tools,
        now.to_sqlx(),
        keeps_token,
        token.map(|token| &token.key_id),
        token.map(|token| &token.token)
    )
    .fetch_one(db)
    .await
}

pub async fn delete(db: &mut PgConnection, organization_id: Uuid, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM agents WHERE organization_id = $1 AND id = $2",
        organization_id,
        id
    )
    .execute(db)
    .await?;
    Ok(())
}

/// All of an organization's agents, with their sealed tokens.
pub async fn registered(
    db: &mut PgConnection,
    organization_id: Uuid,
) -> sqlx::Result<Vec<Registered>> {
    let rows = sqlx::query!(
        "SELECT id, agent_type, url, key_id, token, tools FROM agents WHERE organization_id = $1",
        organization_id
    )
    .fetch_all(db)
    .await?;
    let agents = rows.into_iter().map(|row| Registered {
        id: row.id,
        agent_type: row.agent_type,
        url: row.url,
        token: row.token.map(|token| Stored {
            organization_id,
            agent_id: row.id,
            key_id: row.key_id,
            token,
        }),
        tools: row.tools,
    });
    Ok(agents.collect())
}
