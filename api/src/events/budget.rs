//! What an event may cost, what is held and committed, and what has been paid.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::queries;
use crate::{
    access::{Access, ReadEvents},
    extract::Path,
    money::{Currency, Money},
    problem::Problem,
    state::App,
    work::Answer,
};

/// The money of an event, by currency: amounts of different currencies are never added.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventBudget {
    pub event_id: Uuid,
    pub currencies: Vec<CurrencyBudget>,
}

/// The money of an event in one currency.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CurrencyBudget {
    /// The event's budget, when it is in this currency.
    pub planned: Option<Money>,
    /// Total of the bookings that are held.
    pub held: Money,
    /// Total of the bookings that are confirmed, and the fees of those cancelled.
    pub committed: Money,
    /// Deposits and balances less refunds.
    pub paid: Money,
    /// What is left of `planned` after `held` and `committed`.
    pub available: Option<Money>,
    /// By how much `held` and `committed` exceed `planned`.
    pub exceeded_by: Option<Money>,
}

/// Get the budget of an event: planned, held, committed, paid.
#[utoipa::path(get, path = "/v1/events/{event_id}/budget", tag = "events",
    params(("event_id" = Uuid, Path, description = "The event.")),
    responses((status = 200, description = "The budget, by currency.", body = EventBudget)))]
pub async fn get_event_budget(
    State(app): State<App>,
    access: Access<ReadEvents>,
    Path(id): Path<Uuid>,
) -> Result<Answer, Problem> {
    let event = queries::get(&app.db, access.organization_id(), id).await?;
    let sums = queries::sums(&app.db, access.organization_id(), id).await?;
    let mut currencies = sums
        .iter()
        .map(|sums| budget(sums, event.budget))
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(planned) = event.budget
        && currencies.iter().all(|budget| budget.planned.is_none())
    {
        currencies.push(compare(Some(planned), planned.currency, 0, 0, 0));
    }
    Answer::plain(&EventBudget {
        event_id: id,
        currencies,
    })
}

fn budget(sums: &queries::Sums, planned: Option<Money>) -> Result<CurrencyBudget, Problem> {
    let currency: Currency = sums.currency.parse().map_err(anyhow::Error::msg)?;
    let planned = planned.filter(|planned| planned.currency == currency);
    Ok(compare(
        planned,
        currency,
        sums.held,
        sums.committed,
        sums.paid,
    ))
}

fn compare(
    planned: Option<Money>,
    currency: Currency,
    held: i64,
    committed: i64,
    paid: i64,
) -> CurrencyBudget {
    let money = |amount| Money::new(amount, currency);
    let left = planned.map(|planned| planned.amount - held - committed);
    CurrencyBudget {
        planned,
        held: money(held),
        committed: money(committed),
        paid: money(paid),
        available: left.map(|left| money(left.max(0))),
        exceeded_by: left.map(|left| money((-left).max(0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_the_budget_is_said_apart() {
        let usd: Currency = "USD".parse().unwrap();
        let budget = compare(Some(Money::new(100, usd)), usd, 70, 50, 0);
        assert_eq!(budget.available, Some(Money::new(0, usd)));
        assert_eq!(budget.exceeded_by, Some(Money::new(20, usd)));
    }
}
