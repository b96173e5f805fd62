//! The bookings' ledger says what the payments through Stripe came to: entries are added until it does.

use uuid::Uuid;

use super::{
    facts::Facts,
    queries::{self, Request, Share},
};
use crate::{
    bookings::{self, NewBookingPayment, PaymentKind, PaymentMethod},
    money::Money,
    problem::Problem,
    work::Work,
};

/// Brings the ledger to what is known. The caller has called `lock_availability`.
pub async fn enter(
    work: &mut Work,
    organization_id: Uuid,
    request: &Request,
    known: Facts,
    intent_id: Option<&str>,
) -> Result<(), Problem> {
    let shares = queries::shares(work, organization_id, request.id).await?;
    for (booking_id, kind, amount) in entries(request.kind, &shares, known) {
        let booking = bookings::queries::get_in(work, organization_id, booking_id).await?;
        let entry = NewBookingPayment {
            kind,
            method: PaymentMethod::Stripe,
            amount: Money::new(amount, request.amount.currency),
            reference: intent_id.unwrap_or_default().to_owned(),
            received_at: None,
        };
        bookings::enter(work, organization_id, &booking, Some(request.id), &entry).await?;
    }
    Ok(())
}

/// What is missing. Only what went back beyond what is entered is taken from the bookings, in their order, and a refund
/// that failed after all comes in once more, for the last first: what is entered for a booking stays with it when another
/// is cancelled later.
fn entries(kind: PaymentKind, shares: &[Share], known: Facts) -> Vec<(Uuid, PaymentKind, i64)> {
    let came_in = |share: &Share| if known.paid > 0 { share.amount } else { 0 };
    let first = |share: &Share| (came_in(share) - share.entered_in).max(0);
    let gone = |share: &Share| {
        let entered = share.entered_in + first(share) - share.entered_back;
        came_in(share) - entered
    };
    let mut more = known.given_back() - shares.iter().map(gone).sum::<i64>();
    let mut changes: Vec<i64> = vec![0; shares.len()];
    for (change, share) in changes.iter_mut().zip(shares) {
        *change += more.min(came_in(share) - gone(share)).max(0);
        more -= *change;
    }
    for (change, share) in changes.iter_mut().zip(shares).rev() {
        let again = (-more).min(gone(share)).max(0);
        *change -= again;
        more += again;
    }
    let mut entries = Vec::new();
    for (change, share) in changes.iter().zip(shares) {
        let mut enter = |kind, amount| {
            if amount > 0 {
                entries.push((share.booking_id, kind, amount));
            }
        };
        enter(kind, first(share));
        enter(PaymentKind::Refund, *change);
        enter(kind, -change);
    }
    entries
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn share(id: u128, amount: i64, entered_in: i64, entered_back: i64) -> Share {
        Share {
            booking_id: Uuid::from_u128(id),
            amount,
            entered_in,
            entered_back,
        }
    }

    fn missing(shares: &[Share], paid: i64, refunded: i64) -> Vec<(u128, PaymentKind, i64)> {
        let known = Facts {
            paid,
            refunded,
            ..Facts::default()
        };
        let entries = entries(PaymentKind::Deposit, shares, known);
        entries
            .into_iter()
            .map(|(id, kind, amount)| (id.as_u128(), kind, amount))
            .collect()
    }

    use PaymentKind::{Deposit, Refund};

    #[test]
    fn what_came_in_is_entered_for_each_booking_once() {
        let new = [share(1, 200, 0, 0), share(2, 0, 0, 0), share(3, 50, 0, 0)];
        assert_eq!(missing(&new, 250, 0), [(1, Deposit, 200), (3, Deposit, 50)]);
        let entered = [share(1, 200, 200, 0), share(3, 50, 50, 0)];
        assert_eq!(missing(&entered, 250, 0), []);
        assert_eq!(missing(&new, 0, 0), []);
    }

    #[test]
    fn refunds_are_taken_from_the_bookings_in_their_order() {
        let entered = [share(1, 200, 200, 0), share(3, 50, 50, 0)];
        assert_eq!(
            missing(&entered, 250, 220),
            [(1, Refund, 200), (3, Refund, 20)]
        );
        let partly = [share(1, 200, 200, 120), share(3, 50, 50, 0)];
        assert_eq!(missing(&partly, 250, 150), [(1, Refund, 30)]);
    }

    #[test]
    fn what_is_entered_for_a_booking_stays_with_it_when_another_is_cancelled() {
        // Fifty went back while both were live; then the second was cancelled, and comes first from then on.
        let shares = [share(2, 100, 100, 0), share(1, 200, 200, 50)];
        assert_eq!(missing(&shares, 300, 50), []);
        assert_eq!(missing(&shares, 300, 150), [(2, Refund, 100)]);
        assert_eq!(
            missing(&shares, 300, 170),
            [(2, Refund, 100), (1, Refund, 20)]
        );
        assert_eq!(missing(&shares, 300, 20), [(1, Deposit, 30)]);
    }

    proptest! {
        /// The second booking is cancelled, and gives back first.
        #[test]
        fn every_order_of_what_is_told_leaves_one_ledger(
            told in Just([(0, 0), (300, 0), (300, 60), (300, 150), (300, 170)]).prop_shuffle()
        ) {
            let mut shares = [share(2, 100, 0, 0), share(1, 200, 0, 0)];
            let mut known = Facts::default();
            for (paid, refunded) in told {
                known = known.join(Facts { paid, refunded, ..Facts::default() });
                for (id, kind, amount) in entries(Deposit, &shares, known) {
                    let entered = shares.iter_mut().find(|share| share.booking_id == id).unwrap();
                    match kind {
                        Refund => entered.entered_back += amount,
                        _ => entered.entered_in += amount,
                    }
                }
            }
            let [second, first] = shares.map(|share| (share.entered_in, share.entered_back));
            prop_assert_eq!((first, second), ((200, 70), (100, 100)));
        }
    }

    #[test]
    fn a_refund_that_is_heard_of_first_is_entered_with_its_payment() {
        let new = [share(1, 200, 0, 0)];
        assert_eq!(
            missing(&new, 200, 200),
            [(1, Deposit, 200), (1, Refund, 200)]
        );
    }

    #[test]
    fn a_refund_that_failed_after_all_comes_in_once_more() {
        let given_back = [share(1, 200, 200, 200)];
        assert_eq!(missing(&given_back, 200, 0), [(1, Deposit, 200)]);
        let again = [share(1, 200, 400, 200)];
        assert_eq!(missing(&again, 200, 0), []);
        assert_eq!(missing(&again, 200, 50), [(1, Refund, 50)]);
    }
}
