//! What a venue and a catering cost: exact integers, rounded half up line by line.

use super::{
    option::{LineCode, PriceLine, Side, people},
    snapshot::{CatererEntry, InHouseCatering, VenueEntry},
};
use crate::money::{Currency, Money, divide_half_up, share};

/// The lines of a venue for an event of so many minutes, each rounded half up to the minor unit;
/// those of nothing are left out.
pub fn venue_lines(venue: &VenueEntry, minutes: i32, needs_event_room: bool) -> Vec<PriceLine> {
    let price = VenuePrice::new(venue, minutes, needs_event_room);
    let line =
        |code, description, amount| line(Side::Venue, venue.currency, code, description, amount);
    let rate = Money::new(venue.hourly_rate, venue.currency);
    let hours = format!("{} at {rate} an hour", duration(minutes));
    without_zeros(vec![
        line(
            LineCode::VenueHire,
            "Hire of the venue".to_owned(),
            price.hire,
        ),
        PriceLine {
            quantity: Some(i64::from(minutes)),
            unit_price: Some(rate),
            ..line(LineCode::VenueHours, hours, price.hours)
        },
        line(
            LineCode::EventRoom,
            "Event room".to_owned(),
            price.event_room,
        ),
        PriceLine {
            rate_bps: Some(venue.tax_rate_bps),
            ..line(
                LineCode::VenueTax,
                format!("Tax of {}", percent(venue.tax_rate_bps)),
                price.tax,
            )
        },
    ])
}

/// The lines of a booking for an event that lasts so many minutes instead: its own rates, so that only the hours of the
/// venue and the tax on them change.
pub fn for_minutes(lines: &[PriceLine], minutes: i32) -> Vec<PriceLine> {
    let mut lines = lines.to_vec();
    for line in &mut lines {
        if let (LineCode::VenueHours, Some(rate)) = (line.code, line.unit_price) {
            let amount = divide_half_up(i128::from(rate.amount) * i128::from(minutes), 60);
            line.quantity = Some(i64::from(minutes));
            line.description = format!("{} at {rate} an hour", duration(minutes));
            line.amount.amount = amount;
        }
    }
    let taxed = [
        LineCode::VenueHire,
        LineCode::VenueHours,
        LineCode::EventRoom,
    ];
    let sum = lines.iter().filter(|line| taxed.contains(&line.code));
    let sum = sum.map(|line| line.amount.amount).sum();
    for line in &mut lines {
        if let (LineCode::VenueTax, Some(rate)) = (line.code, line.rate_bps) {
            line.amount.amount = share(sum, rate);
        }
    }
    lines
}

/// The lines of a caterer, each rounded half up to the minor unit; those of nothing are left out.
pub fn caterer_lines(caterer: &CatererEntry, guests: i32) -> Vec<PriceLine> {
    let price = CateringPrice::of_caterer(caterer, guests);
    let unit_price = Money::new(caterer.price_per_guest, caterer.currency);
    let mut lines = catering_lines(
        &price,
        guests,
        unit_price,
        caterer.service_fee_bps,
        caterer.tax_rate_bps,
    );
    for line in lines
        .iter_mut()
        .filter(|line| line.code == LineCode::MinimumOrder)
    {
        let minimum = Money::new(caterer.minimum_order, caterer.currency);
        line.description = format!("Up to the minimum order of {minimum}");
    }
    lines
}

/// The lines of a venue's own catering; those of nothing are left out.
pub fn in_house_lines(
    venue: &VenueEntry,
    in_house: &InHouseCatering,
    guests: i32,
) -> Vec<PriceLine> {
    let price = CateringPrice::of_venue(venue, in_house, guests);
    let unit_price = Money::new(in_house.price_per_guest, venue.currency);
    catering_lines(
        &price,
        guests,
        unit_price,
        in_house.service_fee_bps,
        venue.tax_rate_bps,
    )
}

/// The lines of a venue, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct VenuePrice {
    pub(super) hire: i64,
    /// The hourly rate × minutes ÷ 60, rounded half up.
    pub(super) hours: i64,
    pub(super) event_room: i64,
    /// On the sum of the above, rounded half up.
    pub(super) tax: i64,
}

impl VenuePrice {
    pub(super) fn new(venue: &VenueEntry, minutes: i32, needs_event_room: bool) -> Self {
        let hours = divide_half_up(i128::from(venue.hourly_rate) * i128::from(minutes), 60);
        let event_room = if needs_event_room {
            venue.event_room_fee
        } else {
            0
        };
        let tax = share(venue.hire_fee + hours + event_room, venue.tax_rate_bps);
        Self {
            hire: venue.hire_fee,
            hours,
            event_room,
            tax,
        }
    }

