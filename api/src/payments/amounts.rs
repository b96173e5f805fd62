//! How much is asked for, and which part of it for which booking.

use super::{NewPaymentKind, queries::Due};
use crate::money::{divide_half_up, share};

/// What a payment of this kind asks for, for each booking: of a deposit what the bookings ask for (or the default share
/// of each, where none asks for one), of a balance everything; less what was paid or is being paid.
pub fn asked(kind: NewPaymentKind, dues: &[Due], default_rate_bps: i32) -> Vec<i64> {
    let none_asks = dues.iter().all(|due| due.deposit == 0);
    let whole = |due: &Due| match kind {
        NewPaymentKind::Balance => due.total,
        NewPaymentKind::Deposit if none_asks => share(due.total, default_rate_bps),
        NewPaymentKind::Deposit => due.deposit,
    };
    let left = |due: &Due| (whole(due) - due.paid - due.under_way).max(0);
    dues.iter().map(left).collect()
}

/// What is left to pay of each booking.
pub fn left(dues: &[Due]) -> Vec<i64> {
    asked(NewPaymentKind::Balance, dues, 0)
}

/// Splits `amount` in proportion to `weights`, to the last minor unit; none gets more than its weight while `amount` is
/// not more than all of them.
pub fn split(amount: i64, weights: &[i64]) -> Vec<i64> {
    let total: i64 = weights.iter().sum();
    if total == 0 {
        return vec![0; weights.len()];
    }
    let (mut sum, mut given) = (0, 0);
    let mut parts = Vec::with_capacity(weights.len());
    for weight in weights {
        sum += weight;
        let upto = divide_half_up(i128::from(amount) * i128::from(sum), i128::from(total));
        parts.push(upto - given);
        given = upto;
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::bookings::BookingStatus;

    fn due(total: i64, deposit: i64, paid: i64, under_way: i64) -> Due {
        Due {
            booking_id: Uuid::nil(),
            status: BookingStatus::Held,
            currency: "EUR".into(),
            total,
            deposit,
            paid,
            under_way,
        }
    }

    #[test]
    fn a_deposit_is_what_the_bookings_ask_for_and_nobody_has_paid() {
        let dues = [
            due(1_000, 200, 0, 0),
            due(500, 0, 0, 0),
            due(800, 400, 100, 250),
        ];
        assert_eq!(asked(NewPaymentKind::Deposit, &dues, 2_000), [200, 0, 50]);
        assert_eq!(
            asked(NewPaymentKind::Balance, &dues, 2_000),
            [1_000, 500, 450]
        );
    }

    #[test]
    fn where_nobody_asks_for_a_deposit_the_organization_does() {
        let dues = [due(1_000, 0, 0, 0), due(505, 0, 30, 0)];
        assert_eq!(asked(NewPaymentKind::Deposit, &dues, 2_000), [200, 71]);
    }

    proptest! {
        #[test]
        fn a_split_adds_up_and_asks_nobody_for_more_than_is_due(
            weights in proptest::collection::vec(0..100_000_i64, 1..8), part in 0..=10_000_i64
        ) {
            let total: i64 = weights.iter().sum();
            let amount = total * part / 10_000;
            let parts = split(amount, &weights);
            prop_assert_eq!(parts.iter().sum::<i64>(), amount);
            for (part, weight) in parts.iter().zip(&weights) {
                prop_assert!((0..=*weight).contains(part));
            }
        }
    }
}
