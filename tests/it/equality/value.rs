//! One value, on the site and in the mirror.

use serde_json::Value;

/// Texts up to this length fit into any text column.
const SHORT_TEXT: usize = 32;

/// What a column of the site becomes, by its type and its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// DECIMAL(14,2) in yuan.
    Money,
    /// DATETIME(3) in UTC.
    Instant,
    /// DATE.
    Date,
    /// BIGINT.
    Integer,
    /// VARCHAR or MEDIUMTEXT.
    Text,
}

/// A value in the mirror.
#[derive(Debug, PartialEq)]
pub enum Mirrored {
    Typed(Option<String>),
    Overflow(Value),
}

/// Checks one value against the mirror's.
pub fn matches(kind: Kind, site: &Value, mirror: Option<&Mirrored>) -> Result<(), String> {
    match mirror {
        Some(Mirrored::Typed(typed)) if mirror_text(kind, site).as_ref() == Some(typed) => Ok(()),
        Some(Mirrored::Overflow(value)) if value == site && !plainly_fits(kind, site) => Ok(()),
        Some(Mirrored::Overflow(value)) if value == site => Err(format!("{site} overflowed, but it fits")),
        Some(mirror) => Err(format!("the site has {site}, the mirror {mirror:?}")),
        None => Err(format!("the site has {site}, the mirror nothing or two things")),
    }
}

pub fn mirror_name(site_column: &str, kind: Kind) -> &str {
    match kind {
        Kind::Money => site_column.strip_suffix("_fen").unwrap(),
        Kind::Instant | Kind::Date | Kind::Integer | Kind::Text => site_column,
    }
}

/// How the server writes this value when it is in its typed column; `None` when it can't be there.
pub fn mirror_text(kind: Kind, site: &Value) -> Option<Option<String>> {
    if site.is_null() {
        return Some(None);
    }
    let text = match kind {
        Kind::Money => {
            let fen = site.as_i64()?;
            let sign = if fen < 0 { "-" } else { "" };
            let fen = fen.unsigned_abs();
            format!("{sign}{}.{:02}", fen / 100, fen % 100)
        }
        Kind::Instant => {
            let moment = jiff::Timestamp::from_millisecond(site.as_i64()?).ok()?;
            let civil = jiff::tz::TimeZone::UTC.to_datetime(moment);
            (civil.year() >= 0).then(|| civil.strftime("%Y-%m-%d %H:%M:%S.%3f").to_string())?
        }
        Kind::Date => {
            let date: jiff::civil::Date = site.as_str()?.parse().ok()?;
            (date.to_string() == site.as_str()?).then(|| date.to_string())?
        }
        Kind::Integer => site.as_i64()?.to_string(),
        Kind::Text => site.as_str()?.to_owned(),
    };
    Some(Some(text))
}

/// Whether the typed column holds this value on every server, so that it has no business in the overflow.
fn plainly_fits(kind: Kind, site: &Value) -> bool {
    let Some(text) = mirror_text(kind, site) else { return false };
    let Some(text) = text else { return true };
    match kind {
        Kind::Money => site.as_i64().is_some_and(|fen| fen.unsigned_abs() < 100_000_000_000_000),
        // MySQL promises the years 1000 to 9999.
        Kind::Instant | Kind::Date => text.as_str() >= "1000",
        Kind::Integer => true,
        Kind::Text => text.chars().count() <= SHORT_TEXT,
    }
}

