//! Tables that people hand over as files: CSV and XLSX, read and written as rows of text.
//!
//! Text stays text: an account number that a program takes for a number loses its last digits, and a name that begins like a
//! formula is carried out by whoever opens the file.

use std::io::{Cursor, Read as _};

use calamine::{DataRef, Reader as _, Xlsx};
use encoding_rs::GBK;
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Workbook, XlsxError};
use zip::ZipArchive;

use crate::domain::time::Instant;
use crate::error::{Error, Result};

/// Rows of a table at most.
pub const ROWS_MAX: usize = 5_000;
/// Columns of a table at most.
const COLUMNS_MAX: usize = 64;
/// Bytes that an XLSX file may unfold to.
const UNFOLDED_BYTES_MAX: u64 = 32 << 20;
/// How every ZIP file begins, and so every XLSX file.
const ZIP_MAGIC: &[u8] = b"PK\x03\x04";
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Reads a table: XLSX (its first sheet), or CSV in UTF-8 or GBK, as Chinese spreadsheets save it. Cells are trimmed.
///
/// # Errors
/// [`Error::Invalid`] when it is no such table, or too large.
pub fn read(file: &[u8]) -> Result<Vec<Vec<String>>> {
    if file.starts_with(ZIP_MAGIC) { read_xlsx(file) } else { read_csv(file) }
}

fn refused(why: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::invalid("", why)
}

fn too_large() -> Error {
    refused(format!("表格不能超过{ROWS_MAX}行、{COLUMNS_MAX}列"))
}

fn read_csv(file: &[u8]) -> Result<Vec<Vec<String>>> {
    let file = file.strip_prefix(BOM).unwrap_or(file);
    let text = match std::str::from_utf8(file) {
        Ok(text) => text.to_owned(),
        Err(_) => match GBK.decode_without_bom_handling_and_without_replacement(file) {
            Some(text) => text.into_owned(),
            None => return Err(refused("文件应为UTF-8或GBK编码的CSV，或XLSX")),
        },
    };
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|_| refused("文件不是有效的CSV"))?;
        if rows.len() >= ROWS_MAX || record.len() > COLUMNS_MAX {
            return Err(too_large());
        }
        rows.push(record.iter().map(|cell| cell.trim().to_owned()).collect());
    }
    Ok(rows)
}

fn read_xlsx(file: &[u8]) -> Result<Vec<Vec<String>>> {
    let broken = || refused("文件不是有效的XLSX");
    check_unfolded(file)?;
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(file)).map_err(|_| broken())?;
    let sheet = book.sheet_names().first().cloned().ok_or_else(broken)?;
    let mut cells = book.worksheet_cells_reader(&sheet).map_err(|_| broken())?;
    let mut rows: Vec<Vec<String>> = Vec::new();
    // Cell by cell: a range is allocated whole, and two cells far apart would make it as large as a sheet may be.
    while let Some(cell) = cells.next_cell().map_err(|_| broken())? {
        let text = text_of(cell.get_value());
        if text.is_empty() {
            continue;
        }
        let (row, column) = cell.get_position();
        let (row, column) = (row as usize, column as usize);
        if row >= ROWS_MAX || column >= COLUMNS_MAX {
            return Err(too_large());
        }
        rows.resize_with(rows.len().max(row + 1), Vec::new);
        let length = rows[row].len().max(column + 1);
        rows[row].resize(length, String::new());
        rows[row][column] = text;
    }
    Ok(rows)
}

/// Unfolds every part of the file, to nowhere, before anything keeps one: what the file says of its sizes is its own word.
fn check_unfolded(file: &[u8]) -> Result<()> {
    let broken = |_| refused("文件不是有效的XLSX");
    let mut archive = ZipArchive::new(Cursor::new(file)).map_err(broken)?;
    let mut left = UNFOLDED_BYTES_MAX;
    for index in 0..archive.len() {
        let part = archive.by_index(index).map_err(broken)?;
        let unfolded = std::io::copy(&mut part.take(left + 1), &mut std::io::sink());
        left = left.checked_sub(unfolded.map_err(|_| refused("文件不是有效的XLSX"))?).ok_or_else(too_large)?;
    }
    Ok(())
}

