//! The commands that are not `serve`.

use std::time::Duration;

use anyhow::Context;
use secrecy::ExposeSecret;
use sqlx::{Connection, PgConnection, PgPool};
use uuid::Uuid;
use validator::Validate;

use crate::{
    access::ApiKeyToken,
    api_keys::{self, NewApiKey},
    caterers,
    config::{Admin, AdminTask, Database, Healthcheck, Migrate, Seed},
    extract::field_errors,
    jobs, keyring,
    organizations::{self, NewTenant},
    problem::Problem,
    state::{self, App},
    venues,
    work::Work,
};

/// The demo organization is known by this name.
const DEMO_ORGANIZATION: &str = "Demo Events";
const DEMO_VENUES: &[u8] = include_bytes!("../../database/seed/venues.csv");
const DEMO_CATERERS: &[u8] = include_bytes!("../../database/seed/caterers.csv");

/// Brings the database to this version's schema.
pub async fn migrate(config: &Migrate) -> anyhow::Result<()> {
    let url = config.url()?;
    let connected = PgConnection::connect(url.expose_secret()).await;
    let mut connection = connected.context("connect to Postgres (DATABASE_OWNER_URL)")?;
    // The version before an update comes back without its migrations being undone.
    let mut migrations = sqlx::migrate!();
    migrations.set_ignore_missing(true);
    migrations.run(&mut connection).await.context("migrate")?;
    tracing::info!(
        migrations = migrations.iter().count(),
        "the database is up to date"
    );
    Ok(())
}

/// Loads the demo organization, once; says what there is.
pub async fn seed(config: &Seed) -> anyhow::Result<String> {
    let app = app(&config.database).await?;
    let given = config
        .demo_api_key
        .as_ref()
        .map(ApiKeyToken::from_secret)
        .transpose()?;
    if let Some(demo) = find_demo(&app.db).await? {
        let note = match given {
            Some(token) if !key_exists(&app.db, &token).await? => {
                add_key(&app, demo, "Demo key", &token)
                    .await
                    .map_err(told)?;
                "the given API key was added to its owner"
            }
            _ => "nothing was changed",
        };
        return Ok(format!(
            "the organization {DEMO_ORGANIZATION:?} is there already; {note}"
        ));
    }
    let printed = given.is_none();
    let token = given.map_or_else(ApiKeyToken::generate, Ok)?;
    let (venues, caterers) = found_demo(&app, &token).await.map_err(told)?;
    let key = if printed {
        format!("\napi key (shown once): {}", token.expose())
    } else {
        String::new()
    };
    Ok(format!(
        "organization {DEMO_ORGANIZATION:?}: {venues} venues, {caterers} caterers{key}"
    ))
}

async fn found_demo(app: &App, token: &ApiKeyToken) -> Result<(usize, usize), Problem> {
    let mut work = Work::system(app, Uuid::nil()).await?;
    let new = NewTenant {
        name: DEMO_ORGANIZATION.into(),
        owner_name: "Demo Owner".into(),
        owner_email: "owner@demo.example".into(),
    };
    let tenant = organizations::found(&mut work, &new, token).await?;
    let venues = venues::import(&mut work, tenant.organization.id, DEMO_VENUES).await?;
    let caterers = caterers::import(&mut work, tenant.organization.id, DEMO_CATERERS).await?;
    if venues.failed + caterers.failed > 0 {
        return Err(
            anyhow::anyhow!("the demo catalogue has faults: {venues:?} {caterers:?}").into(),
        );
    }
    work.commit_silently().await?;
    Ok((venues.created, caterers.created))
}

/// Organization and owner of the demo.
async fn find_demo(db: &PgPool) -> sqlx::Result<Option<(Uuid, Uuid)>> {
    let row = sqlx::query!(
        "SELECT o.id AS organization_id, m.id AS member_id
         FROM organizations o JOIN members m ON m.organization_id = o.id AND m.role = 'OWNER'
         WHERE o.name = $1 ORDER BY o.id, m.id LIMIT 1",
        DEMO_ORGANIZATION
    );
    Ok(row
        .fetch_optional(db)
        .await?
        .map(|row| (row.organization_id, row.member_id)))
}

