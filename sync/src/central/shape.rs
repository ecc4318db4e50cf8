//! The mirror tables as MySQL has them, and how a site's values stand in them.
//!
//! # Decision
//! A column takes what its type can hold; a value that it can't, and one that has no column yet, goes into `mirror_overflow`
//! under the site's column name and the column stays null. So no value is ever lost, changed or a reason to refuse a row. The
//! shapes are read from the database, not written down twice.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use mysql_async::Value as Sql;
use mysql_async::prelude::Queryable;
use serde_json::{Map, Value};

use super::CentralError;
use crate::capture::Table;

/// Every mirror table has this column: the change that wrote the row.
pub const SEQ_COLUMN: &str = "mirror_seq";
/// Every mirror table has this column: what fits nowhere else.
pub const OVERFLOW_COLUMN: &str = "mirror_overflow";

/// What a column can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A 64-bit integer.
    Integer,
    /// Yuan with two decimals, of an integer of fen.
    Money,
    /// A moment in UTC, of an integer of milliseconds since the Unix epoch.
    Instant,
    /// A calendar day, of a text.
    Day,
    /// A text of at most so many characters.
    Text(u64),
}

/// Table, column, type, length in characters, decimals.
type ColumnRow = (String, String, String, Option<u64>, Option<u64>);

/// The mirror tables.
#[derive(Debug, Default)]
pub struct Shapes(BTreeMap<String, BTreeMap<String, Kind>>);

impl Shapes {
    /// Reads them from the database that the connection is to.
    pub async fn read(conn: &mut impl Queryable) -> Result<Self, CentralError> {
        let rows: Vec<ColumnRow> = conn
            .query(
                "select table_name, column_name, data_type, character_maximum_length, numeric_scale
                 from information_schema.columns
                 where table_schema = database() and table_name in (
                     select table_name from information_schema.columns
                     where table_schema = database() and column_name = 'mirror_seq')",
            )
            .await?;
        let mut shapes = Self::default();
        for (table, column, data_type, characters, scale) in rows {
            let kind = match (data_type.to_ascii_lowercase().as_str(), scale) {
                ("bigint", _) => Kind::Integer,
                ("decimal", Some(2)) => Kind::Money,
                ("datetime", _) => Kind::Instant,
                ("date", _) => Kind::Day,
                ("varchar" | "text" | "mediumtext" | "longtext", _) => {
                    // In bytes for the long types; four of them hold any character.
                    let most = characters.unwrap_or(0);
                    Kind::Text(if data_type.eq_ignore_ascii_case("varchar") { most } else { most / 4 })
                }
                _ => continue,
            };
            shapes.0.entry(table).or_default().insert(column, kind);
        }
        Ok(shapes)
    }

    /// How the images of a site's table stand in the mirror; none when the mirror has no such table yet.
    pub fn plan(&self, table: &Table) -> Option<Plan> {
        let columns = self.0.get(&table.name)?;
        let places = table.columns.iter().map(|column| {
            if column == SEQ_COLUMN || column == OVERFLOW_COLUMN {
                return None;
            }
            let yuan = column.strip_suffix("_fen").filter(|name| columns.get(*name) == Some(&Kind::Money));
            let name = yuan.unwrap_or(column);
            columns.get(name).map(|kind| Place { name: name.to_owned(), kind: *kind })
        });
        Some(Plan { table: table.clone(), places: places.collect() })
    }
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The mirror's column.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
}

/// How the images of one table of one layout stand in the mirror.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The site's table.
    pub table: Table,
    /// For each of its columns the mirror's; none when there is none yet.
    pub places: Vec<Option<Place>>,
}

impl Plan {
    /// The mirror's columns that the images fill, `site_id`, `mirror_seq` and `mirror_overflow` included.
    pub fn columns(&self) -> Vec<&str> {
        let own = self.places.iter().flatten().map(|place| place.name.as_str());
        std::iter::once("site_id").chain(own).chain([OVERFLOW_COLUMN, SEQ_COLUMN]).collect()
    }

    /// The key's columns in the mirror, without `site_id`.
    pub fn key_columns(&self) -> Result<Vec<&Place>, CentralError> {
        let place = |name: &String| {
            let at = self.table.columns.iter().position(|column| column == name)?;
            self.places.get(at)?.as_ref()
        };
        let places: Option<Vec<&Place>> = self.table.key.iter().map(place).collect();
        places.ok_or_else(|| self.bad("its key has no column in the mirror"))
    }

