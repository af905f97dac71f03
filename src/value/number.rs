//! [`Number`]: numbers that come out exactly as they went in.

use std::{borrow::Cow, fmt, sync::Arc};

/// A number as JSON writes it, kept exactly.
///
/// An integer that fits is kept as one; anything else (`1.0`, `1e3`, thirty digits, `-0`) as the text
/// that it was written with. Two numbers are equal if their texts are: `1` and `1.0` differ, because a
/// config file that says one of them must go on saying it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Number(Repr);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    /// Exactly the numbers whose text is what `i64` displays.
    Int(i64),
    /// All others.
    Text(Arc<str>),
}

impl Number {
    /// Reads a number in the grammar of JSON (RFC 8259): no plus sign, no leading zeros, no bare dot.
    pub fn parse(text: &str) -> Option<Number> {
        if !is_json_number(text) {
            return None;
        }
        let repr = match text.parse::<i64>() {
            // "-0" would not be written back as it was.
            Ok(int) if !(int == 0 && text.starts_with('-')) => Repr::Int(int),
            _ => Repr::Text(text.into()),
        };
        Some(Number(repr))
    }

    /// The shortest text that reads back as this number; `None` for infinities and NaN, which JSON
    /// cannot write.
    pub fn from_f64(number: f64) -> Option<Number> {
        // `Debug` keeps the `.0` of whole numbers, so that what was a float stays one.
        number.is_finite().then(|| Number(Repr::Text(format!("{number:?}").into())))
    }

    /// The value, if it is written as an integer and fits.
    pub fn as_i64(&self) -> Option<i64> {
        match &self.0 {
            Repr::Int(int) => Some(*int),
            Repr::Text(text) => text.parse().ok(),
        }
    }

    /// The value, if it is written as an integer and fits.
    pub fn as_u64(&self) -> Option<u64> {
        match &self.0 {
            Repr::Int(int) => u64::try_from(*int).ok(),
            Repr::Text(text) => text.parse().ok(),
        }
    }

    /// The nearest floating-point number; `None` where that would be infinite.
    pub fn as_f64(&self) -> Option<f64> {
        match &self.0 {
            Repr::Int(int) => Some(*int as f64),
            Repr::Text(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
        }
    }

    /// The text, exactly as it was written.
    pub fn text(&self) -> Cow<'_, str> {
        match &self.0 {
            Repr::Int(int) => int.to_string().into(),
            Repr::Text(text) => (&**text).into(),
        }
    }

    /// The sum, exact or `None`.
    ///
    /// It is written without an exponent and with as many decimals as the longer of the two has:
    /// `0.1 + 0.25 = 0.35`, `1.50 + 1 = 2.50`, `1e3 + 1 = 1001`. Both numbers and the sum, without their
    /// points and brought to the same number of decimals, must fit into 128 bits (38 digits).
    pub fn checked_add(&self, by: &Number) -> Option<Number> {
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &by.0)
            && let Some(sum) = a.checked_add(*b)
        {
            return Some(sum.into());
        }
        let (a, b) = (Decimal::parse(&self.text())?, Decimal::parse(&by.text())?);
        let decimals = a.decimals.max(b.decimals);
        let sum = a.scaled(decimals)?.checked_add(b.scaled(decimals)?)?;
        Number::parse(&Decimal { digits: sum, decimals }.to_string())
    }
}

/// `digits / 10^decimals`
struct Decimal {
    digits: i128,
    decimals: u32,
}

impl Decimal {
    /// Reads a text in JSON's grammar; `None` if it has too many digits.
    fn parse(text: &str) -> Option<Decimal> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}").parse::<i128>().ok()?;
        if digits == 0 && exponent != 0 {
            return Some(Decimal { digits: 0, decimals: 0 }); // 0e999 is just 0.
        }
        let decimals = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        match u32::try_from(decimals) {
            Ok(decimals) => Some(Decimal { digits, decimals }),
            Err(_) => {
                let digits = digits.checked_mul(10_i128.checked_pow(decimals.unsigned_abs())?)?;
                Some(Decimal { digits, decimals: 0 })
            }
        }
    }

    /// The digits when written with `decimals` places, at least as many as there are.
    fn scaled(&self, decimals: u32) -> Option<i128> {
        if self.digits == 0 {
            return Some(0);
        }
        self.digits.checked_mul(10_i128.checked_pow(decimals - self.decimals)?)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = self.decimals as usize;
        if decimals == 0 {
            return write!(f, "{}", self.digits);
        }
        let sign = if self.digits < 0 { "-" } else { "" };
        // Zeros in front, so that there is a digit before the point.
        let digits = format!("{:0>1$}", self.digits.unsigned_abs(), decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        write!(f, "{sign}{whole}.{fraction}")
    }
}

