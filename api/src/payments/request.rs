//! Asking for a payment: how much for which bookings, never more than is due.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    NewPayment, Payment, amounts,
    queries::{self, Due, NewRequest},
};
use crate::{
    bookings::{self, BookingStatus},
    events,
    money::{Currency, Money},
    problem::{Problem, kinds},
    work::Work,
};

/// Stripe counts these in other units than ISO 4217 does (<https://docs.stripe.com/currencies>, "Supported currencies":
/// zero-decimal and special cases).
const OTHER_UNITS: [&str; 3] = ["ISK", "MGA", "UGX"];

/// Puts a payment into a change; `key` is the action's that asked for it. All writers of bookings and payments queue, so
/// what is found due here stays due.
pub async fn create(
    work: &mut Work,
    organization_id: Uuid,
    event_id: Uuid,
    new: &NewPayment,
    key: Option<&str>,
) -> Result<Payment, Problem> {
    bookings::lock_availability(work, organization_id).await?;
    events::queries::lock(work, organization_id, event_id).await?;
    let dues = queries::dues(work, organization_id, event_id).await?;
    let dues = chosen(dues, new.booking_ids.as_deref())?;
    let currency = one_currency(&dues)?;
    expect_our_units(currency)?;
    let rate = queries::default_deposit_rate(work, organization_id).await?;
    let shares = shares(new, &dues, currency, rate)?;
    let amount = Money::new(shares.iter().sum(), currency);
    let most = work.settings().payments.max_amount;
    if amount.amount > most {
        let detail = format!(
            "one payment asks for at most {}; give an amount, and ask for the rest in another",
            Money::new(most, currency)
        );
        return Err(Problem::field("/amount", "range", detail));
    }
    let now = work.now;
    let request = NewRequest {
        id: work.new_id(),
        event_id,
        kind: new.kind,
        amount,
        expires_at: closes_at(work)?,
        idempotency_key: key,
        bookings: dues.iter().map(|due| due.booking_id).collect(),
        shares,
    };
    queries::insert(work, organization_id, &request, now).await?;
    bookings::keep_until(work, organization_id, &request.bookings, request.expires_at).await?;
    let payment = queries::get_in(work, organization_id, request.id).await?;
    record(work, "payment.created", &payment).await?;
    Ok(payment)
}

/// When a page that is made now closes.
pub fn closes_at(work: &Work) -> Result<Timestamp, Problem> {
    let ttl = work.settings().payments.checkout_ttl;
    Ok(work.now.checked_add(ttl).map_err(anyhow::Error::from)?)
}

/// Writes down what became of a payment.
pub async fn record(work: &mut Work, action: &str, after: &Payment) -> Result<(), Problem> {
    work.audit(action, ("payment", after.id), None::<&()>, Some(after))
        .await
}

/// The bookings that are named, or all that are not cancelled.
fn chosen(dues: Vec<Due>, ids: Option<&[Uuid]>) -> Result<Vec<Due>, Problem> {
    let is_live = |due: &Due| due.status != BookingStatus::Cancelled;
    let Some(ids) = ids else {
        let live: Vec<_> = dues.into_iter().filter(is_live).collect();
        if live.is_empty() {
            let detail = "the event has no bookings that could be paid for";
            return Err(Problem::conflict(&kinds::INVALID_TRANSITION, detail));
        }
        return Ok(live);
    };
    let mut chosen: Vec<Due> = Vec::with_capacity(ids.len());
    for (index, id) in ids.iter().enumerate() {
        let pointer = format!("/booking_ids/{index}");
        if chosen.iter().any(|due| due.booking_id == *id) {
            return Err(Problem::field(&pointer, "repeated", "is named twice"));
        }
        let due = dues.iter().find(|due| due.booking_id == *id);
        let due = due
            .ok_or_else(|| Problem::field(&pointer, "unknown", "the event has no such booking"))?;
        if !is_live(due) {
            return Err(Problem::field(&pointer, "cancelled", "is cancelled"));
        }
        chosen.push(due.clone());
    }
    Ok(chosen)
}

fn one_currency(dues: &[Due]) -> Result<Currency, Problem> {
    let first = dues.first().map_or("", |due| &due.currency);
    if dues.iter().any(|due| due.currency != first) {
        let detail = "the bookings are in several currencies: name those of one";
        return Err(Problem::field("/booking_ids", "one_currency", detail));
    }
    Ok(first.parse().map_err(anyhow::Error::msg)?)
}

/// An amount of ours must not mean another at Stripe.
fn expect_our_units(currency: Currency) -> Result<(), Problem> {
    if !OTHER_UNITS.contains(&currency.as_str()) {
        return Ok(());
    }
    let detail = format!(
        "Stripe counts {currency} in other units than we do: record the payment by hand at \
         POST /v1/bookings/{{booking_id}}/payments"
    );
    Err(Problem::conflict(&kinds::INVALID_TRANSITION, detail))
}

/// What is asked for each of the bookings.
fn shares(
    new: &NewPayment,
    dues: &[Due],
    currency: Currency,
    default_rate_bps: i32,
) -> Result<Vec<i64>, Problem> {
    let Some(amount) = new.amount else {
        let asked = amounts::asked(new.kind, dues, default_rate_bps);
        if asked.iter().all(|amount| *amount == 0) {
            let detail = "nothing is due: it is paid, or asked for already";
            return Err(Problem::conflict(&kinds::INVALID_TRANSITION, detail));
        }
        return Ok(asked);
    };
    if amount.currency != currency {
        let detail = format!("must be {currency}, as the bookings");
        return Err(Problem::field("/amount/currency", "currency", detail));
    }
    let left = amounts::left(dues);
    let most = left.iter().sum();
    if !(1..=most).contains(&amount.amount) {
        let detail = format!(
            "must be at least 1, and at most what is due and not asked for: {}",
            Money::new(most, currency)
        );
        return Err(Problem::field("/amount/amount", "range", detail));
    }
    Ok(amounts::split(amount.amount, &left))
}
