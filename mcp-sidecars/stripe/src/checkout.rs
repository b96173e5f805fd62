//! Payment links and checkout sessions: Stripe's own pages, where people pay.

use mcp_kit::{Call, Tool, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use validator::Validate;

use crate::{
    client::{Form, Stripe},
    shared::{
        Item, Kept, Reference, is_currency, printable, push_items, push_reference, return_url,
        seconds, stripe_id, time, total,
    },
};

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct NewLink {
    /// What is paid for, 1 to 20 items.
    #[validate(length(min = 1, max = 20), nested)]
    items: Vec<Item>,
    /// ISO 4217 code, such as USD.
    #[validate(custom(function = "is_currency"))]
    currency: String,
    /// After so many payments the link is closed; never without it.
    #[validate(range(min = 1, max = 100_000))]
    max_payments: Option<u32>,
    /// Where people go after paying (https); a page of Stripe's without it.
    #[validate(length(max = 2000), custom(function = "return_url"))]
    success_url: Option<String>,
    #[serde(default)]
    #[validate(nested)]
    reference: Reference,
    /// Chosen by the caller, new for each link that is wanted; the same again gives the same link. Kept for 24 hours.
    #[validate(length(min = 1, max = 200), custom(function = "printable"))]
    idempotency_key: String,
    /// Only check and say what would be done.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct NewSession {
    /// What is paid for, 1 to 20 items.
    #[validate(length(min = 1, max = 20), nested)]
    items: Vec<Item>,
    /// ISO 4217 code, such as USD.
    #[validate(custom(function = "is_currency"))]
    currency: String,
    /// Where the payer goes after paying (https); `{CHECKOUT_SESSION_ID}` in it is replaced.
    #[validate(length(max = 2000), custom(function = "return_url"))]
    success_url: String,
    /// Where the payer goes who changes their mind (https).
    #[validate(length(max = 2000), custom(function = "return_url"))]
    cancel_url: Option<String>,
    /// The customer who pays (`cus_…`), from `create_customer`.
    #[validate(length(max = 255), custom(function = "stripe_id"))]
    customer_id: Option<String>,
    /// Until when it can be paid (RFC 3339): 30 minutes to 24 hours from now; 24 hours without it.
    expires_at: Option<String>,
    #[serde(default)]
    #[validate(nested)]
    reference: Reference,
    /// Chosen by the caller, new for each session that is wanted; the same again gives the same session. Kept for 24 hours.
    #[validate(length(min = 1, max = 200), custom(function = "printable"))]
    idempotency_key: String,
    /// Only check and say what would be done.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct SessionId {
    /// The session's id (`cs_…`).
    #[validate(length(max = 255), custom(function = "stripe_id"))]
    session_id: String,
}

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct ExpireSession {
    /// The session's id (`cs_…`).
    #[validate(length(max = 255), custom(function = "stripe_id"))]
    session_id: String,
    /// Chosen by the caller, new for each session that is closed; the same again changes nothing more. Kept for 24 hours.
    #[validate(length(min = 1, max = 200), custom(function = "printable"))]
    idempotency_key: String,
    /// Only check and say what would be done.
    #[serde(default)]
    dry_run: bool,
}

/// A payment link, or what one would be.
#[derive(Debug, Serialize, JsonSchema)]
struct PaymentLink {
    /// `plink_…`; nothing in a dry run.
    link_id: Option<String>,
    /// Where people pay: give it to them.
    url: Option<String>,
    /// What one payment comes to, in the currency's smallest unit.
    amount: i64,
    currency: String,
    reference: Kept,
    /// This key had made it before; nothing new was made.
    replayed: bool,
    dry_run: bool,
}

/// A checkout session, or what one would be.
#[derive(Debug, Serialize, JsonSchema)]
struct CheckoutSession {
    /// `cs_…`; nothing in a dry run.
    session_id: Option<String>,
    /// Where the payer pays; nothing once it is over.
    url: Option<String>,
    /// `open`, `complete` or `expired`.
    status: Option<String>,
    /// `unpaid`, `paid` or `no_payment_required`.
    payment_status: Option<String>,
    /// The payment (`pi_…`), once somebody tried.
    payment_id: Option<String>,
    /// In the currency's smallest unit.
    amount: i64,
    currency: String,
    /// RFC 3339.
    expires_at: Option<String>,
    reference: Kept,
    /// This key had made it before; nothing new was made.
    replayed: bool,
    dry_run: bool,
}

#[derive(Deserialize)]
struct StripeLink {
    id: String,
    url: String,
    #[serde(default)]
    metadata: Kept,
}

#[derive(Deserialize)]
struct StripeSession {
    id: String,
    url: Option<String>,
    status: Option<String>,
    payment_status: String,
    payment_intent: Option<String>,
    amount_total: Option<i64>,
    currency: Option<String>,
    expires_at: i64,
    #[serde(default)]
    metadata: Kept,
}

pub(crate) fn tools(stripe: &Stripe) -> Vec<Tool> {
    let [link, session, reader, closer] = std::array::from_fn(|_| stripe.clone());
    vec![
        Tool::new(
            "create_payment_link",
            "Makes a link under which anybody pays the given items, once or often. For one known payer take create_checkout_session.",
            move |call, arguments| create_link(link.clone(), call, arguments),
        )
        .additive()
        .idempotent(),
        Tool::new(
            "create_checkout_session",
            "Makes a page on which one payer pays the given items within a day, and comes back to your address.",
            move |call, arguments| create_session(session.clone(), call, arguments),
        )
        .additive()
        .idempotent(),
        Tool::new(
            "get_checkout_session",
            "Whether a checkout session was paid, and which payment it led to.",
            move |call, arguments| get_session(reader.clone(), call, arguments),
        )
        .read_only(),
        Tool::new(
            "expire_checkout_session",
            "Closes a checkout session: it can no longer be paid. One that is paid or closed already stays as it is, and is shown.",
            move |call, arguments| expire_session(closer.clone(), call, arguments),
        )
        .idempotent(),
    ]
}

async fn create_link(stripe: Stripe, call: Call, new: NewLink) -> Result<PaymentLink, ToolError> {
    let amount = total(&new.items)?;
    stripe.authorize(&call)?;
    stripe.limits().payment(amount, &new.currency, "/items")?;
    let currency = new.currency.to_ascii_uppercase();
    let reference = new.reference.of(&call)?;
    if new.dry_run {
        return Ok(PaymentLink {
            link_id: None,
            url: None,
            amount,
            currency,
            reference,
            replayed: false,
            dry_run: true,
        });
    }
    let mut form = Form::new();
    push_items(&mut form, &new.items, &currency);
    push_reference(
        &mut form,
        &reference,
        &["metadata", "payment_intent_data[metadata]"],
    );
    if let Some(most) = new.max_payments {
        form.push((
            "restrictions[completed_sessions][limit]".to_owned(),
            most.to_string(),
        ));
    }
    if let Some(url) = new.success_url {
        form.push(("after_completion[type]".to_owned(), "redirect".to_owned()));
        form.push(("after_completion[redirect][url]".to_owned(), url));
    }
    let made = stripe
        .post::<StripeLink>(&call, &["payment_links"], form, &new.idempotency_key)
        .await?;
    Ok(PaymentLink {
        link_id: Some(made.value.id),
        url: Some(made.value.url),
        amount,
        currency,
        reference: made.value.metadata,
        replayed: made.replayed,
        dry_run: false,
    })
}

async fn create_session(
    stripe: Stripe,
    call: Call,
    new: NewSession,
) -> Result<CheckoutSession, ToolError> {
    let amount = total(&new.items)?;
    stripe.authorize(&call)?;
    stripe.limits().payment(amount, &new.currency, "/items")?;
    let currency = new.currency.to_ascii_uppercase();
    let reference = new.reference.of(&call)?;
    let expires_at = new
        .expires_at
        .as_deref()
        .map(|at| seconds(at, "/expires_at"))
        .transpose()?;
    if new.dry_run {
        return Ok(CheckoutSession {
            session_id: None,
            url: None,
            status: None,
            payment_status: None,
            payment_id: None,
            amount,
            currency,
            expires_at: time(expires_at),
            reference,
            replayed: false,
            dry_run: true,
        });
    }
    let mut form = vec![
        ("mode".to_owned(), "payment".to_owned()),
        ("success_url".to_owned(), new.success_url),
    ];
    push_items(&mut form, &new.items, &currency);
    push_reference(
        &mut form,
        &reference,
        &["metadata", "payment_intent_data[metadata]"],
    );
    let optional = [
        ("cancel_url", new.cancel_url),
        ("customer", new.customer_id),
        ("expires_at", expires_at.map(|at| at.to_string())),
    ];
    form.extend(
        optional
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?))),
    );
    let made = stripe
        .post(&call, &["checkout", "sessions"], form, &new.idempotency_key)
        .await?;
    Ok(shown(made.value, made.replayed))
}

