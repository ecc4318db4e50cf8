//! What happened at the demonstration's center before today.

use jiff::ToSpan;
use jiff::civil::{Date, Time, time};

use super::chance::Chance;
use super::{Staff, money, number, rows, said};
use crate::domain::access::Actor;
use crate::domain::attendance::{Punch, PunchType, days};
use crate::domain::ids::CustomerId;
use crate::domain::money::Fen;
use crate::domain::time::Zone;
use crate::error::{Error, Result};
use crate::service::transactions::{self, NewTransaction};
use crate::store::attendance::{PunchRow, insert_punch, next_punch_id, save_day};
use crate::store::{Db, WriteTx};

/// Days of attendance.
const PUNCH_DAYS: i64 = 90;
/// Months of income and expense.
const BOOK_MONTHS: i64 = 12;

/// Everybody's punches of the last quarter, one employee a transaction.
pub async fn punches(db: &Db, staff: Vec<Staff>) -> Result<()> {
    for (series, staff) in staff.into_iter().enumerate() {
        db.write(move |tx| punches_of(tx, &staff, Chance::new(series as u64))).await?;
    }
    Ok(())
}

fn punches_of(tx: &WriteTx<'_>, staff: &Staff, mut chance: Chance) -> Result<()> {
    let today = tx.zone.day(tx.now);
    let mut log = Vec::new();
    for back in (1..=PUNCH_DAYS).rev() {
        let day = today.saturating_sub(back.days());
        // Two days in seven are free, on days of each one's own.
        if day < staff.joined || (back + staff.id.get()) % 7 < 2 {
            continue;
        }
        let (begins, hours) = match staff.shift.as_str() {
            "night" => (time(20, 0, 0, 0), 12),
            "middle" => (time(12, 0, 0, 0), 9),
            _ => (time(8, 0, 0, 0), 9),
        };
        let begins = at(tx.zone, day, begins)?.plus_ms(chance.between(-25, 6) * 60_000);
        log.push(Punch { effective_at: begins, kind: PunchType::CheckIn });
        // Now and then somebody forgets to punch out.
        if chance.between(1, 60) > 1 {
            let ends = begins.plus_ms((hours * 60 + chance.between(5, 50)) * 60_000);
            log.push(Punch { effective_at: ends, kind: PunchType::CheckOut });
        }
    }
    for punch in &log {
        let row = PunchRow {
            id: next_punch_id(tx)?,
            employee_id: staff.id,
            kind: punch.kind,
            effective_at: punch.effective_at,
            received_at: punch.effective_at,
            punched_at: None,
            clock_suspect: false,
            recorded_by: None,
        };
        insert_punch(tx, &row)?;
    }
    for (date, day) in days(&log, tx.zone) {
        if let Some(status) = day.status() {
            save_day(tx, staff.id, date, &day, status)?;
        }
    }
    Ok(())
}

/// The books of the last year, one month a transaction.
pub async fn books(db: &Db, mothers: Vec<(CustomerId, String)>) -> Result<()> {
    let today = db.zone().day(db.now());
    for back in (0..BOOK_MONTHS).rev() {
        let month = today.first_of_month().saturating_sub(back.months());
        let mothers = mothers.clone();
        db.write(move |tx| month_of_books(tx, month, today, &mothers)).await?;
    }
    Ok(())
}

fn month_of_books(tx: &WriteTx<'_>, month: Date, today: Date, mothers: &[(CustomerId, String)]) -> Result<()> {
    let actor = Actor::system("demo");
    let mut chance = Chance::new(month.year() as u64 * 12 + month.month() as u64);
    for row in rows(include_str!("transactions.csv"))? {
        for _ in 0..number(&row, "per_month")? {
            let day = month.saturating_add((chance.between(1, i64::from(month.days_in_month())) - 1).days());
            let clock = time(chance.between(8, 18) as i8, chance.between(0, 59) as i8, 0, 0);
            let (least, most) = (money(&row, "min_amount")?, money(&row, "max_amount")?);
            let amount = Fen(chance.between(least.0 / 100, most.0 / 100) * 100);
            let mother = &mothers[chance.between(0, mothers.len() as i64 - 1) as usize];
            if day > today {
                continue;
            }
            let related_type = said(&row, "related_type");
            let related_id = match related_type.as_deref() {
                Some("customer") => Some(mother.0.get()),
                Some(_) => Some(chance.between(1, 12)),
                None => None,
            };
            let description =
                row["description"].replace("{name}", &mother.1).replace("{month}", &month.month().to_string());
            let new = NewTransaction {
                direction: row["type"].parse().map_err(|_| Error::Corrupt("demonstration data: type".to_owned()))?,
                category: row["category"].clone(),
                amount,
                description: Some(description),
                transaction_at: Some(at(tx.zone, day, clock)?.min(tx.now)),
                payment_method: said(&row, "payment_method"),
                related_id,
                related_type,
            };
            transactions::create(tx, &actor, new)?;
        }
    }
    Ok(())
}

fn at(zone: &Zone, day: Date, clock: Time) -> Result<crate::domain::time::Instant> {
    zone.instant(day.to_datetime(clock)).ok_or_else(|| Error::Corrupt(format!("no such moment: {day} {clock}")))
}
