//! Whether the role that we log in as can do no harm, whoever set it up.

use anyhow::{Context, ensure};
use tokio_postgres::Client;

/// One row for each thing that is wrong with the role.
const FAULTS: &str = "
    SELECT 'it is a superuser' WHERE current_setting('is_superuser') = 'on'
    UNION ALL SELECT 'row-level security does not hold for it' WHERE EXISTS (
        SELECT FROM pg_class WHERE relrowsecurity AND NOT row_security_active(oid))
    UNION ALL SELECT 'no table has row-level security' WHERE NOT EXISTS (SELECT FROM pg_class WHERE relrowsecurity)
    UNION ALL SELECT 'it owns ' || relname::text FROM pg_class WHERE relowner = current_user::regrole
    UNION ALL SELECT 'it is a member of ' || roleid::regrole::text FROM pg_auth_members WHERE member = current_user::regrole
    UNION ALL SELECT 'it can write to ' || relname::text FROM pg_class
        WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND relnamespace <> 'information_schema'::regnamespace
          AND (has_table_privilege(oid, 'INSERT,UPDATE,DELETE,TRUNCATE,TRIGGER') OR has_any_column_privilege(oid, 'INSERT,UPDATE'))
          AND NOT (relnamespace = 'pg_catalog'::regnamespace AND relname = 'pg_settings')
    UNION ALL SELECT 'it can create in the schema ' || nspname::text FROM pg_namespace WHERE has_schema_privilege(oid, 'CREATE')
    UNION ALL SELECT 'it can create schemas' WHERE has_database_privilege(current_database(), 'CREATE')";

/// Functions with effects that the role may call, by name.
const FUNCTIONS: &str = "
    SELECT DISTINCT proname::text FROM pg_proc
    WHERE pronamespace = 'pg_catalog'::regnamespace AND provolatile = 'v' AND has_function_privilege(oid, 'EXECUTE')
      AND proname ~ '^(set_config|pg_(try_)?advisory|pg_notify|pg_sleep|lo_|lo(read|write)|query_to_xml|ts_stat|pg_(terminate|cancel)_|nextval|setval|setseed|pg_export_snapshot|pg_logical_emit)'";

/// # Errors
/// The role could write, become another, or see an organization that is not its caller's.
pub(crate) async fn role_is_harmless(
    client: &Client,
    has_only_organization: bool,
) -> anyhow::Result<()> {
    let faults = texts(client, FAULTS).await?;
    ensure!(
        faults.is_empty(),
        "DATABASE_URL's role is not safe for SQL of others: {}; use event_planner_reporting as the migrations make it",
        faults.join(", ")
    );
    let functions = texts(client, FUNCTIONS).await?;
    ensure!(
        has_only_organization || !functions.iter().any(|name| name == "set_config"),
        "everybody may call set_config in this database, and with it a query could set another organization: let a \
         superuser run {MIGRATION}, or, where there is only one organization, set ONLY_ORGANIZATION_IN_DATABASE"
    );
    if !functions.is_empty() {
        tracing::warn!(
            functions = functions.join(","),
            "everybody may call functions with effects in this database: let a superuser run {MIGRATION}"
        );
    }
    Ok(())
}

const MIGRATION: &str = "the end of database/migrations/0004_reporting.sql";

async fn texts(client: &Client, sql: &str) -> anyhow::Result<Vec<String>> {
    let rows = client
        .query_typed(sql, &[])
        .await
        .context("look at our role")?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}
