//! Phone numbers: what is one, and those that play a part.

use axum::http::StatusCode;

use super::refusal::Refusal;

/// The account's number; Twilio's own test credentials know it, too.
pub(super) const OURS: &str = "+15005550006";

/// E.164 with the `+`: a country code and 7 to 15 digits in all.
pub(super) fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Refuses as Twilio does for its magic recipients, whose last digits are those of its test credentials.
pub(super) fn recipient(to: &str) -> Result<(), Refusal> {
    let refusal = match to {
        "+15005550002" => Refusal::bad(
            21612,
            format!(
                "Message cannot be sent with the current combination of 'To' ({to}) and/or 'From' parameters"
            ),
        ),
        "+15005550003" => Refusal::bad(
            21408,
            format!(
                "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: {to}"
            ),
        ),
        "+15005550004" => opted_out(),
        "+15005550009" => Refusal::bad(21614, format!("To number: {to}, is not a mobile number")),
        _ if to == "+15005550001" || !is_e164(to) => {
            Refusal::bad(21211, format!("Invalid 'To' Phone Number: {to}"))
        }
        _ => return Ok(()),
    };
    Err(refusal)
}

pub(super) fn opted_out() -> Refusal {
    Refusal::bad(21610, "Attempt to send to unsubscribed recipient")
}

/// Refuses senders that are not ours, and the magic ones.
pub(super) fn sender(from: &str) -> Result<(), Refusal> {
    match from {
        OURS => Ok(()),
        "+15005550008" => Err(Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            21611,
            format!("This 'From' number {from} has exceeded the maximum number of queued messages"),
        )),
        _ if from == "+15005550001" || !is_e164(from) => Err(Refusal::bad(
            21212,
            format!("Invalid From Number (caller ID): {from}"),
        )),
        _ => Err(Refusal::bad(
            21606,
            format!(
                "The 'From' phone number provided ({from}) is not a valid message-capable Twilio phone number for this destination"
            ),
        )),
    }
}

/// How a message to that number ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Delivered,
    /// The carrier tells nothing.
    Sent,
    Undelivered(u32),
    Failed(u32),
}

/// The last digits are those of the error code.
pub(super) fn ending(to: &str) -> Ending {
    match to {
        "+15005550013" => Ending::Undelivered(30003),
        "+15005550015" => Ending::Undelivered(30005),
        "+15005550016" => Ending::Undelivered(30006),
        "+15005550017" => Ending::Undelivered(30007),
        "+15005550018" => Ending::Failed(30008),
        "+15005550019" => Ending::Sent,
        _ => Ending::Delivered,
    }
}

/// Twilio's words for the error of a message.
pub(super) fn error_message(code: u32) -> &'static str {
    match code {
        30003 => "Unreachable destination handset",
        30005 => "Unknown destination handset",
        30006 => "Landline or unreachable carrier",
        30007 => "Message filtered",
        _ => "Unknown error",
    }
}
