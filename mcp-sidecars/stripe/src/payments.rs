//! What came in, and what is there.

use mcp_kit::{Call, Limit, NoArguments, Page, Tool, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use validator::Validate;

use crate::{
    client::Stripe,
    shared::{Kept, seconds, stripe_id, time},
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
pub(crate) struct StripeList<T> {
    pub(crate) data: Vec<T>,
    pub(crate) has_more: bool,
}

#[derive(Deserialize)]
pub(crate) struct StripePayment {
    pub(crate) id: String,
    status: String,
    amount: i64,
    amount_received: i64,
    pub(crate) currency: String,
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
    let [one, many, balance] = std::array::from_fn(|_| stripe.clone());
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

pub(crate) async fn find(
    stripe: &Stripe,
    call: &Call,
    id: &str,
) -> Result<StripePayment, ToolError> {
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

impl StripePayment {
    /// What was received and not given back.
    pub(crate) fn left(&self) -> i64 {
        let charge = self.latest_charge.as_ref();
        charge.map_or(0, |charge| charge.amount_captured - charge.amount_refunded)
    }
}
