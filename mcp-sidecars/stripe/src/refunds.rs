//! What goes back.

use mcp_kit::{Call, Limit, Page, Tool, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use validator::Validate;

use crate::{
    client::Stripe,
    payments::{StripeList, StripePayment, find},
    shared::{Kept, Reference, printable, push_reference, stripe_id, time},
};

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct ListRefunds {
    /// Only those of this payment (`pi_…`).
    #[validate(length(max = 255), custom(function = "stripe_id"))]
    payment_id: Option<String>,
    /// How many at most.
    #[serde(default)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[validate(length(max = 255), custom(function = "stripe_id"))]
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct NewRefund {
    /// The payment to give back (`pi_…`).
    #[validate(length(max = 255), custom(function = "stripe_id"))]
    payment_id: String,
    /// How much, in the smallest unit of the payment's currency; all that is left without it.
    #[validate(range(min = 1, max = 99_999_999))]
    #[schemars(range(min = 1, max = 99_999_999))]
    amount: Option<i64>,
    /// Why, for Stripe's records.
    reason: Option<Reason>,
    #[serde(default)]
    #[validate(nested)]
    reference: Reference,
    /// Chosen by the caller, new for each refund that is wanted; the same again refunds nothing more. Kept for 24 hours.
    #[validate(length(min = 1, max = 200), custom(function = "printable"))]
    idempotency_key: String,
    /// Only check and say what would be done.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Reason {
    Duplicate,
    Fraudulent,
    RequestedByCustomer,
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Fraudulent => "fraudulent",
            Self::RequestedByCustomer => "requested_by_customer",
        }
    }
}

/// One refund, or what one would be.
#[derive(Debug, Serialize, JsonSchema)]
struct RefundSummary {
    /// `re_…`; nothing in a dry run.
    refund_id: Option<String>,
    payment_id: Option<String>,
    /// `pending`, `requires_action`, `succeeded`, `failed` or `canceled`; nothing in a dry run.
    status: Option<String>,
    /// In the currency's smallest unit.
    amount: i64,
    currency: String,
    reason: Option<String>,
    /// RFC 3339.
    created_at: Option<String>,
    reference: Kept,
    /// This key had made it before; nothing more was given back.
    replayed: bool,
    dry_run: bool,
}

#[derive(Deserialize)]
struct StripeRefund {
    id: String,
    payment_intent: Option<String>,
    status: Option<String>,
    amount: i64,
    currency: String,
    reason: Option<String>,
    created: i64,
    metadata: Option<Kept>,
}

pub(crate) fn tools(stripe: &Stripe) -> Vec<Tool> {
    let (refund, refunds) = (stripe.clone(), stripe.clone());
    vec![
        Tool::new(
            "refund_payment",
            "Gives a payment back, whole or in part, to where it came from. It cannot be undone.",
            move |call, arguments| refund_payment(refund.clone(), call, arguments),
        )
        .idempotent(),
        Tool::new(
            "list_refunds",
            "Refunds, newest first, in pages; all, or those of one payment.",
            move |call, arguments| list_refunds(refunds.clone(), call, arguments),
        )
        .read_only(),
    ]
}

async fn refund_payment(
    stripe: Stripe,
    call: Call,
    new: NewRefund,
) -> Result<RefundSummary, ToolError> {
    let payment = find(&stripe, &call, &new.payment_id).await?;
    let left = payment.left();
    // What is left can only shrink, so the limit holds for what Stripe will give back.
    stripe
        .limits()
        .refund(new.amount.unwrap_or(left), &payment.currency, "/amount")?;
    let reference = new.reference.of(&call)?;
    if new.dry_run {
        return rehearse(payment, left, &new, reference);
    }
    // No amount is made up here: the same call again must be the same request, or Stripe would not know it again.
    let mut form = vec![("payment_intent".to_owned(), new.payment_id)];
    form.extend(
        new.amount
            .map(|amount| ("amount".to_owned(), amount.to_string())),
    );
    form.extend(
        new.reason
            .map(|reason| ("reason".to_owned(), reason.as_str().to_owned())),
    );
    push_reference(&mut form, &reference, &["metadata"]);
    let made = stripe
        .post(&call, &["refunds"], form, &new.idempotency_key)
        .await?;
    Ok(refund_shown(made.value, made.replayed))
}

fn rehearse(
    payment: StripePayment,
    left: i64,
    new: &NewRefund,
    reference: Kept,
) -> Result<RefundSummary, ToolError> {
    if left == 0 {
        return Err(ToolError::refused(
            "nothing of this payment is left to give back",
        ));
    }
    let amount = new.amount.unwrap_or(left);
    if amount > left {
        return Err(ToolError::field(
            "/amount",
            "too_large",
            &format!("only {left} is left to give back"),
        ));
    }
    Ok(RefundSummary {
        refund_id: None,
        payment_id: Some(payment.id),
        status: None,
        amount,
        currency: payment.currency.to_ascii_uppercase(),
        reason: new.reason.map(|reason| reason.as_str().to_owned()),
        created_at: None,
        reference,
        replayed: false,
        dry_run: true,
    })
}

async fn list_refunds(
    stripe: Stripe,
    call: Call,
    wanted: ListRefunds,
) -> Result<Page<RefundSummary>, ToolError> {
    let mut query = vec![("limit", wanted.limit.get().to_string())];
    let texts = [
        ("payment_intent", wanted.payment_id),
        ("starting_after", wanted.cursor),
    ];
    query.extend(
        texts
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let list: StripeList<StripeRefund> = stripe.get(&call, &["refunds"], &query).await?;
    let next_cursor = list
        .data
        .last()
        .filter(|_| list.has_more)
        .map(|last| last.id.clone());
    let items = list
        .data
        .into_iter()
        .map(|refund| refund_shown(refund, false))
        .collect();
    Ok(Page { items, next_cursor })
}

fn refund_shown(refund: StripeRefund, replayed: bool) -> RefundSummary {
    RefundSummary {
        refund_id: Some(refund.id),
        payment_id: refund.payment_intent,
        status: refund.status,
        amount: refund.amount,
        currency: refund.currency.to_ascii_uppercase(),
        reason: refund.reason,
        created_at: time(Some(refund.created)),
        reference: refund.metadata.unwrap_or_default(),
        replayed,
        dry_run: false,
    }
}
