//! What is known of a payment. Facts that events tell only grow, and joining them is commutative, associative and idempotent:
//! whatever order events come in and however often, the same is known at the end, and the status follows from that alone.
//! `refunded` alone is lowered, and only by asking Stripe: a refund may fail after all.

use super::PaymentStatus;

/// Amounts are in the payment's currency, in minor units.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and joins by or"
)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// The payer has done their part, and the bank takes its time.
    pub is_processing: bool,
    /// A bank that took its time said no.
    pub has_failed: bool,
    /// The checkout page was closed by time.
    pub has_expired: bool,
    /// The checkout page was closed by us.
    pub is_cancelled: bool,
    pub paid: i64,
    pub refunded: i64,
    pub dispute: Option<Dispute>,
    pub disputed: i64,
}

/// How far a dispute with the payer's bank has come; later ones win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "UPPERCASE")]
pub enum Dispute {
    Open,
    Won,
    Lost,
}

impl Facts {
    /// What is known with both.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self {
            is_processing: self.is_processing || other.is_processing,
            has_failed: self.has_failed || other.has_failed,
            has_expired: self.has_expired || other.has_expired,
            is_cancelled: self.is_cancelled || other.is_cancelled,
            paid: self.paid.max(other.paid),
            refunded: self.refunded.max(other.refunded),
            dispute: self.dispute.max(other.dispute),
            disputed: self.disputed.max(other.disputed),
        }
    }

    pub fn status(self) -> PaymentStatus {
        if self.paid > 0 {
            return match self.dispute {
                Some(Dispute::Open | Dispute::Lost) => PaymentStatus::Disputed,
                _ if self.refunded >= self.paid => PaymentStatus::Refunded,
                _ if self.refunded > 0 => PaymentStatus::PartiallyRefunded,
                _ => PaymentStatus::Succeeded,
            };
        }
        if self.is_cancelled {
            PaymentStatus::Cancelled
        } else if self.has_failed {
            PaymentStatus::Failed
        } else if self.has_expired {
            PaymentStatus::Expired
        } else if self.is_processing {
            PaymentStatus::Processing
        } else {
            PaymentStatus::Pending
        }
    }

    /// What the payer has back: refunds, and what their bank took.
    pub fn given_back(self) -> i64 {
        let taken = if self.dispute == Some(Dispute::Lost) {
            self.disputed
        } else {
            0
        };
        (self.refunded + taken).min(self.paid)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn facts() -> impl Strategy<Value = Facts> {
        let flags = any::<(bool, bool, bool, bool)>();
        let dispute = proptest::option::of(prop_oneof![
            Just(Dispute::Open),
            Just(Dispute::Won),
            Just(Dispute::Lost)
        ]);
        (flags, 0..3_i64, 0..3_i64, dispute, 0..3_i64).prop_map(
            |(
                (is_processing, has_failed, has_expired, is_cancelled),
                paid,
                refunded,
                dispute,
                disputed,
            )| Facts {
                is_processing,
                has_failed,
                has_expired,
                is_cancelled,
                paid: paid * 100,
                refunded: refunded * 50,
                dispute,
                disputed: disputed * 50,
            },
        )
    }

    proptest! {
        #[test]
        fn every_order_with_any_repetition_ends_in_one_state(
            told in proptest::collection::vec(facts(), 1..6).prop_flat_map(|told| {
                let again = proptest::sample::subsequence(told.clone(), 0..=told.len());
                (Just(told), again)
            }).prop_flat_map(|(told, again)| {
                let all: Vec<_> = told.iter().chain(&again).copied().collect();
                (Just(told), Just(all).prop_shuffle())
            })
        ) {
            let (once, shuffled) = told;
            let end = |told: &[Facts]| told.iter().fold(Facts::default(), |known, fact| known.join(*fact));
            prop_assert_eq!(end(&once), end(&shuffled));
            prop_assert_eq!(end(&once).status(), end(&shuffled).status());
        }

        #[test]
        fn money_that_came_in_is_never_forgotten(before in facts(), after in facts()) {
            let known = before.join(after);
            let is_paid = !matches!(known.status(), PaymentStatus::Pending | PaymentStatus::Processing
                | PaymentStatus::Failed | PaymentStatus::Cancelled | PaymentStatus::Expired);
            prop_assert_eq!(is_paid, before.paid > 0 || after.paid > 0);
            prop_assert!(known.given_back() <= known.paid);
        }
    }
}
