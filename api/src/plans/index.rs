//! Offers arranged so that the best ones for a venue are found without looking at most of them.
//!
//! A balanced binary tree, split by place and reach as long as those differ and by cost below.
//! Each node knows, of everything under it, the best key, the lowest cost, all dates, the box of
//! the places and the longest reach, so that whole branches are passed over when they are too dear,
//! too far away, never free or not good enough. The answers are exact: nothing that fits is missed.

use super::place::Place;

/// Offers in a leaf. Measured: fewer make the tree larger, more make it see more of them.
const LEAF: usize = 8;
/// Nodes less wide than this (1 km, in radii of the Earth) are split by cost.
const NARROW: f64 = 1.6e-4;

/// Something on offer at a place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer {
    /// Index into the list that the offers come from.
    pub(super) number: u32,
    pub(super) place: Place,
    /// How far it delivers, as a squared line (see [`Place::line_squared`]).
    pub(super) reach: f64,
    /// Minor units.
    pub(super) cost: i64,
    /// Dates on which it is free, as bits.
    pub(super) dates: u128,
    /// Larger is better.
    pub(super) key: i128,
}

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) place: Place,
    /// How far away an offer may be even if it does not reach as far itself.
    pub(super) reach: f64,
    /// The most it may cost.
    pub(super) cost: i64,
    /// It must be free on one of these dates.
    pub(super) dates: u128,
}

#[derive(Debug, Default)]
pub(super) struct Index {
    offers: Vec<Offer>,
    nodes: Vec<Node>,
}

/// What is known of `offers[from..until]`. The left child follows its parent directly.
#[derive(Debug)]
struct Node {
    key: i128,
    dates: u128,
    low: [f64; 3],
    high: [f64; 3],
    reach: f64,
    least_reach: f64,
    cost: i64,
    from: u32,
    until: u32,
    /// Index of the right child; 0 in a leaf.
    right: u32,
}

impl Index {
    pub(super) fn new(offers: Vec<Offer>) -> Self {
        let capacity = offers.len() / LEAF * 3 + 1;
        let mut index = Self {
            offers,
            nodes: Vec::with_capacity(capacity),
        };
        if !index.offers.is_empty() {
            index.grow(0, index.offers.len());
        }
        index
    }

    /// The best key of all offers.
    pub(super) fn best_key(&self) -> Option<i128> {
        self.nodes.first().map(|root| root.key)
    }

    /// Calls `found` with offers that fit, better ones early, but only with those whose key is above
    /// the floor; `found` answers the floor from then on.
    pub(super) fn visit(
        &self,
        wanted: &Wanted,
        floor: i128,
        found: &mut impl FnMut(&Offer) -> i128,
    ) {
        if self.nodes.is_empty() || !self.nodes[0].may_hold(wanted, floor) {
            return;
        }
        self.descend(0, wanted, floor, found);
    }

    /// Any offer that fits.
    pub(super) fn first(&self, wanted: &Wanted) -> Option<Offer> {
        let mut first = None;
        self.visit(wanted, i128::MIN, &mut |offer| {
            first = Some(*offer);
            i128::MAX
        });
        first
    }

    fn descend(
        &self,
        number: usize,
        wanted: &Wanted,
        mut floor: i128,
        found: &mut impl FnMut(&Offer) -> i128,
    ) -> i128 {
        let node = &self.nodes[number];
        if node.right == 0 {
            for offer in &self.offers[node.from as usize..node.until as usize] {
                if offer.key > floor && offer.fits(wanted) {
                    floor = found(offer);
                }
            }
            return floor;
        }
        let mut children = [number + 1, node.right as usize];
        if self.nodes[children[1]].key > self.nodes[children[0]].key {
            children.swap(0, 1);
        }
        for child in children {
            if self.nodes[child].may_hold(wanted, floor) {
                floor = self.descend(child, wanted, floor, found);
            }
        }
        floor
    }

    fn grow(&mut self, from: usize, until: usize) -> usize {
        let number = self.nodes.len();
        let node = Node::of(&self.offers[from..until], from, until);
        let spread = node.widest();
        self.nodes.push(node);
        if until - from <= LEAF {
            return number;
        }
        let middle = from.midpoint(until);
        let offers = &mut self.offers[from..until];
        match spread {
            Some(axis) => offers.select_nth_unstable_by(middle - from, |a, b| {
                a.coordinate(axis).total_cmp(&b.coordinate(axis))
            }),
            None => offers.select_nth_unstable_by_key(middle - from, |offer| offer.cost),
        };
        self.grow(from, middle);
        let right = self.grow(middle, until);
        self.nodes[number].right = narrow(right);
        number
    }
}

impl Offer {
    fn fits(&self, wanted: &Wanted) -> bool {
        self.cost <= wanted.cost
            && self.dates & wanted.dates != 0
            && self.place.line_squared(wanted.place) <= self.reach.max(wanted.reach)
    }

    /// Three axes of place, and how far it reaches as the fourth.
    fn coordinate(&self, axis: usize) -> f64 {
        self.place
            .0
            .get(axis)
            .copied()
            .unwrap_or_else(|| self.reach.sqrt())
    }
}

impl Node {
    fn of(offers: &[Offer], from: usize, until: usize) -> Self {
        let mut node = Self {
            key: i128::MIN,
            dates: 0,
            low: [f64::INFINITY; 3],
            high: [f64::NEG_INFINITY; 3],
            reach: 0.0,
            least_reach: f64::INFINITY,
            cost: i64::MAX,
            from: narrow(from),
            until: narrow(until),
            right: 0,
        };
        for offer in offers {
            node.key = node.key.max(offer.key);
            node.dates |= offer.dates;
            node.reach = node.reach.max(offer.reach);
            node.least_reach = node.least_reach.min(offer.reach);
            node.cost = node.cost.min(offer.cost);
            for axis in 0..3 {
                node.low[axis] = node.low[axis].min(offer.place.0[axis]);
                node.high[axis] = node.high[axis].max(offer.place.0[axis]);
            }
        }
        node
    }

    /// False only when nothing under this node fits and beats the floor. The squared distance to
    /// the box is never more than that to a place in it: rounding keeps the order.
    fn may_hold(&self, wanted: &Wanted, floor: i128) -> bool {
        if self.key <= floor || self.cost > wanted.cost || self.dates & wanted.dates == 0 {
            return false;
        }
        let [x, y, z] = [0, 1, 2].map(|axis| {
            let place = wanted.place.0[axis];
            (self.low[axis] - place)
                .max(place - self.high[axis])
                .max(0.0)
        });
        x * x + y * y + z * z <= self.reach.max(wanted.reach)
    }

    /// The coordinate in which the offers differ most; `None` when they are all about the same.
    fn widest(&self) -> Option<usize> {
        let place = |axis: usize| self.high[axis] - self.low[axis];
        let reach = self.reach.sqrt() - self.least_reach.sqrt();
        let widths = [place(0), place(1), place(2), reach];
        let widest = (0..4).max_by(|a, b| widths[*a].total_cmp(&widths[*b]))?;
        (widths[widest] > NARROW).then_some(widest)
    }
}

/// Indexes fit: a catalogue has far fewer than 2³² entries.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