async fn key_exists(db: &PgPool, token: &ApiKeyToken) -> sqlx::Result<bool> {
    let hash = token.hash();
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM api_keys WHERE token_hash = $1) AS "exists!""#,
        &hash[..]
    )
    .fetch_one(db)
    .await
}

/// Asks a running server whether it is ready.
pub async fn healthcheck(config: &Healthcheck) -> anyhow::Result<()> {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(3))
        .build()?;
    let answer = client.get(&config.healthcheck_url).send().await;
    let answer = answer.with_context(|| format!("no answer from {}", config.healthcheck_url))?;
    anyhow::ensure!(
        answer.status().is_success(),
        "{} answers {}",
        config.healthcheck_url,
        answer.status()
    );
    Ok(())
}

/// Operators' tasks.
pub async fn run(config: &Admin) -> anyhow::Result<String> {
    let app = app(&config.database).await?;
    let token = ApiKeyToken::generate()?;
    match &config.task {
        AdminTask::CreateOrganization {
            name,
            owner_name,
            owner_email,
        } => {
            let new = NewTenant {
                name: name.clone(),
                owner_name: owner_name.clone(),
                owner_email: owner_email.clone(),
            };
            let valid = new.validate();
            valid.map_err(|errors| told(Problem::Invalid(field_errors(&errors))))?;
            let mut work = Work::system(&app, Uuid::nil()).await.map_err(told)?;
            let tenant = organizations::found(&mut work, &new, &token)
                .await
                .map_err(told)?;
            work.commit_silently().await.map_err(told)?;
            let (organization, owner) = (tenant.organization.id, tenant.owner.id);
            Ok(format!(
                "organization: {organization}\nowner: {owner}\napi key (shown once): {}",
                token.expose()
            ))
        }
        AdminTask::CreateApiKey {
            organization_id,
            member_id,
            name,
        } => {
            add_key(&app, (*organization_id, *member_id), name, &token)
                .await
                .map_err(told)?;
            Ok(format!("api key (shown once): {}", token.expose()))
        }
        AdminTask::ReleaseDeliveries => {
            jobs::release_deliveries(&app.db).await?;
            Ok(
                "deliveries are released: the workers of this database begin within seconds"
                    .to_owned(),
            )
        }
        AdminTask::RotateIntegrationKeys { keys } => {
            let ring = keys
                .ring(false)?
                .context("set INTEGRATIONS_KEYS (or its file)")?;
            let sealed = keyring::rotate(&app.db, &ring).await?;
            Ok(format!(
                "sealed anew under the key {}: {sealed}; older keys are no longer needed",
                ring.newest()
            ))
        }
    }
}

async fn add_key(
    app: &App,
    (organization_id, member_id): (Uuid, Uuid),
    name: &str,
    token: &ApiKeyToken,
) -> Result<(), Problem> {
    let mut work = Work::system(app, organization_id).await?;
    let new = NewApiKey {
        name: name.to_owned(),
        member_id: Some(member_id),
        scopes: None,
        expires_at: None,
    };
    api_keys::create(&mut work, organization_id, member_id, &new, token).await?;
    work.commit_silently().await
}

async fn app(database: &Database) -> anyhow::Result<App> {
    let db = state::connect(&database.url()?, 4).await?;
    App::for_command(db)
}

/// A problem in the words of a command line.
fn told(problem: Problem) -> anyhow::Error {
    match problem {
        Problem::Internal(error) => error,
        Problem::Conflict(_, detail, _) => anyhow::anyhow!(detail),
        Problem::Invalid(errors) => {
            let texts = errors.iter().map(|error| {
                let pointer = error.pointer.as_deref().unwrap_or_default();
                format!("{}: {}", pointer.trim_start_matches("#/"), error.detail)
            });
            let texts: Vec<_> = texts.collect();
            anyhow::anyhow!(texts.join("; "))
        }
        other => anyhow::anyhow!("{other:?}"),
    }
}
