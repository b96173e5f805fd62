//! What came in, what went back, and what is there.

use mcp_kit::{Call, Limit, NoArguments, Page, Tool, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use validator::Validate;

use crate::{
    client::Stripe,
    shared::{Kept, Reference, printable, push_reference, seconds, stripe_id, time},
};

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct PaymentId {
    /// The payment's id (`pi_…`).
    #[validate(length(max = 255), custom(function = "stripe_id"))]
    payment_id: String,
}

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct ListPayments {
    /// Only this customer's (`cus_…`).
    #[validate(length(max = 255), custom(function = "stripe_id"))]
    customer_id: Option<String>,
    /// Only those begun at or after this time (RFC 3339).
    created_from: Option<String>,
    /// Only those begun before this time (RFC 3339).
    created_before: Option<String>,
    /// How many at most.
    #[serde(default)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[validate(length(max = 255), custom(function = "stripe_id"))]
    cursor: Option<String>,
}

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

/// One payment. No card data.
#[derive(Debug, Serialize, JsonSchema)]
struct PaymentSummary {
    /// `pi_…`.
    payment_id: String,
    /// `requires_payment_method`, `requires_confirmation`, `requires_action`, `processing`, `requires_capture`,
    /// `canceled` or `succeeded`.
    status: String,
    /// Asked for, in the currency's smallest unit.
    amount: i64,
    /// Received so far.
    amount_received: i64,
    /// Given back so far.
    amount_refunded: i64,
    currency: String,
    /// RFC 3339.
    created_at: Option<String>,
    description: Option<String>,
    customer_id: Option<String>,
    /// Why the last try failed, such as `card_declined`.
    failure_code: Option<String>,
    reference: Kept,
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

/// What is in the account, for each currency.
#[derive(Debug, Serialize, JsonSchema)]
struct Balance {
    /// Can be paid out or given back now.
    available: Vec<Funds>,
    /// On its way.
    pending: Vec<Funds>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Funds {
    /// In the currency's smallest unit; may be negative.
    amount: i64,
    currency: String,
}

#[derive(Deserialize)]
struct StripeList<T> {
    data: Vec<T>,
    has_more: bool,
}

#[derive(Deserialize)]
struct StripePayment {
    id: String,
    status: String,
    amount: i64,
    amount_received: i64,
    currency: String,
    created: i64,
    description: Option<String>,
    customer: Option<String>,
    last_payment_error: Option<StripeFailure>,
    latest_charge: Option<StripeCharge>,
    #[serde(default)]
    metadata: Kept,
}

#[derive(Deserialize)]
struct StripeFailure {
    code: Option<String>,
}

#[derive(Deserialize)]
struct StripeCharge {
    amount_captured: i64,
    amount_refunded: i64,
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

#[derive(Deserialize)]
struct StripeBalance {
    available: Vec<StripeFunds>,
    pending: Vec<StripeFunds>,
}

#[derive(Deserialize)]
struct StripeFunds {
    amount: i64,
    currency: String,
}

pub(crate) fn tools(stripe: &Stripe) -> Vec<Tool> {
    let [one, many, refund, refunds, balance] = std::array::from_fn(|_| stripe.clone());
    vec![
        Tool::new(
            "get_payment",
            "One payment: how much, whether it came in, what was given back.",
            move |call, arguments| get_payment(one.clone(), call, arguments),
        )
        .read_only(),
        Tool::new(
            "list_payments",
            "Payments, newest first, in pages.",
            move |call, arguments| list_payments(many.clone(), call, arguments),
        )
        .read_only(),
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
        Tool::new(
            "get_balance",
            "How much is in the account, for each currency.",
            move |call, arguments| get_balance(balance.clone(), call, arguments),
        )
        .read_only(),
    ]
}

async fn get_payment(
    stripe: Stripe,
    call: Call,
    wanted: PaymentId,
) -> Result<PaymentSummary, ToolError> {
    find(&stripe, &call, &wanted.payment_id).await.map(shown)
}

async fn find(stripe: &Stripe, call: &Call, id: &str) -> Result<StripePayment, ToolError> {
    let expand = [("expand[]", "latest_charge".to_owned())];
    stripe.get(call, &["payment_intents", id], &expand).await
}

async fn list_payments(
    stripe: Stripe,
    call: Call,
    wanted: ListPayments,
) -> Result<Page<PaymentSummary>, ToolError> {
    let mut query = vec![
        ("limit", wanted.limit.get().to_string()),
        ("expand[]", "data.latest_charge".to_owned()),
    ];
    let times = [
        ("created[gte]", wanted.created_from, "/created_from"),
        ("created[lt]", wanted.created_before, "/created_before"),
    ];
    for (name, time, pointer) in times {
        if let Some(time) = time {
            query.push((name, seconds(&time, pointer)?.to_string()));
        }
    }
    let texts = [
        ("customer", wanted.customer_id),
        ("starting_after", wanted.cursor),
    ];
    query.extend(
        texts
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let list: StripeList<StripePayment> = stripe.get(&call, &["payment_intents"], &query).await?;
    let next_cursor = list
        .data
        .last()
        .filter(|_| list.has_more)
        .map(|last| last.id.clone());
    Ok(Page {
        items: list.data.into_iter().map(shown).collect(),
        next_cursor,
    })
}

async fn refund_payment(
    stripe: Stripe,
    call: Call,
    new: NewRefund,
) -> Result<RefundSummary, ToolError> {
    let payment = find(&stripe, &call, &new.payment_id).await?;
    let left = payment
        .latest_charge
        .as_ref()
        .map_or(0, |charge| charge.amount_captured - charge.amount_refunded);
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

async fn get_balance(stripe: Stripe, call: Call, _: NoArguments) -> Result<Balance, ToolError> {
    let balance: StripeBalance = stripe.get(&call, &["balance"], &[]).await?;
    let funds = |funds: Vec<StripeFunds>| {
        let one = |fund: StripeFunds| Funds {
            amount: fund.amount,
            currency: fund.currency.to_ascii_uppercase(),
        };
        funds.into_iter().map(one).collect()
    };
    Ok(Balance {
        available: funds(balance.available),
        pending: funds(balance.pending),
    })
}

fn shown(payment: StripePayment) -> PaymentSummary {
    PaymentSummary {
        payment_id: payment.id,
        status: payment.status,
        amount: payment.amount,
        amount_received: payment.amount_received,
        amount_refunded: payment
            .latest_charge
            .map_or(0, |charge| charge.amount_refunded),
        currency: payment.currency.to_ascii_uppercase(),
        created_at: time(Some(payment.created)),
        description: payment.description,
        customer_id: payment.customer,
        failure_code: payment.last_payment_error.and_then(|failure| failure.code),
        reference: payment.metadata,
    }
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