async fn get_session(
    stripe: Stripe,
    call: Call,
    wanted: SessionId,
) -> Result<CheckoutSession, ToolError> {
    let found = stripe
        .get(&call, &["checkout", "sessions", &wanted.session_id], &[])
        .await?;
    Ok(shown(found, false))
}

async fn expire_session(
    stripe: Stripe,
    call: Call,
    closed: ExpireSession,
) -> Result<CheckoutSession, ToolError> {
    let path = ["checkout", "sessions", &closed.session_id];
    let found: StripeSession = stripe.get(&call, &path, &[]).await?;
    let is_open = found.status.as_deref() == Some("open");
    if closed.dry_run || !is_open {
        let dry_run = closed.dry_run;
        return Ok(CheckoutSession {
            dry_run,
            ..shown(found, false)
        });
    }
    let [first, second, id] = path;
    let key = &closed.idempotency_key;
    let made = stripe
        .post(&call, &[first, second, id, "expire"], Form::new(), key)
        .await;
    let refused = match made {
        Ok(made) => return Ok(shown(made.value, made.replayed)),
        Err(refused) => refused,
    };
    // Perhaps somebody paid in between.
    let found: StripeSession = stripe.get(&call, &path, &[]).await?;
    if found.status.as_deref() == Some("open") {
        return Err(refused);
    }
    Ok(shown(found, false))
}

fn shown(session: StripeSession, replayed: bool) -> CheckoutSession {
    CheckoutSession {
        session_id: Some(session.id),
        url: session.url,
        status: session.status,
        payment_status: Some(session.payment_status),
        payment_id: session.payment_intent,
        amount: session.amount_total.unwrap_or_default(),
        currency: session.currency.unwrap_or_default().to_ascii_uppercase(),
        expires_at: time(Some(session.expires_at)),
        reference: session.metadata,
        replayed,
        dry_run: false,
    }
}