    /// A row's values, in the order of [`Plan::columns`].
    pub fn encode(&self, site: i64, seq: i64, image: &[Value]) -> Result<Vec<Sql>, CentralError> {
        if image.len() != self.places.len() {
            return Err(self.bad("its image has another number of values than its layout has columns"));
        }
        let mut row = Vec::with_capacity(image.len() + 3);
        row.push(Sql::Int(site));
        let mut overflow = Map::new();
        for ((value, place), column) in image.iter().zip(&self.places).zip(&self.table.columns) {
            let fits = place.as_ref().map(|place| encode(place.kind, value));
            match fits {
                Some(Some(sql)) => row.push(sql),
                Some(None) | None => {
                    if self.table.key.contains(column) {
                        return Err(self.bad("its key does not fit"));
                    }
                    overflow.insert(column.clone(), value.clone());
                    if fits.is_some() {
                        row.push(Sql::NULL);
                    }
                }
            }
        }
        let overflow = (!overflow.is_empty()).then(|| Value::Object(overflow).to_string());
        row.push(overflow.map_or(Sql::NULL, |text| Sql::Bytes(text.into_bytes())));
        row.push(Sql::Int(seq));
        Ok(row)
    }

    /// A key's values.
    pub fn encode_key(&self, key: &[Value]) -> Result<Vec<Sql>, CentralError> {
        let places = self.key_columns()?;
        if places.len() != key.len() {
            return Err(self.bad("its key has another number of values than its layout says"));
        }
        let values: Option<Vec<Sql>> = places.iter().zip(key).map(|(place, value)| encode(place.kind, value)).collect();
        values.ok_or_else(|| self.bad("its key does not fit"))
    }

    /// The image of a row that was read in the order of [`Plan::columns`].
    pub fn decode(&self, row: Vec<Sql>) -> Result<Vec<Value>, CentralError> {
        let mut values = row.into_iter().skip(1);
        let mut image = Vec::with_capacity(self.places.len());
        for place in &self.places {
            image.push(match place {
                Some(place) => decode(place.kind, values.next().unwrap_or(Sql::NULL))
                    .ok_or_else(|| self.bad("a column holds what its type can't mean"))?,
                None => Value::Null,
            });
        }
        if let Some(Sql::Bytes(text)) = values.next() {
            let overflow: Map<String, Value> =
                serde_json::from_slice(&text).map_err(|_| self.bad("its overflow is not JSON"))?;
            for (column, value) in overflow {
                if let Some(at) = self.table.columns.iter().position(|name| *name == column) {
                    image[at] = value;
                }
            }
        }
        Ok(image)
    }

    fn bad(&self, problem: &'static str) -> CentralError {
        CentralError::BadRow { table: self.table.name.clone(), problem }
    }
}

/// MySQL's DATETIME and DATE begin here (<https://dev.mysql.com/doc/refman/8.4/en/datetime.html>).
const YEAR_MIN: i16 = 1000;
/// DECIMAL(14,2) holds less than this many fen.
const FEN_LIMIT: i64 = 100_000_000_000_000;

/// The value as a column of this kind holds it; none when it can't.
fn encode(kind: Kind, value: &Value) -> Option<Sql> {
    match (kind, value) {
        (_, Value::Null) => Some(Sql::NULL),
        (Kind::Integer, Value::Number(number)) => number.as_i64().map(Sql::Int),
        (Kind::Money, Value::Number(number)) => {
            let fen = number.as_i64().filter(|fen| fen.unsigned_abs() < FEN_LIMIT.unsigned_abs())?;
            let sign = if fen < 0 { "-" } else { "" };
            let (yuan, rest) = (fen.unsigned_abs() / 100, fen.unsigned_abs() % 100);
            Some(Sql::Bytes(format!("{sign}{yuan}.{rest:02}").into_bytes()))
        }
        (Kind::Instant, Value::Number(number)) => {
            let moment = Timestamp::from_millisecond(number.as_i64()?).ok()?;
            let at = TimeZone::UTC.to_datetime(moment);
            (at.year() >= YEAR_MIN).then(|| moment_of(at))
        }
        (Kind::Day, Value::String(text)) => {
            let day: Date = text.parse().ok()?;
            // Only the one spelling comes back as it went in.
            (day.year() >= YEAR_MIN && day.to_string() == *text)
                .then(|| moment_of(day.to_datetime(jiff::civil::Time::midnight())))
        }
        (Kind::Text(most), Value::String(text)) => {
            (text.chars().count() as u64 <= most).then(|| Sql::Bytes(text.clone().into_bytes()))
        }
        _ => None,
    }
}