pub fn kind_of(name: &str, sqlite_type: &str) -> Kind {
    match sqlite_type.to_ascii_lowercase().as_str() {
        "integer" if name.ends_with("_fen") => Kind::Money,
        "integer" if name == "at" || name.ends_with("_at") => Kind::Instant,
        "integer" => Kind::Integer,
        "text" if name == "date" || name.ends_with("_date") => Kind::Date,
        "text" => Kind::Text,
        other => panic!("there is no rule for a column of type {other}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Kind, Mirrored, kind_of, matches, mirror_name, mirror_text, plainly_fits};

    fn typed(kind: Kind, site: Value) -> String {
        mirror_text(kind, &site).unwrap().unwrap()
    }

    #[test]
    fn a_column_is_known_by_its_type_and_name() {
        assert_eq!(kind_of("amount_fen", "INTEGER"), Kind::Money);
        assert_eq!(mirror_name("amount_fen", Kind::Money), "amount");
        assert_eq!((kind_of("at", "integer"), kind_of("read_at", "integer")), (Kind::Instant, Kind::Instant));
        assert_eq!((kind_of("date", "text"), kind_of("local_date", "text")), (Kind::Date, Kind::Date));
        assert_eq!((kind_of("format", "integer"), kind_of("read_at", "text")), (Kind::Integer, Kind::Text));
        assert_eq!((kind_of("update", "text"), kind_of("amount_fen", "text")), (Kind::Text, Kind::Text));
    }

    #[test]
    fn money_is_yuan_with_two_decimals() {
        for (fen, yuan) in [(0, "0.00"), (1, "0.01"), (-1, "-0.01"), (5800, "58.00"), (-12345, "-123.45")] {
            assert_eq!(typed(Kind::Money, json!(fen)), yuan);
        }
        assert_eq!(typed(Kind::Money, json!(99_999_999_999_999_i64)), "999999999999.99");
        assert_eq!(typed(Kind::Money, json!(i64::MIN)), "-92233720368547758.08");
        assert!(plainly_fits(Kind::Money, &json!(-99_999_999_999_999_i64)));
        assert!(!plainly_fits(Kind::Money, &json!(100_000_000_000_000_i64)));
    }

    #[test]
    fn an_instant_keeps_its_milliseconds_on_both_sides_of_1970() {
        assert_eq!(typed(Kind::Instant, json!(0)), "1970-01-01 00:00:00.000");
        assert_eq!(typed(Kind::Instant, json!(-1)), "1969-12-31 23:59:59.999");
        assert_eq!(typed(Kind::Instant, json!(1_704_067_200_007_i64)), "2024-01-01 00:00:00.007");
        assert_eq!(typed(Kind::Instant, json!(-2_203_891_200_500_i64)), "1900-02-28 23:59:59.500");
        assert_eq!(typed(Kind::Instant, json!(253_402_207_200_000_i64)), "9999-12-30 22:00:00.000");
        assert_eq!(mirror_text(Kind::Instant, &json!(i64::MAX)), None);
        assert_eq!(mirror_text(Kind::Instant, &json!(i64::MIN)), None);
        assert!(!plainly_fits(Kind::Instant, &json!(-62_000_000_000_000_i64)), "the year 5 is not promised");
    }

    #[test]
    fn a_date_is_itself_or_is_none() {
        assert_eq!(typed(Kind::Date, json!("2024-02-29")), "2024-02-29");
        for text in ["2023-02-29", "2024-1-1", "", "2024-01-01T00:00:00", "20240101"] {
            assert_eq!(mirror_text(Kind::Date, &json!(text)), None, "{text}");
        }
    }

    #[test]
    fn numbers_texts_and_null_are_themselves() {
        assert_eq!(typed(Kind::Integer, json!(i64::MIN)), "-9223372036854775808");
        assert_eq!(typed(Kind::Integer, json!(i64::MAX)), "9223372036854775807");
        assert_eq!(typed(Kind::Text, json!("好😀 \\'\"\n")), "好😀 \\'\"\n");
        assert_eq!(typed(Kind::Text, json!("")), "");
        for kind in [Kind::Money, Kind::Instant, Kind::Date, Kind::Integer, Kind::Text] {
            assert_eq!(mirror_text(kind, &Value::Null), Some(None));
        }
        let empty = Mirrored::Typed(Some(String::new()));
        matches(Kind::Text, &Value::Null, Some(&empty)).unwrap_err();
        matches(Kind::Text, &json!(""), Some(&Mirrored::Typed(None))).unwrap_err();
    }

    #[test]
    fn the_overflow_counts_only_for_what_does_not_fit() {
        let overflow = |value: &Value| Mirrored::Overflow(value.clone());
        let (long, wide) = (json!("长".repeat(40)), json!(i64::MAX));
        matches(Kind::Text, &long, Some(&overflow(&long))).unwrap();
        matches(Kind::Instant, &wide, Some(&overflow(&wide))).unwrap();
        matches(Kind::Date, &json!("soon"), Some(&overflow(&json!("soon")))).unwrap();
        for (kind, value) in [(Kind::Text, json!("short")), (Kind::Integer, wide), (Kind::Date, json!("2024-01-01"))] {
            matches(kind, &value, Some(&overflow(&value))).unwrap_err();
        }
        matches(Kind::Text, &long, Some(&overflow(&json!("长".repeat(41))))).unwrap_err();
        matches(Kind::Integer, &json!(1), None).unwrap_err();
    }
}