/// What a cell shows. A number has been made a float by whoever saved the file; its shortest text gives the digits back that were
/// typed, up to fifteen of them.
fn text_of(value: &DataRef<'_>) -> String {
    match value {
        DataRef::String(text) => text.trim().to_owned(),
        DataRef::SharedString(text) => text.trim().to_owned(),
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => number.to_string(),
        DataRef::Bool(flag) => flag.to_string(),
        DataRef::DateTime(moment) => moment.to_string(),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.clone(),
        DataRef::Error(_) | DataRef::Empty => String::new(),
    }
}

/// The table as CSV: UTF-8 with the mark that spreadsheets know it by.
///
/// # Errors
/// [`Error::Corrupt`] when it could not be written: a bug.
pub fn csv(rows: &[Vec<String>]) -> Result<Vec<u8>> {
    let failed = |error: csv::Error| Error::Corrupt(format!("a table could not be written: {error}"));
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(BOM.to_vec());
    for row in rows {
        writer.write_record(row.iter().map(|cell| harmless(cell))).map_err(failed)?;
    }
    writer.into_inner().map_err(|error| Error::Corrupt(format!("a table could not be written: {}", error.error())))
}

/// The table as XLSX, every cell a text. The same table and moment give the same bytes.
///
/// # Errors
/// [`Error::Corrupt`] when it could not be written: a bug.
pub fn xlsx(rows: &[Vec<String>], made_at: Instant) -> Result<Vec<u8>> {
    workbook(rows, made_at).map_err(|error| Error::Corrupt(format!("a table could not be written: {error}")))
}

fn workbook(rows: &[Vec<String>], made_at: Instant) -> std::result::Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    let moment = ExcelDateTime::from_timestamp(made_at.0.div_euclid(1_000))?;
    book.set_properties(&DocProperties::new().set_creation_datetime(&moment));
    let sheet = book.add_worksheet();
    for (row, cells) in (0_u32..).zip(rows) {
        for (column, cell) in (0_u16..).zip(cells) {
            sheet.write_string(row, column, harmless(cell))?;
        }
    }
    book.save_to_buffer()
}

/// A cell that no spreadsheet takes for a formula.
fn harmless(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Vec<Vec<String>> {
        [["姓名", "账号", "金额"], ["王五", "6222020200012345678", "8000.00"], ["a,\"b\"", "001", "0.01"]]
            .map(|row| row.map(str::to_owned).to_vec())
            .to_vec()
    }

    #[test]
    fn a_table_reads_back_to_the_letter_and_is_written_alike_each_time() {
        let made_at = Instant(1_704_067_200_000);
        let (text, book) = (csv(&table()).expect("writes"), xlsx(&table(), made_at).expect("writes"));
        assert!(text.starts_with(BOM));
        assert_eq!(read(&text).expect("reads"), table());
        assert_eq!(read(&book).expect("reads"), table());
        assert_eq!(xlsx(&table(), made_at).expect("writes"), book);
        let (gbk, _, _) = GBK.encode("姓名,结果\r\n王五,成功\r\n");
        assert_eq!(read(&gbk).expect("reads"), [["姓名", "结果"], ["王五", "成功"]]);
    }

    #[test]
    fn no_cell_is_a_formula() {
        let rows = vec![["=1+1", "+1", "-1", "@a", "a=1"].map(str::to_owned).to_vec()];
        let text = String::from_utf8(csv(&rows).expect("writes")).expect("text");
        assert_eq!(text.trim_start_matches('\u{feff}').trim_end(), "'=1+1,'+1,'-1,'@a,a=1");
        assert_eq!(read(&xlsx(&rows, Instant(0)).expect("writes")).expect("reads")[0][0], "'=1+1");
    }

    #[test]
    fn what_is_no_table_is_refused() {
        let mut broken = ZIP_MAGIC.to_vec();
        broken.extend([0; 64]);
        for file in [&broken[..], b"\xff\xff\xff", b"PK\x03\x04"] {
            assert!(matches!(read(file), Err(Error::Invalid(_))), "{file:?}");
        }
        let long = "a\n".repeat(ROWS_MAX + 1);
        assert!(matches!(read(long.as_bytes()), Err(Error::Invalid(_))));
        assert!(matches!(read(",".repeat(COLUMNS_MAX + 1).as_bytes()), Err(Error::Invalid(_))));
        assert_eq!(read(b"").expect("an empty table"), Vec::<Vec<String>>::new());
    }
}
