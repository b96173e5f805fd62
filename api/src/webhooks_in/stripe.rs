//! `POST /webhooks/stripe`: events of Stripe, at least once and in any order.

use axum::{
    Extension,
    extract::{Request, State},
    http::StatusCode,
};

use super::{Received, count, received, signature};
use crate::{
    access::Arrival,
    extract::bytes_of,
    payments::StripeEvent,
    problem::{Problem, kinds},
    state::App,
};

/// Takes an event in. Which of the checks failed is nobody's business.
pub async fn receive(
    State(app): State<App>,
    Extension(arrival): Extension<Arrival>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let secrets = &app.settings.payments.webhook_secrets;
    if secrets.is_empty() {
        let detail = "this server takes no events of Stripe: set STRIPE_WEBHOOK_SECRET";
        return Err(Problem::Unavailable(detail.into()));
    }
    let header = request.headers().get("stripe-signature").cloned();
    let body = bytes_of(request, &app)
        .await
        .inspect_err(|_| count(&app, "stripe", "refused"))?;
    let header = header.as_ref().and_then(|value| value.to_str().ok());
    let is_signed = signature::holds(header.unwrap_or_default(), &body, secrets, app.now());
    let event = is_signed.then(|| StripeEvent::read(&body)).flatten();
    let Some(event) = event else {
        count(&app, "stripe", "refused");
        let detail = "the event is not signed as it should be";
        return Err(Problem::Malformed(
            &kinds::MALFORMED_REQUEST,
            detail.into(),
            Vec::new(),
        ));
    };
    let payload = serde_json::to_value(&event).map_err(anyhow::Error::from)?;
    let event = Received {
        provider: "stripe",
        external_id: &event.id,
        organization_id: event.organization_id(),
        payload: &payload,
        job: event.is_ours().then_some("payments.stripe_event"),
        request_id: &arrival.request_id,
    };
    received(&app, &event).await?;
    Ok(StatusCode::OK)
}