    pub(super) fn total(&self) -> i64 {
        self.hire + self.hours + self.event_room + self.tax
    }
}

/// The lines of a catering, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct CateringPrice {
    pub(super) food: i64,
    /// From `food` up to the caterer's minimum order.
    pub(super) top_up: i64,
    pub(super) delivery: i64,
    /// A share of `food` and `top_up`, rounded half up.
    pub(super) service_fee: i64,
    /// On the sum of the above, rounded half up.
    pub(super) tax: i64,
}

impl CateringPrice {
    pub(super) fn of_caterer(caterer: &CatererEntry, guests: i32) -> Self {
        let food = caterer.price_per_guest * i64::from(guests);
        let top_up = (caterer.minimum_order - food).max(0);
        let service_fee = share(food + top_up, caterer.service_fee_bps);
        let untaxed = food + top_up + caterer.delivery_fee + service_fee;
        let tax = share(untaxed, caterer.tax_rate_bps);
        Self {
            food,
            top_up,
            delivery: caterer.delivery_fee,
            service_fee,
            tax,
        }
    }

    pub(super) fn of_venue(venue: &VenueEntry, in_house: &InHouseCatering, guests: i32) -> Self {
        let food = in_house.price_per_guest * i64::from(guests);
        let service_fee = share(food, in_house.service_fee_bps);
        let tax = share(food + service_fee, venue.tax_rate_bps);
        Self {
            food,
            top_up: 0,
            delivery: 0,
            service_fee,
            tax,
        }
    }

    pub(super) fn total(&self) -> i64 {
        self.food + self.top_up + self.delivery + self.service_fee + self.tax
    }
}

/// `total ÷ guests`, rounded up, so that a budget per head is never understated.
pub(super) fn per_guest(total: i64, guests: i32) -> i64 {
    let guests = i64::from(guests.max(1));
    total / guests + i64::from(total % guests > 0)
}

fn catering_lines(
    price: &CateringPrice,
    guests: i32,
    unit_price: Money,
    service_fee_bps: i32,
    tax_rate_bps: i32,
) -> Vec<PriceLine> {
    let line = |code, description, amount| {
        line(
            Side::Catering,
            unit_price.currency,
            code,
            description,
            amount,
        )
    };
    let service_fee = format!("Service fee of {}", percent(service_fee_bps));
    let tax = format!("Tax of {}", percent(tax_rate_bps));
    without_zeros(vec![
        PriceLine {
            quantity: Some(i64::from(guests)),
            unit_price: Some(unit_price),
            ..line(
                LineCode::Food,
                format!("Food for {}", people(guests)),
                price.food,
            )
        },
        line(LineCode::MinimumOrder, String::new(), price.top_up),
        line(LineCode::Delivery, "Delivery".to_owned(), price.delivery),
        PriceLine {
            rate_bps: Some(service_fee_bps),
            ..line(LineCode::ServiceFee, service_fee, price.service_fee)
        },
        PriceLine {
            rate_bps: Some(tax_rate_bps),
            ..line(LineCode::CateringTax, tax, price.tax)
        },
    ])
}

fn line(
    side: Side,
    currency: Currency,
    code: LineCode,
    description: String,
    amount: i64,
) -> PriceLine {
    PriceLine {
        code,
        side,
        description,
        quantity: None,
        unit_price: None,
        rate_bps: None,
        amount: Money::new(amount, currency),
    }
}

fn without_zeros(mut lines: Vec<PriceLine>) -> Vec<PriceLine> {
    lines.retain(|line| line.amount.amount != 0);
    lines
}

/// `4 hours`, `2 hours 30 minutes`, `45 minutes`.
fn duration(minutes: i32) -> String {
    let unit = |number: i32, name: &str| match number {
        0 => String::new(),
        1 => format!("1 {name}"),
        _ => format!("{number} {name}s"),
    };
    format!(
        "{} {}",
        unit(minutes / 60, "hour"),
        unit(minutes % 60, "minute")
    )
    .trim()
    .to_owned()
}

/// Basis points for people: `8.5 %`, `20 %`.
fn percent(basis_points: i32) -> String {
    let (whole, rest) = (basis_points / 100, basis_points % 100);
    match (rest, rest % 10) {
        (0, _) => format!("{whole} %"),
        (_, 0) => format!("{whole}.{} %", rest / 10),
        _ => format!("{whole}.{rest:02} %"),
    }
}
