//! Customers and invoices.

use mcp_kit::{Call, Code, Tool, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use validator::Validate;

use crate::{
    client::{Done, Form, Stripe},
    shared::{
        Item, Kept, Reference, is_currency, no_card_number, printable, push_reference, stripe_id,
        time, total,
    },
};

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct NewCustomer {
    /// Name of the person or firm that gets the invoices.
    #[validate(length(min = 1, max = 200), custom(function = "no_card_number"))]
    name: String,
    /// Where invoices are sent.
    #[validate(email, length(max = 254))]
    email: Option<String>,
    #[serde(default)]
    #[validate(nested)]
    reference: Reference,
    /// Chosen by the caller, new for each customer that is wanted; the same again gives the same customer. Kept for 24 hours.
    #[validate(length(min = 1, max = 200), custom(function = "printable"))]
    idempotency_key: String,
    /// Only check and say what would be done.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct NewInvoice {
    /// Who gets it (`cus_…`), from `create_customer`.
    #[validate(length(max = 255), custom(function = "stripe_id"))]
    customer_id: String,
    /// What is billed, 1 to 20 items.
    #[validate(length(min = 1, max = 20), nested)]
    items: Vec<Item>,
    /// ISO 4217 code, such as USD.
    #[validate(custom(function = "is_currency"))]
    currency: String,
    /// Days until it is due, counted from when it is finalized; 14 if not given.
    #[serde(default = "fortnight")]
    #[validate(range(max = 365))]
    days_until_due: u32,
    /// A line above the items.
    #[validate(length(min = 1, max = 500), custom(function = "no_card_number"))]
    description: Option<String>,
    #[serde(default)]
    #[validate(nested)]
    reference: Reference,
    /// Chosen by the caller, new for each invoice that is wanted. After a failure call again with the same key and
    /// arguments: what is done is not done twice, what is missing is added. Kept for 24 hours.
    #[validate(length(min = 1, max = 200), custom(function = "printable"))]
    idempotency_key: String,
    /// Only check and say what would be done.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct Finalize {
    /// The draft (`in_…`).
    #[validate(length(max = 255), custom(function = "stripe_id"))]
    invoice_id: String,
    /// Also send it to the customer by e-mail.
    #[serde(default)]
    send: bool,
    /// Chosen by the caller; the same again does nothing twice. Kept for 24 hours.
    #[validate(length(min = 1, max = 200), custom(function = "printable"))]
    idempotency_key: String,
    /// Only check and say what would be done.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct Void {
    /// The open invoice (`in_…`).
    #[validate(length(max = 255), custom(function = "stripe_id"))]
    invoice_id: String,
    /// Chosen by the caller; the same again does nothing twice. Kept for 24 hours.
    #[validate(length(min = 1, max = 200), custom(function = "printable"))]
    idempotency_key: String,
    /// Only check and say what would be done.
    #[serde(default)]
    dry_run: bool,
}

/// A customer, or what one would be.
#[derive(Debug, Serialize, JsonSchema)]
struct CustomerSummary {
    /// `cus_…`; nothing in a dry run.
    customer_id: Option<String>,
    reference: Kept,
    /// This key had made it before; nothing new was made.
    replayed: bool,
    dry_run: bool,
}

/// An invoice, or what one would be.
#[derive(Debug, Serialize, JsonSchema)]
struct InvoiceSummary {
    /// `in_…`; nothing in a dry run of `create_invoice`.
    invoice_id: Option<String>,
    /// As the customer reads it, once it is finalized.
    number: Option<String>,
    /// `draft`, `open`, `paid`, `uncollectible` or `void`.
    status: String,
    /// In the currency's smallest unit.
    amount_due: i64,
    amount_paid: i64,
    currency: String,
    /// RFC 3339.
    due_at: Option<String>,
    /// Where the customer sees and pays it, once it is finalized.
    url: Option<String>,
    reference: Kept,
    /// Everything had been done before under this key.
    replayed: bool,
    dry_run: bool,
}

#[derive(Deserialize)]
struct StripeCustomer {
    id: String,
    #[serde(default)]
    metadata: Kept,
}

#[derive(Deserialize)]
struct StripeInvoice {
    id: String,
    number: Option<String>,
    status: Option<String>,
    amount_due: i64,
    amount_paid: i64,
    currency: String,
    due_date: Option<i64>,
    hosted_invoice_url: Option<String>,
    metadata: Option<Kept>,
}

#[derive(Deserialize)]
struct StripeItem {}

fn fortnight() -> u32 {
    14
}

pub(crate) fn tools(stripe: &Stripe) -> Vec<Tool> {
    let [customer, create, finalize, void] = std::array::from_fn(|_| stripe.clone());
    vec![
        Tool::new(
            "create_customer",
            "Makes a customer who can be invoiced. Give no more of a person than is needed.",
            move |call, arguments| create_customer(customer.clone(), call, arguments),
        )
        .additive()
        .idempotent(),
        Tool::new(
            "create_invoice",
            "Makes a draft of an invoice with its items. Nobody sees it before finalize_invoice.",
            move |call, arguments| create_invoice(create.clone(), call, arguments),
        )
        .additive()
        .idempotent(),
        Tool::new(
            "finalize_invoice",
            "Makes a draft a real invoice with a number and a page to pay it, and sends it if asked to. It cannot be changed afterwards, only voided.",
            move |call, arguments| finalize_invoice(finalize.clone(), call, arguments),
        )
        .idempotent(),
        Tool::new(
            "void_invoice",
            "Makes an open invoice void: it can no longer be paid. It cannot be undone.",
            move |call, arguments| void_invoice(void.clone(), call, arguments),
        )
        .idempotent(),
    ]
}

async fn create_customer(
    stripe: Stripe,
    call: Call,
    new: NewCustomer,
) -> Result<CustomerSummary, ToolError> {
    stripe.authorize(&call)?;
    let reference = new.reference.of(&call)?;
    if new.dry_run {
        return Ok(CustomerSummary {
            customer_id: None,
            reference,
            replayed: false,
            dry_run: true,
        });
    }
    let mut form = vec![("name".to_owned(), new.name)];
    form.extend(new.email.map(|email| ("email".to_owned(), email)));
    push_reference(&mut form, &reference, &["metadata"]);
    let made = stripe
        .post::<StripeCustomer>(&call, &["customers"], form, &new.idempotency_key)
        .await?;
    Ok(CustomerSummary {
        customer_id: Some(made.value.id),
        reference: made.value.metadata,
        replayed: made.replayed,
        dry_run: false,
    })
}

async fn create_invoice(
    stripe: Stripe,
    call: Call,
    new: NewInvoice,
) -> Result<InvoiceSummary, ToolError> {
    let amount = total(&new.items)?;
    stripe.authorize(&call)?;
    stripe.limits().payment(amount, &new.currency, "/items")?;
    let reference = new.reference.of(&call)?;
    if new.dry_run {
        let _: StripeCustomer = stripe
            .get(&call, &["customers", &new.customer_id], &[])
            .await?;
        return Ok(InvoiceSummary {
            invoice_id: None,
            number: None,
            status: "draft".to_owned(),
            amount_due: amount,
            amount_paid: 0,
            currency: new.currency.to_ascii_uppercase(),
            due_at: None,
            url: None,
            reference,
            replayed: false,
            dry_run: true,
        });
    }
    let currency = new.currency.to_ascii_lowercase();
    let mut form: Form = [
        ("customer", new.customer_id.clone()),
        ("currency", currency.clone()),
        ("collection_method", "send_invoice".to_owned()),
        ("days_until_due", new.days_until_due.to_string()),
        ("auto_advance", "false".to_owned()),
        ("pending_invoice_items_behavior", "exclude".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    form.extend(
        new.description
            .clone()
            .map(|text| ("description".to_owned(), text)),
    );
    push_reference(&mut form, &reference, &["metadata"]);
    let key = format!("{}:invoice", new.idempotency_key);
    let draft = stripe
        .post::<StripeInvoice>(&call, &["invoices"], form, &key)
        .await?;
    let id = &draft.value.id;
    let items = add_items(&stripe, &call, &new, id, &currency).await;
    let items_replayed = items.map_err(|error| unfinished(error, id))?;
    let invoice = stripe
        .get(&call, &["invoices", id], &[])
        .await
        .map_err(|error| unfinished(error, id))?;
    Ok(shown(invoice, draft.replayed && items_replayed, false))
}

/// Whether all of them had been there. Each has a key of its own, made from the call's.
async fn add_items(
    stripe: &Stripe,
    call: &Call,
    new: &NewInvoice,
    invoice: &str,
    currency: &str,
) -> Result<bool, ToolError> {
    let mut replayed = true;
    for (index, item) in new.items.iter().enumerate() {
        let form = [
            ("customer", new.customer_id.clone()),
            ("invoice", invoice.to_owned()),
            ("currency", currency.to_owned()),
            ("description", item.name.clone()),
            ("quantity", item.quantity.to_string()),
            ("unit_amount_decimal", item.unit_amount.to_string()),
        ];
        let form = form.map(|(name, value)| (name.to_owned(), value)).into();
        let key = format!("{}:item-{}", new.idempotency_key, index + 1);
        let added: Done<StripeItem> = stripe.post(call, &["invoiceitems"], form, &key).await?;
        replayed &= added.replayed;
    }
    Ok(replayed)
}

/// Says that a part is done, and how to go on.
fn unfinished(error: ToolError, invoice: &str) -> ToolError {
    let mut details = error.details.clone().unwrap_or_else(|| json!({}));
    details["invoice_id"] = invoice.into();
    details["unfinished"] =
        "the draft is there; call again with the same idempotency_key and arguments to complete it"
            .into();
    error.with_details(details)
}

async fn finalize_invoice(
    stripe: Stripe,
    call: Call,
    wanted: Finalize,
) -> Result<InvoiceSummary, ToolError> {
    let path = ["invoices", wanted.invoice_id.as_str()];
    let invoice: StripeInvoice = stripe.get(&call, &path, &[]).await?;
    stripe
        .limits()
        .payment(invoice.amount_due, &invoice.currency, "/invoice_id")?;
    let was_open = invoice.status.as_deref() == Some("open");
    if wanted.dry_run {
        let is_draft = invoice.status.as_deref() == Some("draft");
        if !(is_draft || was_open && wanted.send) {
            return Err(ToolError::refused("the invoice is finalized already"));
        }
        return Ok(shown(invoice, false, true));
    }
    let key = format!("{}:finalize", wanted.idempotency_key);
    let finalized = stripe
        .post(&call, &[path[0], path[1], "finalize"], Form::new(), &key)
        .await;
    let finalized = match finalized {
        // Finalized before and not sent: that is all that is left to do.
        Err(error) if was_open && wanted.send && error.code == Code::Refused => Done {
            value: invoice,
            replayed: true,
        },
        other => other?,
    };
    if !wanted.send {
        return Ok(shown(finalized.value, finalized.replayed, false));
    }
    let key = format!("{}:send", wanted.idempotency_key);
    let sent = stripe
        .post(&call, &[path[0], path[1], "send"], Form::new(), &key)
        .await?;
    Ok(shown(
        sent.value,
        finalized.replayed && sent.replayed,
        false,
    ))
}

async fn void_invoice(
    stripe: Stripe,
    call: Call,
    wanted: Void,
) -> Result<InvoiceSummary, ToolError> {
    let path = ["invoices", wanted.invoice_id.as_str()];
    if wanted.dry_run {
        let invoice: StripeInvoice = stripe.get(&call, &path, &[]).await?;
        if invoice.status.as_deref() != Some("open") {
            return Err(ToolError::refused("only open invoices can be voided"));
        }
        return Ok(shown(invoice, false, true));
    }
    let voided = stripe
        .post(
            &call,
            &[path[0], path[1], "void"],
            Form::new(),
            &wanted.idempotency_key,
        )
        .await?;
    Ok(shown(voided.value, voided.replayed, false))
}

fn shown(invoice: StripeInvoice, replayed: bool, dry_run: bool) -> InvoiceSummary {
    InvoiceSummary {
        invoice_id: Some(invoice.id),
        number: invoice.number,
        status: invoice.status.unwrap_or_default(),
        amount_due: invoice.amount_due,
        amount_paid: invoice.amount_paid,
        currency: invoice.currency.to_ascii_uppercase(),
        due_at: time(invoice.due_date),
        url: invoice.hosted_invoice_url,
        reference: invoice.metadata.unwrap_or_default(),
        replayed,
        dry_run,
    }
}
