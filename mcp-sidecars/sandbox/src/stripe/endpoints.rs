//! Every endpoint on one screen: what it takes, which permission it needs, and what it does.

use axum::http::Method;

use super::{
    catalogue, customers, invoice_items, invoices,
    ledger::{Answer, Params, Work},
    links, list,
    params::{Field, Kind, optional},
    payments, refunds, sessions, webhooks,
};

/// What a request asks for.
pub(super) struct Endpoint<'a> {
    /// The resource of restricted keys.
    pub(super) resource: &'static str,
    pub(super) fields: &'static [Field],
    pub(super) id: &'a str,
    pub(super) run: Run,
}

pub(super) enum Run {
    /// The objects of one kind.
    List(&'static str),
    /// One object of that kind.
    Get(&'static str),
    /// The lines of an object of that kind.
    Lines(&'static str),
    Do(fn(&mut Work, &str, &Params) -> Answer),
}

const NOTHING: &[Field] = &[];
const PAGE: &[Field] = &[list::LIMIT, list::AFTER, list::BEFORE];
const EVENTS: &[Field] = &[
    list::LIMIT,
    list::AFTER,
    list::BEFORE,
    list::CREATED,
    optional("type", Kind::Text),
    optional("types", Kind::Texts),
];

/// The endpoint of a method and a path below `/v1`, if there is one.
#[rustfmt::skip]
pub(super) fn find<'a>(method: &Method, path: &[&'a str]) -> Option<Endpoint<'a>> {
    use Run::{Do, Get, Lines, List};
    let (resource, fields, id, run) = match (method.as_str(), path) {
        ("GET", ["balance"]) => ("balance", NOTHING, "", Do(refunds::balance)),
        ("GET", ["events"]) => ("event", EVENTS, "", List("event")),
        ("GET", ["events", id]) => ("event", NOTHING, *id, Get("event")),

        ("POST", ["customers"]) => ("customer", customers::FIELDS, "", Do(customers::create)),
        ("GET", ["customers"]) => ("customer", customers::LIST, "", List("customer")),
        ("GET", ["customers", id]) => ("customer", NOTHING, *id, Get("customer")),
        ("POST", ["customers", id]) => ("customer", customers::FIELDS, *id, Do(customers::change)),
        ("DELETE", ["customers", id]) => ("customer", NOTHING, *id, Do(customers::delete)),

        ("POST", ["products"]) => ("product", catalogue::NEW_PRODUCT, "", Do(catalogue::create_product)),
        ("GET", ["products"]) => ("product", catalogue::PRODUCTS, "", List("product")),
        ("GET", ["products", id]) => ("product", NOTHING, *id, Get("product")),
        ("POST", ["products", id]) => ("product", catalogue::PRODUCT, *id, Do(catalogue::change_product)),
        ("POST", ["prices"]) => ("price", catalogue::NEW_PRICE, "", Do(catalogue::create_price)),
        ("GET", ["prices"]) => ("price", catalogue::PRICES, "", List("price")),
        ("GET", ["prices", id]) => ("price", NOTHING, *id, Get("price")),
        ("POST", ["prices", id]) => ("price", catalogue::PRICE, *id, Do(catalogue::change_price)),

        ("POST", ["payment_links"]) => ("payment_link", links::NEW, "", Do(links::create)),
        ("GET", ["payment_links"]) => ("payment_link", links::LIST, "", List("payment_link")),
        ("GET", ["payment_links", id]) => ("payment_link", NOTHING, *id, Get("payment_link")),
        ("POST", ["payment_links", id]) => ("payment_link", links::CHANGE, *id, Do(links::change)),
        ("GET", ["payment_links", id, "line_items"]) => ("payment_link", PAGE, *id, Lines("payment_link")),

        ("POST", ["checkout", "sessions"]) => ("checkout_session", sessions::NEW, "", Do(sessions::create)),
        ("GET", ["checkout", "sessions"]) => ("checkout_session", sessions::LIST, "", List(sessions::OBJECT)),
        ("GET", ["checkout", "sessions", id]) => ("checkout_session", NOTHING, *id, Get(sessions::OBJECT)),
        ("POST", ["checkout", "sessions", id]) => ("checkout_session", sessions::CHANGE, *id, Do(sessions::change)),
        ("POST", ["checkout", "sessions", id, "expire"]) => ("checkout_session", NOTHING, *id, Do(sessions::expire)),
        ("GET", ["checkout", "sessions", id, "line_items"]) => ("checkout_session", PAGE, *id, Lines(sessions::OBJECT)),

        ("POST", ["payment_intents"]) => ("payment_intent", payments::NEW, "", Do(payments::create)),
        ("GET", ["payment_intents"]) => ("payment_intent", payments::LIST, "", List(payments::OBJECT)),
        ("GET", ["payment_intents", id]) => ("payment_intent", NOTHING, *id, Get(payments::OBJECT)),
        ("POST", ["payment_intents", id]) => ("payment_intent", payments::CHANGE, *id, Do(payments::change)),
        ("POST", ["payment_intents", id, "confirm"]) => ("payment_intent", payments::CONFIRM, *id, Do(payments::confirm)),
        ("POST", ["payment_intents", id, "capture"]) => ("payment_intent", payments::CAPTURE, *id, Do(payments::capture)),
        ("POST", ["payment_intents", id, "cancel"]) => ("payment_intent", payments::CANCEL, *id, Do(payments::cancel)),
        ("GET", ["charges"]) => ("charge", payments::CHARGES, "", List("charge")),
        ("GET", ["charges", id]) => ("charge", NOTHING, *id, Get("charge")),

        ("POST", ["refunds"]) => ("charge", refunds::NEW, "", Do(refunds::create)),
        ("GET", ["refunds"]) => ("charge", refunds::LIST, "", List("refund")),
        ("GET", ["refunds", id]) => ("charge", NOTHING, *id, Get("refund")),
        ("POST", ["refunds", id]) => ("charge", refunds::CHANGE, *id, Do(refunds::change)),

        ("POST", ["invoices"]) => ("invoice", invoices::NEW, "", Do(invoices::create)),
        ("GET", ["invoices"]) => ("invoice", invoices::LIST, "", List("invoice")),
        ("GET", ["invoices", id]) => ("invoice", NOTHING, *id, Get("invoice")),
        ("POST", ["invoices", id]) => ("invoice", invoices::CHANGE, *id, Do(invoices::change)),
        ("GET", ["invoices", id, "lines"]) => ("invoice", PAGE, *id, Lines("invoice")),
        ("POST", ["invoices", id, "finalize"]) => ("invoice", invoices::FINALIZE, *id, Do(invoices::finalize)),
        ("POST", ["invoices", id, "send"]) => ("invoice", NOTHING, *id, Do(invoices::send)),
        ("POST", ["invoices", id, "pay"]) => ("invoice", invoices::PAY, *id, Do(invoices::pay)),
        ("POST", ["invoices", id, "void"]) => ("invoice", NOTHING, *id, Do(invoices::void)),
        ("POST", ["invoiceitems"]) => ("invoice", invoice_items::NEW, "", Do(invoice_items::create)),
        ("GET", ["invoiceitems"]) => ("invoice", invoice_items::LIST, "", List("invoiceitem")),
        ("GET", ["invoiceitems", id]) => ("invoice", NOTHING, *id, Get("invoiceitem")),
        ("GET", ["invoice_payments"]) => ("invoice", invoices::PAYMENTS, "", List("invoice_payment")),
        ("GET", ["invoice_payments", id]) => ("invoice", NOTHING, *id, Get("invoice_payment")),

        ("POST", ["webhook_endpoints"]) => ("webhook", webhooks::NEW, "", Do(webhooks::create)),
        ("GET", ["webhook_endpoints"]) => ("webhook", webhooks::LIST, "", List(webhooks::OBJECT)),
        ("GET", ["webhook_endpoints", id]) => ("webhook", NOTHING, *id, Get(webhooks::OBJECT)),
        ("POST", ["webhook_endpoints", id]) => ("webhook", webhooks::CHANGE, *id, Do(webhooks::change)),
        ("DELETE", ["webhook_endpoints", id]) => ("webhook", NOTHING, *id, Do(webhooks::delete)),
        _ => return None,
    };
    Some(Endpoint {
        resource,
        fields,
        id,
        run,
    })
}