/// A moment in milliseconds since the Unix epoch as a DATETIME; null when it is out of range.
pub(super) fn datetime(ms: i64) -> Sql {
    encode(Kind::Instant, &Value::from(ms)).unwrap_or(Sql::NULL)
}

fn moment_of(at: DateTime) -> Sql {
    let part = |number: i8| number.unsigned_abs();
    let micros = u32::from(at.millisecond().unsigned_abs()) * 1000;
    Sql::Date(
        at.year().unsigned_abs(),
        part(at.month()),
        part(at.day()),
        part(at.hour()),
        part(at.minute()),
        part(at.second()),
        micros,
    )
}

/// The site's value of a column; none when the column holds what the site can't have meant.
fn decode(kind: Kind, value: Sql) -> Option<Value> {
    match (kind, value) {
        (_, Sql::NULL) => Some(Value::Null),
        (Kind::Integer, Sql::Int(number)) => Some(number.into()),
        (Kind::Integer, Sql::UInt(number)) => Some(number.into()),
        (Kind::Money, Sql::Bytes(text)) => fen(std::str::from_utf8(&text).ok()?).map(Value::from),
        (Kind::Instant, Sql::Date(year, month, day, hour, minute, second, micros)) => {
            let date = date(year, month, day)?;
            let time =
                jiff::civil::Time::new(sign(hour)?, sign(minute)?, sign(second)?, i32::try_from(micros).ok()? * 1000);
            let moment = TimeZone::UTC.to_timestamp(date.to_datetime(time.ok()?)).ok()?;
            Some(moment.as_millisecond().into())
        }
        (Kind::Day, Sql::Date(year, month, day, ..)) => Some(date(year, month, day)?.to_string().into()),
        (Kind::Text(_), Sql::Bytes(text)) => String::from_utf8(text).ok().map(Value::String),
        _ => None,
    }
}

fn date(year: u16, month: u8, day: u8) -> Option<Date> {
    Date::new(i16::try_from(year).ok()?, sign(month)?, sign(day)?).ok()
}

fn sign(number: u8) -> Option<i8> {
    i8::try_from(number).ok()
}

/// Fen of a decimal with two places.
fn fen(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (yuan, rest) = digits.split_once('.')?;
    if rest.len() != 2 {
        return None;
    }
    Some(sign * (yuan.parse::<i64>().ok()? * 100 + rest.parse::<i64>().ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_comes_back_as_it_went_in_or_goes_to_the_overflow() {
        let fits = [
            (Kind::Integer, json!(i64::MIN)),
            (Kind::Integer, json!(i64::MAX)),
            (Kind::Money, json!(-5)),
            (Kind::Money, json!(99_999_999_999_999_i64)),
            (Kind::Instant, json!(0)),
            (Kind::Instant, json!(-1)),
            (Kind::Instant, json!(253_402_207_200_000_i64)),
            (Kind::Day, json!("1000-01-01")),
            (Kind::Day, json!("9999-12-31")),
            (Kind::Text(2), json!("😀餐")),
            (Kind::Text(0), json!("")),
            (Kind::Integer, Value::Null),
        ];
        for (kind, value) in fits {
            let sql = encode(kind, &value).unwrap_or_else(|| panic!("{value} fits {kind:?}"));
            assert_eq!(decode(kind, sql), Some(value));
        }
        let overflows = [
            (Kind::Money, json!(FEN_LIMIT)),
            (Kind::Instant, json!(i64::MAX)),
            (Kind::Instant, json!(-62_000_000_000_000_i64)),
            (Kind::Day, json!("0999-12-31")),
            (Kind::Day, json!("tomorrow")),
            (Kind::Day, json!("20240101")),
            (Kind::Text(1), json!("餐食")),
            (Kind::Integer, json!(1.5)),
            (Kind::Integer, json!("1")),
        ];
        for (kind, value) in overflows {
            assert_eq!(encode(kind, &value), None, "{value} in {kind:?}");
        }
    }
}
