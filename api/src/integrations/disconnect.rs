//! Accounts that go: nobody can use them from that moment, and the provider takes the tokens back as soon as it answers.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Integration, Provider, oauth::Denial, queries};
use crate::{
    jobs::{Done, Failure, Job, NewJob},
    keyring::{Place, Sealed},
    problem::Problem,
    state::App,
    work::Work,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// Whose tokens are to be taken back.
#[derive(Serialize, Deserialize)]
struct Revocation {
    provider: Provider,
    integration_id: Uuid,
    account_id: String,
}

/// Takes an account away in this change, and leaves the rest to a job.
pub(super) async fn retire(work: &mut Work, account: &Integration) -> Result<(), Problem> {
    let (organization_id, now) = (work.organization_id(), work.now);
    queries::retire(work, organization_id, account.id, now).await?;
    let revocation = Revocation {
        provider: account.provider,
        integration_id: account.id,
        account_id: account.account_id.clone(),
    };
    let job = NewJob::new("integrations.revoke", &revocation)?;
    work.enqueue(job.lane(account.provider.upstream())).await?;
    let subject = ("integration", account.id);
    work.audit(
        "integration.disconnected",
        subject,
        Some(account),
        None::<&()>,
    )
    .await
}

/// The job: tells the provider to take the tokens back, and forgets them.
pub async fn revoke(app: App, job: Job) -> Result<Done, Failure> {
    let Revocation {
        provider,
        integration_id,
        account_id,
    } = job.read()?;
    let organization_id = job.organization_id;
    let retired = queries::retired(&app.db, organization_id, integration_id).await?;
    let Some(retired) = retired else {
        return Ok(Done::Finished);
    };
    let (oauth, ring) = (app.integrations.oauth(provider)?, app.integrations.ring()?);
    let open = |column, sealed: &Sealed| {
        let place = Place {
            organization_id,
            row_id: integration_id,
            column,
        };
        let opened = ring.open(place, &retired.key_id, sealed);
        opened.map_err(|error| Failure::Fatal(format!("{error:#}")))
    };
    let access_token: SecretString = open("access_token", &retired.access_token)?;
    let refresh_token = retired.refresh_token.as_ref();
    let refresh_token = refresh_token
        .map(|sealed| open("refresh_token", sealed))
        .transpose()?;
    let deadline = Instant::now() + PATIENCE;
    let current = queries::get(&app.db, organization_id, provider).await?;
    // Connected again meanwhile: providers take all tokens of an account back, or have given the same one once more.
    let is_back = current.is_some_and(|current| current.account_id == account_id);
    let revoked = async {
        if is_back {
            return Ok(());
        }
        oauth
            .revoke(&access_token, refresh_token.as_ref(), deadline)
            .await
    };
    revoked.await.map_err(|denial| match denial {
        Denial::Away(error) => Failure::Away {
            error: error.message.to_string(),
            after: error.retry_after_seconds().map(Duration::from_secs),
        },
        Denial::Grant(word) | Denial::Client(word) | Denial::Other(word) => {
            Failure::Fatal(format!("{provider} does not take our client: {word}"))
        }
    })?;
    let mut work = Work::system(&app, organization_id).await?;
    queries::forget_retired(&mut work, organization_id, integration_id).await?;
    let done = job.settle(&mut work).await?;
    work.commit_silently().await?;
    Ok(done)
}
