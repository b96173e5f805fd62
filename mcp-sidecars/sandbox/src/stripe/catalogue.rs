//! Products, prices, and the lines that sessions and links make of them.

use serde_json::{Value, json};

use super::{
    error::ApiError,
    ledger::{Answer, Params, Work, given, given_int, int, metadata, or_null, text, update},
    list::{AFTER, BEFORE, CREATED, LIMIT},
    money,
    params::{Field, Kind, QUANTITY, optional, required},
};

const AMOUNT: Kind = Kind::Int(0, i64::MAX);
const PRODUCT_DATA: &[Field] = &[
    required("name", Kind::Text),
    optional("description", Kind::Text),
    optional("metadata", Kind::Metadata),
];
const PRICE_DATA: &[Field] = &[
    required("currency", Kind::Currency),
    optional("product", Kind::Text),
    optional("product_data", Kind::Map(PRODUCT_DATA)),
    required("unit_amount", AMOUNT),
];
/// A line of a session or a link.
pub(super) const LINE: &[Field] = &[
    optional("price", Kind::Text),
    optional("price_data", Kind::Map(PRICE_DATA)),
    optional("quantity", QUANTITY),
];
pub(super) const NEW_PRODUCT: &[Field] = &[
    required("name", Kind::Text),
    optional("active", Kind::Bool),
    optional("description", Kind::Text),
    optional("metadata", Kind::Metadata),
];
pub(super) const PRODUCT: &[Field] = &[
    optional("name", Kind::Text),
    optional("active", Kind::Bool),
    optional("description", Kind::Unsettable),
    optional("metadata", Kind::Metadata),
];
pub(super) const PRODUCTS: &[Field] = &[
    LIMIT,
    AFTER,
    BEFORE,
    CREATED,
    optional("active", Kind::Bool),
    optional("ids", Kind::Texts),
];
pub(super) const NEW_PRICE: &[Field] = &[
    required("currency", Kind::Currency),
    required("unit_amount", AMOUNT),
    optional("product", Kind::Text),
    optional("product_data", Kind::Map(PRODUCT_DATA)),
    optional("active", Kind::Bool),
    optional("nickname", Kind::Text),
    optional("metadata", Kind::Metadata),
];
pub(super) const PRICE: &[Field] = &[
    optional("active", Kind::Bool),
    optional("nickname", Kind::Text),
    optional("metadata", Kind::Metadata),
];
pub(super) const PRICES: &[Field] = &[
    LIMIT,
    AFTER,
    BEFORE,
    CREATED,
    optional("active", Kind::Bool),
    optional("currency", Kind::Currency),
    optional("product", Kind::Text),
];

#[expect(clippy::unnecessary_wraps, reason = "the shape of every endpoint")]
pub(super) fn create_product(work: &mut Work, _: &str, params: &Params) -> Answer {
    let product = json!({
        "id": work.id("prod_"),
        "object": "product",
        "active": params.get("active").and_then(Value::as_bool).unwrap_or(true),
        "created": work.now(),
        "default_price": null,
        "description": or_null(params, "description"),
        "images": [],
        "livemode": work.livemode(),
        "marketing_features": [],
        "metadata": metadata(params),
        "name": or_null(params, "name"),
        "package_dimensions": null,
        "shippable": null,
        "statement_descriptor": null,
        "tax_code": null,
        "type": "service",
        "unit_label": null,
        "updated": work.now(),
        "url": null,
    });
    work.put(&product);
    work.emit("product.created", &product);
    Ok(product)
}

pub(super) fn change_product(work: &mut Work, id: &str, params: &Params) -> Answer {
    let mut product = work.find("product", id)?;
    let before = update(&mut product, params);
    product["updated"] = work.now().into();
    work.put(&product);
    work.emit_change("product.updated", &product, Some(before));
    Ok(product)
}

pub(super) fn create_price(work: &mut Work, _: &str, params: &Params) -> Answer {
    price(work, params, "", true)
}

pub(super) fn change_price(work: &mut Work, id: &str, params: &Params) -> Answer {
    let mut price = work.find("price", id)?;
    let before = update(&mut price, params);
    work.put(&price);
    work.emit_change("price.updated", &price, Some(before));
    Ok(price)
}

