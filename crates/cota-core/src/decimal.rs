//! Decimal numbers that stand as text.

/// Reads a number as people write it: `7`, `+1`, `-.5`, `1.`, `007` or `2.5e3`, also with blanks around it.
///
/// Nothing if it is something else, as `inf` and `nan` are, or is too large for an `f64`.
///
/// It is read as JSON, whose reader is needed anyway. The one that floats have of their own brings tables into the Worker's
/// script: ten kilobytes that do not compress.
#[must_use]
pub fn read(text: &str) -> Option<f64> {
    let text = text.trim();
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, rest) = digits(unsigned);
    let (decimals, exponent) = digits(rest.strip_prefix('.').unwrap_or(rest));
    if whole.is_empty() && decimals.is_empty() {
        return None;
    }
    // JSON wants digits on both sides of the point, and no zero before another digit.
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    serde_json::from_str(&format!("{sign}{whole}.{decimals}0{exponent}")).ok()
}

/// The digits that a text begins with, and what comes after them.
fn digits(text: &str) -> (&str, &str) {
    let rest = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
    (text.strip_suffix(rest).unwrap_or_default(), rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the standard library makes of it.
    fn expected(text: &str) -> Option<f64> {
        text.trim().parse().ok().filter(|number: &f64| number.is_finite())
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, number) in [
            ("7", Some(7.0)),
            (" -3\n", Some(-3.0)),
            ("+1", Some(1.0)),
            (".5", Some(0.5)),
            ("-.5", Some(-0.5)),
            ("1.", Some(1.0)),
            ("007", Some(7.0)),
            ("00.50", Some(0.5)),
            ("0", Some(0.0)),
            ("2.5e3", Some(2500.0)),
            ("1.E-2", Some(0.01)),
            ("99999999999999999999999", Some(1e23)),
            ("1e-999", Some(0.0)),
            ("1e999", None),
            ("", None),
            (".", None),
            ("-", None),
            ("+-1", None),
            ("--1", None),
            (".e5", None),
            ("1e", None),
            ("1 e5", None),
            ("1. 5", None),
            ("1.5.5", None),
            ("1,5", None),
            ("0x1F", None),
            ("inf", None),
            ("-Infinity", None),
            ("NaN", None),
            ("seven", None),
        ] {
            assert_eq!(read(text), number, "{text:?}");
            assert_eq!(expected(text), number, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_the_standard_library_reads(text in "[ ]?[-+]?[0-9]{0,25}[.]?[0-9]{0,25}([eE][-+]?[0-9]{0,3})?[ ]?") {
            prop_assert_eq!(read(&text).map(f64::to_bits), expected(&text).map(f64::to_bits));
        }
    }
}