fn is_json_number(text: &str) -> bool {
    /// What follows one digit or more, if there is any.
    fn digits(text: &[u8]) -> Option<&[u8]> {
        let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
        (end > 0).then(|| &text[end..])
    }
    fn check(text: &[u8]) -> Option<bool> {
        let text = text.strip_prefix(b"-").unwrap_or(text);
        let mut rest = match text.strip_prefix(b"0") {
            Some(rest) => rest,
            None => digits(text)?,
        };
        if let Some(fraction) = rest.strip_prefix(b".") {
            rest = digits(fraction)?;
        }
        if let [b'e' | b'E', exponent @ ..] = rest {
            rest = digits(match exponent {
                [b'+' | b'-', exponent @ ..] => exponent,
                _ => exponent,
            })?;
        }
        Some(rest.is_empty())
    }
    check(text.as_bytes()) == Some(true)
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Int(int) => write!(f, "{int}"),
            Repr::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<i64> for Number {
    fn from(int: i64) -> Number {
        Number(Repr::Int(int))
    }
}

impl From<u64> for Number {
    fn from(int: u64) -> Number {
        i64::try_from(int).map_or_else(|_| Number(Repr::Text(int.to_string().into())), Number::from)
    }
}

macro_rules! from_smaller {
    ($($small:ty => $large:ty),*) => {$(
        impl From<$small> for Number {
            fn from(int: $small) -> Number {
                Number::from(int as $large)
            }
        }
    )*};
}
from_smaller!(i8 => i64, i16 => i64, i32 => i64, isize => i64, u8 => u64, u16 => u64, u32 => u64, usize => u64);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    proptest! {
        #[test]
        fn what_parses_is_what_json_allows_and_keeps_its_text(text in "-?[0-9]{0,3}(\\.[0-9]{0,2})?([eE][-+]?[0-9]{0,2})?[ x+]?") {
            let json = serde_json::from_str::<serde_json::Value>(&text).is_ok() && !text.ends_with(' ');
            let parsed = Number::parse(&text);
            prop_assert_eq!(parsed.is_some(), json, "{}", text);
            if let Some(parsed) = parsed {
                prop_assert_eq!(parsed.text(), &*text);
                prop_assert_eq!(parsed.to_string(), text);
            }
        }

        #[test]
        fn integers_are_the_numbers_of_their_text(int: i64, unsigned: u64) {
            prop_assert_eq!(number(&int.to_string()), Number::from(int));
            prop_assert_eq!(Number::from(int).as_i64(), Some(int));
            prop_assert_eq!(Number::from(int).as_u64(), u64::try_from(int).ok());
            prop_assert_eq!(number(&unsigned.to_string()), Number::from(unsigned));
            prop_assert_eq!(Number::from(unsigned).as_u64(), Some(unsigned));
            prop_assert_eq!(Number::from(unsigned).as_i64(), i64::try_from(unsigned).ok());
        }

        #[test]
        fn a_float_comes_back_as_it_was(float: f64) {
            let number = Number::from_f64(float);
            prop_assert_eq!(number.is_some(), float.is_finite());
            if let Some(number) = number {
                prop_assert_eq!(number.as_f64().unwrap().to_bits(), float.to_bits());
                prop_assert_eq!(Number::parse(&number.text()), Some(number.clone()));
                prop_assert_eq!(number.as_i64(), None);
            }
        }

        #[test]
        fn sums_are_exact(a in -1i128 << 120..1i128 << 120, b in -1i128 << 120..1i128 << 120, places in 0..30_u32) {
            let text = |digits| Decimal { digits, decimals: places }.to_string();
            let sum = number(&text(a)).checked_add(&number(&text(b)));
            prop_assert_eq!(sum, Number::parse(&text(a + b)));
        }
    }

    #[test]
    fn sums_read_as_a_person_would_write_them() {
        for (a, b, sum) in [
            ("1", "2", "3"),
            ("0.1", "0.2", "0.3"),
            ("0.1", "0.25", "0.35"),
            ("1.50", "1", "2.50"),
            ("1.5", "-1.5", "0.0"),
            ("-0.05", "0.01", "-0.04"),
            ("1e3", "1", "1001"),
            ("1E+3", "1e-2", "1000.01"),
            ("1.5e1", "0", "15"),
            ("-0", "0", "0"),
            ("-0.0", "1", "1.0"),
            ("0e999999", "1", "1"),
            ("9223372036854775807", "1", "9223372036854775808"),
            ("-9223372036854775808", "-1", "-9223372036854775809"),
            ("18446744073709551616", "-18446744073709551616", "0"),
            ("100000000000000000000000000000", "1", "100000000000000000000000000001"),
        ] {
            assert_eq!(number(a).checked_add(&number(b)), Number::parse(sum), "{a} + {b}");
            assert_eq!(number(b).checked_add(&number(a)), Number::parse(sum), "{b} + {a}");
        }
    }

    #[test]
    fn a_sum_that_would_not_be_exact_is_none() {
        let max = i128::MAX.to_string();
        for (a, b) in [
            (&*max, "1"),
            (&max, "0.1"),
            ("1e39", "1"),
            ("1e-39", "1"),
            ("1e999999999999", "1"),
            ("1e-2147483648", "1"),
            ("1", "1e2147483647"),
            (&"9".repeat(1000), "1"),
        ] {
            assert_eq!(number(a).checked_add(&number(b)), None, "{a} + {b}");
        }
    }

    #[test]
    fn equal_means_written_alike() {
        assert_ne!(number("1"), number("1.0"));
        assert_ne!(number("0"), number("-0"));
        assert_eq!(number("1e3"), number("1e3"));
        assert_eq!(number("1e3").as_f64(), Some(1000.0));
        assert_eq!(number("1e3").as_i64(), None);
        assert_eq!(number("1e999").as_f64(), None);
    }
}