/// A new price of a product that is there or made with it. `path` is where the parameters stand.
fn price(work: &mut Work, params: &Params, path: &str, is_lasting: bool) -> Answer {
    let at = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}[{name}]")
        }
    };
    let product = match (given(params, "product"), params.get("product_data")) {
        (Some(id), None) => work.named("product", id, &at("product"))?,
        (None, Some(Value::Object(data))) => create_product(work, "", data)?,
        _ => {
            let message = "Give either product or product_data.";
            return Err(ApiError::invalid(message)
                .code("parameter_missing")
                .param(&at("product")));
        }
    };
    let amount = given_int(params, "unit_amount").unwrap_or_default();
    let price = json!({
        "id": work.id("price_"),
        "object": "price",
        "active": is_lasting && params.get("active").and_then(Value::as_bool).unwrap_or(true),
        "billing_scheme": "per_unit",
        "created": work.now(),
        "currency": or_null(params, "currency"),
        "custom_unit_amount": null,
        "livemode": work.livemode(),
        "lookup_key": null,
        "metadata": metadata(params),
        "nickname": or_null(params, "nickname"),
        "product": product["id"],
        "recurring": null,
        "tax_behavior": "unspecified",
        "tiers_mode": null,
        "transform_quantity": null,
        "type": "one_time",
        "unit_amount": amount,
        "unit_amount_decimal": amount.to_string(),
    });
    work.put(&price);
    work.emit("price.created", &price);
    Ok(price)
}

/// What somebody pays for.
pub(super) struct Lines {
    pub(super) items: Vec<Value>,
    pub(super) currency: String,
    pub(super) total: i64,
}

/// The lines of `line_items`: one currency, and a sum that can be charged.
pub(super) fn lines(work: &mut Work, params: &Params) -> Result<Lines, ApiError> {
    let given_items = params.get("line_items").and_then(Value::as_array);
    let mut lines = Lines {
        items: Vec::new(),
        currency: String::new(),
        total: 0,
    };
    for (index, item) in given_items.into_iter().flatten().enumerate() {
        let path = format!("line_items[{index}]");
        let item = item
            .as_object()
            .ok_or_else(|| ApiError::invalid("Invalid object").param(&path))?;
        let line = line(work, item, &path)?;
        let currency = text(&line, "currency");
        if !lines.currency.is_empty() && lines.currency != currency {
            let message = "All line items must have the same currency.";
            return Err(ApiError::invalid(message).param(&path));
        }
        currency.clone_into(&mut lines.currency);
        lines.total = lines.total.saturating_add(int(&line, "amount_total"));
        lines.items.push(line);
    }
    if lines.items.is_empty() {
        let error = ApiError::invalid("Missing required param: line_items.");
        return Err(error.code("parameter_missing").param("line_items"));
    }
    money::chargeable(lines.total, &lines.currency, "line_items")?;
    Ok(lines)
}

fn line(work: &mut Work, item: &Params, path: &str) -> Answer {
    let price = match (given(item, "price"), item.get("price_data")) {
        (Some(id), None) => work.named("price", id, &format!("{path}[price]"))?,
        (None, Some(Value::Object(data))) => {
            price(work, data, &format!("{path}[price_data]"), false)?
        }
        _ => {
            let message = "Give either price or price_data for each line item.";
            return Err(ApiError::invalid(message).param(path));
        }
    };
    if given(item, "price").is_some() && price["active"] != true {
        let error = ApiError::invalid("The price is inactive and cannot be sold.");
        return Err(error.param(&format!("{path}[price]")));
    }
    let quantity = given_int(item, "quantity").ok_or_else(|| {
        let param = format!("{path}[quantity]");
        ApiError::invalid(format!("Missing required param: {param}."))
            .code("parameter_missing")
            .param(&param)
    })?;
    let product = work.named("product", text(&price, "product"), "product")?;
    let amount = int(&price, "unit_amount").saturating_mul(quantity);
    Ok(json!({
        "id": work.id("li_"),
        "object": "item",
        "adjustable_quantity": null,
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": price["currency"],
        "description": product["name"],
        "metadata": {},
        "price": price,
        "quantity": quantity,
    }))
}
