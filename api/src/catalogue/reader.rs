//! A CSV file as rows: encoding, delimiter, header, line numbers.

use csv::{Position, ReaderBuilder, StringRecord};

use super::cells::Column;
use crate::{
    problem::{FieldError, Problem, kinds},
    strict,
};

/// The most rows of one import.
pub const MAX_ROWS: usize = 10_000;
/// Tried in this order; the first that finds the most columns is taken.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// A file that has been taken apart, its cells not yet read.
#[derive(Debug)]
pub struct File {
    /// The columns of the file, in its order.
    pub columns: Vec<&'static Column>,
    /// Parted by semicolons, as where the comma is the decimal sign.
    pub decimal_comma: bool,
    pub rows: Vec<RawRow>,
}

#[derive(Debug)]
pub struct RawRow {
    /// The line on which it begins; the header is on line 1.
    pub line: usize,
    pub cells: StringRecord,
    /// A quotation mark is left open, so that cells may have run into each other.
    pub open_quote: bool,
}

/// Takes a file apart. 400 when it is not UTF-8 (with or without a byte order mark), 422 when its
/// header is not one of ours or it has too many rows.
pub fn read(csv: &[u8], known: &'static [Column]) -> Result<File, Problem> {
    let text = decode(csv)?;
    let (delimiter, header) = header(text, known)?;
    let columns = columns(&header, known)?;
    Ok(File {
        columns,
        decimal_comma: delimiter == b';',
        rows: rows(text, delimiter)?,
    })
}

