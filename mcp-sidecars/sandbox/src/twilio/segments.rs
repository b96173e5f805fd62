//! How many SMS a text takes (3GPP TS 23.038).

const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
const EXTENDED: &str = "\u{c}^{}\\[~]|€";

/// The number of segments, at least 1.
pub(super) fn count(text: &str) -> usize {
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
    fn a_text_takes_more_segments_when_it_is_long_or_beyond_the_basic_alphabet() {
        let of = |text: &str, times| count(&text.repeat(times));
        assert_eq!((of("a", 0), of("a", 160), of("a", 161)), (1, 1, 2));
        assert_eq!((of("€", 80), of("€", 81)), (1, 2));
        assert_eq!((of("я", 70), of("я", 71), of("😀", 36)), (1, 2, 2));
    }
}
