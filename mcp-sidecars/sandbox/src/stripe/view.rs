//! What a person would see in the dashboard, for the page.

use std::collections::BTreeMap;

use askama::Template;
use serde_json::Value;

use super::{
    State,
    ledger::{Ledger, int, text},
    money, payments, sessions,
};

const SHOWN: usize = 20;

#[derive(Template)]
#[template(path = "stripe.html")]
struct View {
    balances: Vec<String>,
    open: Vec<Row>,
    payments: Vec<Row>,
    events: Vec<String>,
}

struct Row {
    what: String,
    id: String,
    url: String,
    amount: String,
    status: String,
}

impl State {
    /// What a person would see there: HTML for the page.
    pub(crate) fn view(&self) -> Result<String, askama::Error> {
        let mut view = View {
            balances: Vec::new(),
            open: Vec::new(),
            payments: Vec::new(),
            events: Vec::new(),
        };
        for (name, ledger) in &self.ledgers {
            view.balances.extend(balances(name, ledger));
            for object in [sessions::OBJECT, "payment_link", "invoice"] {
                let all = ledger.of(object).rev().filter(|value| is_open(value));
                view.open
                    .extend(all.take(SHOWN).map(|value| payable(ledger, value)));
            }
            for object in [payments::OBJECT, "refund"] {
                view.payments
                    .extend(ledger.of(object).rev().take(SHOWN).map(done));
            }
            let events = ledger.of("event").rev().take(SHOWN);
            view.events
                .extend(events.map(|event| text(event, "type").to_owned()));
        }
        view.render()
    }
}

fn balances(name: &str, ledger: &Ledger) -> Vec<String> {
    let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
    for charge in ledger.of("charge") {
        let left = int(charge, "amount_captured") - int(charge, "amount_refunded");
        *sums.entry(text(charge, "currency")).or_default() += left;
    }
    sums.iter()
        .map(|(currency, sum)| format!("{name}: {}", money::shown(*sum, currency)))
        .collect()
}

fn is_open(value: &Value) -> bool {
    value["active"] == true || matches!(text(value, "status"), "open" | "draft")
}

fn payable(ledger: &Ledger, value: &Value) -> Row {
    let id = text(value, "id").to_owned();
    let lines = ledger.lines(&id);
    let sum = |name: &str| lines.iter().map(|line| int(line, name)).sum::<i64>();
    let is_invoice = text(value, "object") == "invoice";
    let amount = if is_invoice {
        int(value, "total")
    } else {
        sum("amount_total")
    };
    let words: Vec<&str> = lines.iter().map(|line| text(line, "description")).collect();
    let url = if is_invoice {
        text(value, "hosted_invoice_url")
    } else {
        text(value, "url")
    };
    Row {
        what: format!("{}: {}", text(value, "object"), words.join(", ")),
        id,
        url: url.to_owned(),
        amount: money::shown(amount, text(value, "currency")),
        status: if value["active"] == true {
            "active".to_owned()
        } else {
            text(value, "status").to_owned()
        },
    }
}

fn done(value: &Value) -> Row {
    Row {
        what: format!("{} {}", text(value, "object"), text(value, "description")),
        id: text(value, "id").to_owned(),
        url: String::new(),
        amount: money::shown(int(value, "amount"), text(value, "currency")),
        status: text(value, "status").to_owned(),
    }
}