fn decode(csv: &[u8]) -> Result<&str, Problem> {
    let text = std::str::from_utf8(csv).map_err(|error| {
        let good = csv.get(..error.valid_up_to()).unwrap_or_default();
        let line = good.split(|byte| *byte == b'\n').count();
        let detail = format!(
            "line {line}, byte {}: not UTF-8; save the file as CSV UTF-8",
            good.len() + 1
        );
        Problem::Malformed(&kinds::MALFORMED_REQUEST, detail, Vec::new())
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The delimiter under which the first line names the most of our columns, and that line.
fn header(text: &str, known: &[Column]) -> Result<(u8, Vec<String>), Problem> {
    let mut best = (0, b',', Vec::new());
    for delimiter in DELIMITERS {
        let mut reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .from_reader(text.as_bytes());
        let names = reader.headers().map_err(unreadable)?;
        let names: Vec<_> = names
            .iter()
            .map(|name| name.trim().to_ascii_lowercase())
            .collect();
        let hits = names
            .iter()
            .filter(|name| known.iter().any(|column| column.name == name.as_str()))
            .count();
        if best.2.is_empty() || hits > best.0 {
            best = (hits, delimiter, names);
        }
    }
    Ok((best.1, best.2))
}

fn columns(header: &[String], known: &'static [Column]) -> Result<Vec<&'static Column>, Problem> {
    let mut errors = Vec::new();
    let mut found: Vec<&Column> = Vec::new();
    for name in header {
        match known.iter().find(|column| column.name == name) {
            None => errors.push(at(
                name,
                "unknown_column",
                format!("there is no column {name:?}"),
            )),
            Some(column) if found.iter().any(|other| other.name == name) => {
                errors.push(at(
                    column.name,
                    "repeated_column",
                    format!("the column {name:?} is there twice"),
                ));
            }
            Some(column) => found.push(column),
        }
    }
    let missing = known
        .iter()
        .filter(|column| column.required && !header.iter().any(|name| name == column.name));
    errors.extend(missing.map(|column| {
        at(
            column.name,
            "missing_column",
            format!("the column {:?} is missing", column.name),
        )
    }));
    if errors.is_empty() {
        Ok(found)
    } else {
        Err(Problem::Invalid(errors))
    }
}

fn rows(text: &str, delimiter: u8) -> Result<Vec<RawRow>, Problem> {
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .from_reader(text.as_bytes());
    reader.headers().map_err(unreadable)?;
    let mut rows = Vec::new();
    let mut lines = Lines {
        text,
        offset: 0,
        line: 1,
    };
    let mut cells = StringRecord::new();
    loop {
        let start = offset(reader.position());
        if !reader.read_record(&mut cells).map_err(unreadable)? {
            return Ok(rows);
        }
        // Spreadsheet programs leave rows of empty cells at the end.
        if cells.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        if rows.len() == MAX_ROWS {
            return Err(Problem::field(
                "",
                "too_many_rows",
                format!("has more than {MAX_ROWS} rows"),
            ));
        }
        let raw = text
            .get(start..offset(reader.position()))
            .unwrap_or_default();
        let open_quote = raw.bytes().filter(|byte| *byte == b'"').count() % 2 == 1;
        rows.push(RawRow {
            line: lines.at(start),
            cells: cells.clone(),
            open_quote,
        });
    }
}

/// Counts lines as the file goes by. The reader's own count is one short after CRLF and before
/// blank lines.
struct Lines<'a> {
    text: &'a str,
    offset: usize,
    line: usize,
}

impl Lines<'_> {
    /// The line of the record that is read from `start`, past what ended the one before.
    fn at(&mut self, start: usize) -> usize {
        let rest = self.text.get(start..).unwrap_or_default();
        let start = start + (rest.len() - rest.trim_start_matches(['\r', '\n']).len());
        let passed = self.text.get(self.offset..start).unwrap_or_default();
        self.line += passed.bytes().filter(|byte| *byte == b'\n').count();
        self.offset = start;
        self.line
    }
}

fn offset(position: &Position) -> usize {
    usize::try_from(position.byte()).unwrap_or(usize::MAX)
}

fn at(column: &str, code: &'static str, detail: String) -> FieldError {
    FieldError::new(&format!("/{}", strict::escape(column)), code, detail)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that map_err calls"
)]
fn unreadable(error: csv::Error) -> Problem {
    Problem::Malformed(
        &kinds::MALFORMED_REQUEST,
        format!("not CSV: {error}"),
        Vec::new(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Kind;

    static COLUMNS: [Column; 3] = [
        Column::required("external_id", Kind::Text),
        Column::required("name", Kind::Text),
        Column::optional("hire_fee", Kind::Money),
    ];

    fn lines(csv: &str) -> Vec<(usize, Vec<String>)> {
        let rows = read(csv.as_bytes(), &COLUMNS).unwrap().rows;
        rows.iter()
            .map(|row| (row.line, row.cells.iter().map(str::to_owned).collect()))
            .collect()
    }

    fn refusal(csv: &[u8]) -> String {
        match read(csv, &COLUMNS).unwrap_err() {
            Problem::Malformed(_, detail, _) => detail,
            Problem::Invalid(errors) => errors
                .into_iter()
                .map(|error| error.detail)
                .collect::<Vec<_>>()
                .join("; "),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rows_know_the_line_on_which_they_begin() {
        for end in ["\n", "\r\n"] {
            let csv = ["external_id,name", "1,\"a", "b\"", "", "2,c", "3,d"].join(end);
            let found: Vec<_> = lines(&csv).into_iter().map(|row| row.0).collect();
            assert_eq!(found, [2, 5, 6], "{end:?}");
        }
    }

    #[test]
    fn the_delimiter_is_found_by_the_header() {
        for delimiter in [",", ";", "\t"] {
            let csv = ["name", "external_id"].join(delimiter) + "\n" + &["a", "1"].join(delimiter);
            assert_eq!(
                lines(&csv),
                [(2, vec!["a".to_owned(), "1".to_owned()])],
                "{delimiter:?}"
            );
        }
    }

    #[test]
    fn a_byte_order_mark_is_not_part_of_the_header() {
        assert_eq!(lines("\u{feff}external_id,name\n1,a").len(), 1);
    }

    #[test]
    fn other_encodings_are_named_with_their_place() {
        let detail = refusal(b"external_id,name\n1,M\xfcnchen\n");
        assert!(detail.starts_with("line 2, byte 21: not UTF-8"), "{detail}");
    }

    #[test]
    fn wrong_headers_are_named() {
        assert_eq!(
            refusal(b"external_id,colour,external_id"),
            "there is no column \"colour\"; the column \"external_id\" is there twice; the column \"name\" is missing"
        );
        assert!(refusal(b"").contains("\"name\" is missing"));
    }

    #[test]
    fn rows_of_nothing_are_passed_over() {
        assert_eq!(lines("external_id;name\n;\n1;a\n; \n").len(), 1);
    }

    #[test]
    fn an_open_quotation_mark_is_seen() {
        let file = read(b"external_id,name\n1,\"a\n2,b\n", &COLUMNS).unwrap();
        assert!(file.rows[0].open_quote);
        assert!(
            !read(b"external_id,name\n1,\"a \"\"b\"\"\"\n", &COLUMNS)
                .unwrap()
                .rows[0]
                .open_quote
        );
    }
}
