use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::ValidationError;

/// The fee in basis points of the total that means "all of it".
const WHOLE: i32 = 10_000;

/// One step of the cancellation terms: what it costs to cancel at least so many days before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"days_before": 30, "fee_bps": 0}))]
pub struct CancellationTerm {
    /// Whole days before the start.
    #[schema(minimum = 0, maximum = 3650)]
    pub days_before: i32,
    /// Share of the total in basis points: 5000 is half.
    #[schema(minimum = 0, maximum = 10_000)]
    pub fee_bps: i32,
}

/// The fee in basis points of the total for cancelling `days_left` whole days before the start.
/// Later than the last step costs everything; without any steps cancelling is free.
pub fn fee_bps(terms: &[CancellationTerm], days_left: i32) -> i32 {
    if terms.is_empty() {
        return 0;
    }
    let reached = terms.iter().find(|term| days_left >= term.days_before);
    reached.map_or(WHOLE, |term| term.fee_bps)
}

/// Validates terms: most days first, each day once, and never cheaper when cancelled later.
pub fn cancellation_terms(terms: &[CancellationTerm]) -> Result<(), ValidationError> {
    let possible = |term: &CancellationTerm| {
        (0..=3650).contains(&term.days_before) && (0..=WHOLE).contains(&term.fee_bps)
    };
    if !terms.iter().all(possible) {
        return Err(super::error(
            "range",
            "days_before must be 0 to 3650 and fee_bps 0 to 10000",
        ));
    }
    let in_order = |pair: &[CancellationTerm]| {
        pair[0].days_before > pair[1].days_before && pair[0].fee_bps <= pair[1].fee_bps
    };
    if !terms.windows(2).all(in_order) {
        return Err(super::error(
            "order",
            "days_before must fall and fee_bps must not fall from step to step",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(steps: &[(i32, i32)]) -> Vec<CancellationTerm> {
        steps
            .iter()
            .map(|&(days_before, fee_bps)| CancellationTerm {
                days_before,
                fee_bps,
            })
            .collect()
    }

    #[test]
    fn the_fee_is_that_of_the_first_step_reached() {
        let terms = terms(&[(30, 0), (14, 5_000), (3, 8_000)]);
        let fees = [31, 30, 29, 14, 13, 3, 2, -1].map(|days| fee_bps(&terms, days));
        assert_eq!(fees, [0, 0, 5_000, 5_000, 8_000, 8_000, 10_000, 10_000]);
    }

    #[test]
    fn without_terms_cancelling_is_free() {
        assert_eq!(fee_bps(&[], 0), 0);
    }

    #[test]
    fn steps_are_in_order() {
        assert!(cancellation_terms(&terms(&[(30, 0), (14, 5_000)])).is_ok());
        assert!(cancellation_terms(&terms(&[(14, 0), (14, 5_000)])).is_err());
        assert!(cancellation_terms(&terms(&[(14, 0), (30, 5_000)])).is_err());
        assert!(cancellation_terms(&terms(&[(30, 5_000), (14, 0)])).is_err());
        assert!(cancellation_terms(&terms(&[(30, 10_001)])).is_err());
    }
}
