//! Lookup v2: what a number is. Numbers of North America are known by their plan, others by country code and length.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
};
use serde_json::{Value, json};

use super::{entry::Parameters, refusal::Refusal};
use crate::world::World;

/// ITU-T E.164 country codes, each with the ISO 3166 code of its main country.
const COUNTRIES: &str = "1US 7RU 20EG 27ZA 30GR 31NL 32BE 33FR 34ES 36HU 39IT 40RO 41CH 43AT 44GB 45DK 46SE 47NO 48PL \
49DE 51PE 52MX 53CU 54AR 55BR 56CL 57CO 58VE 60MY 61AU 62ID 63PH 64NZ 65SG 66TH 81JP 82KR 84VN 86CN 90TR 91IN 92PK \
93AF 94LK 95MM 98IR 211SS 212MA 213DZ 216TN 218LY 220GM 221SN 222MR 223ML 224GN 225CI 226BF 227NE 228TG 229BJ 230MU \
231LR 232SL 233GH 234NG 235TD 236CF 237CM 238CV 239ST 240GQ 241GA 242CG 243CD 244AO 245GW 248SC 249SD 250RW 251ET \
252SO 253DJ 254KE 255TZ 256UG 257BI 258MZ 260ZM 261MG 262RE 263ZW 264NA 265MW 266LS 267BW 268SZ 269KM 290SH 291ER \
297AW 298FO 299GL 350GI 351PT 352LU 353IE 354IS 355AL 356MT 357CY 358FI 359BG 370LT 371LV 372EE 373MD 374AM 375BY \
376AD 377MC 378SM 380UA 381RS 382ME 383XK 385HR 386SI 387BA 389MK 420CZ 421SK 423LI 500FK 501BZ 502GT 503SV 504HN \
505NI 506CR 507PA 508PM 509HT 590GP 591BO 592GY 593EC 594GF 595PY 596MQ 597SR 598UY 599CW 670TL 672NF 673BN 674NR \
675PG 676TO 677SB 678VU 679FJ 680PW 681WF 682CK 683NU 685WS 686KI 687NC 688TV 689PF 690TK 691FM 692MH 850KP 852HK \
853MO 855KH 856LA 880BD 886TW 960MV 961LB 962JO 963SY 964IQ 965KW 966SA 967YE 968OM 970PS 971AE 972IL 973BH 974QA \
975BT 976MN 977NP 992TJ 993TM 994AZ 995GE 996KG 998UZ";
/// The shortest number behind a country code.
const SHORTEST: usize = 4;
const LONGEST: usize = 15;

pub(super) async fn phone_number(
    State(world): State<Arc<World>>,
    Path(given): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, Refusal> {
    let query = Parameters::from(query);
    query.only(&["Fields", "CountryCode"])?;
    let fields: Vec<&str> = query
        .filled("Fields")
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|field| !field.is_empty() && *field != "validation")
        .collect();
    if let Some(unknown) = fields
        .iter()
        .find(|field| **field != "line_type_intelligence")
    {
        return Err(Refusal::bad(
            20001,
            format!("The sandbox does not know the field {unknown}"),
        ));
    }
    let digits = digits(&given, query.filled("CountryCode"))
        .ok_or_else(|| missing(&format!("/v2/PhoneNumbers/{given}")))?;
    let number = Number::read(&digits);
    let line = fields
        .first()
        .filter(|_| number.error.is_none())
        .map(|_| line_type(&digits));
    Ok(Json(json!({
        "calling_country_code": number.country.map(|(code, _)| code),
        "country_code": number.country.map(|(_, name)| name),
        "phone_number": format!("+{digits}"),
        "national_format": number.national,
        "valid": number.error.is_none(),
        "validation_errors": number.error.into_iter().collect::<Vec<_>>(),
        "line_type_intelligence": line,
        "caller_name": null, "sim_swap": null, "call_forwarding": null, "line_status": null, "identity_match": null,
        "reassigned_number": null, "sms_pumping_risk": null, "phone_number_quality_score": null, "pre_fill": null,
        "url": format!("{}/twilio/lookups/v2/PhoneNumbers/+{digits}", world.base_url),
    })))
}

/// What the plan says of a number.
struct Number {
    country: Option<(&'static str, &'static str)>,
    national: Option<String>,
    error: Option<&'static str>,
}

impl Number {
    fn read(digits: &str) -> Self {
        let country = countries().find(|(code, _)| digits.starts_with(code));
        let Some((code, _)) = country else {
            let error = Some("INVALID_COUNTRY_CODE");
            return Self {
                country,
                national: None,
                error,
            };
        };
        let rest = &digits[code.len()..];
        let (shortest, longest) = match code {
            "1" => (10, 10),
            _ => (SHORTEST, LONGEST - code.len()),
        };
        let is_assignable = code != "1"
            || [0, 3]
                .iter()
                .all(|&at| rest.as_bytes().get(at).is_some_and(|digit| *digit >= b'2'));
        let error = if rest.len() < shortest {
            Some("TOO_SHORT")
        } else if rest.len() > longest {
            Some("TOO_LONG")
        } else if !is_assignable {
            Some("INVALID_BUT_POSSIBLE")
        } else {
            None
        };
        let national = match (error, code) {
            (Some(_), _) => None,
            (None, "1") => Some(format!("({}) {}-{}", &rest[..3], &rest[3..6], &rest[6..])),
            (None, _) => Some(rest.to_owned()),
        };
        Self {
            country,
            national,
            error,
        }
    }
}

/// The digits of a number with its country code; `None` if it is no number at all.
fn digits(given: &str, country: Option<&str>) -> Option<String> {
    let plain: String = given
        .chars()
        .filter(|char| !matches!(char, ' ' | '-' | '.' | '(' | ')'))
        .collect();
    let international = plain.strip_prefix('+');
    let rest = international.unwrap_or(&plain);
    if rest.is_empty() || rest.len() > 30 || !rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if international.is_some() {
        return Some(rest.to_owned());
    }
    let wanted = country.unwrap_or("US");
    let (code, _) = countries().find(|(_, name)| name.eq_ignore_ascii_case(wanted))?;
    Some(format!("{code}{}", rest.trim_start_matches('0')))
}

fn countries() -> impl Iterator<Item = (&'static str, &'static str)> {
    COUNTRIES
        .split_ascii_whitespace()
        .map(|entry| entry.split_at(entry.len() - 2))
}

fn line_type(digits: &str) -> Value {
    let is_landline = is_landline(&format!("+{digits}"));
    json!({
        "carrier_name": "Sandbox Telephone",
        "error_code": null,
        "mobile_country_code": if is_landline { Value::Null } else { "001".into() },
        "mobile_network_code": if is_landline { Value::Null } else { "01".into() },
        "type": if is_landline { "landline" } else { "mobile" },
    })
}

/// The numbers that no SMS reaches because they are landlines.
pub(super) fn is_landline(number: &str) -> bool {
    matches!(number, "+15005550009" | "+15005550016")
}

pub(super) fn missing(path: &str) -> Refusal {
    Refusal::not_found(format!("The requested resource {path} was not found"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_country_code_begins_with_another() {
        let codes: Vec<_> = countries().map(|(code, _)| code).collect();
        for code in &codes {
            let hidden = codes
                .iter()
                .filter(|other| other != &code && other.starts_with(code));
            assert_eq!(hidden.count(), 0, "{code}");
        }
    }
}
