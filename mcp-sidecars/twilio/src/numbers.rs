//! Phone numbers, and how many SMS a text takes.

use std::borrow::Cow;

use validator::ValidationError;

const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
const EXTENDED: &str = "\u{c}^{}\\[~]|€";

/// ITU-T E.164 with the `+`: 7 to 15 digits, none of them a 0 at the front.
pub(crate) fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// For `#[validate(custom(…))]`.
pub(crate) fn e164(text: &str) -> Result<(), ValidationError> {
    if is_e164(text) {
        return Ok(());
    }
    let mut error = ValidationError::new("e164");
    error.message = Some(Cow::Borrowed(
        "a phone number in E.164: +, country code, number, digits only, such as +14155550100",
    ));
    Err(error)
}

/// The segments that a text takes (3GPP TS 23.038): 160 characters of the basic alphabet, or 70 of any other.
pub(crate) fn segments(text: &str) -> usize {
    let septets = text.chars().try_fold(0, |sum, char| {
        let is_extended = EXTENDED.contains(char);
        (is_extended || BASIC.contains(char)).then(|| sum + 1 + usize::from(is_extended))
    });
    let (units, single, part) = septets.map_or_else(
        || (text.encode_utf16().count(), 70, 67),
        |units| (units, 160, 153),
    );
    if units <= single {
        1
    } else {
        units.div_ceil(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_e164_is_a_number() {
        for right in ["+14155550100", "+442079460000", "+6591234567"] {
            assert!(is_e164(right), "{right}");
        }
        let wrong = [
            "14155550100",
            "+04155550100",
            "+1 415 555",
            "+1415555010a",
            "+123456",
            "+1234567890123456",
            "",
            "+",
            "+１４１５５５５０１００",
        ];
        for wrong in wrong {
            assert!(!is_e164(wrong), "{wrong}");
        }
    }
}
