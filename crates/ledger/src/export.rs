//! Rows of reports as CSV or JSON lines.

use std::io::{self, Write};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use crate::{Cell, Column, Row};

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, with a line of names first. For spreadsheets: no cell begins like a formula, and what is
    /// not UTF-8 has U+FFFD in its place.
    Csv,
    /// One JSON object a line, nothing lost: an output that is not UTF-8 is in base64, under its name
    /// with `_base64`.
    JsonLines,
}

/// Writes one report, row by row.
#[derive(Debug)]
pub struct Export<W> {
    columns: &'static [Column],
    format: Format,
    out: W,
}

impl<W: Write> Export<W> {
    /// Begins a report with these columns.
    ///
    /// # Errors
    /// `out` does not take it.
    pub fn begin(columns: &'static [Column], format: Format, mut out: W) -> io::Result<Self> {
        match format {
            Format::Csv => {
                let names: Vec<_> = columns.iter().map(|column| column.name).collect();
                write!(out, "{}\r\n", names.join(","))?;
            }
            Format::JsonLines => {}
        }
        Ok(Self { columns, format, out })
    }

    /// Writes a row.
    ///
    /// # Errors
    /// `out` does not take it.
    pub fn write(&mut self, row: &Row) -> io::Result<()> {
        match self.format {
            Format::Csv => {
                let cells: Vec<_> = row.0.iter().map(csv).collect();
                write!(self.out, "{}\r\n", cells.join(","))
            }
            Format::JsonLines => {
                let mut object = Map::new();
                for (column, cell) in self.columns.iter().zip(&row.0) {
                    let (name, value) = json(column.name, cell);
                    object.insert(name, value);
                }
                serde_json::to_writer(&mut self.out, &object)?;
                self.out.write_all(b"\n")
            }
        }
    }

    /// Ends the report, and gives back what it was written to.
    ///
    /// # Errors
    /// `out` does not take what is left.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

fn csv(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Number(number) => number.to_string(),
        Cell::Flag(flag) => flag.to_string(),
        Cell::Text(text) | Cell::Object(text) => quoted(text),
        Cell::Bytes(bytes) => quoted(&String::from_utf8_lossy(bytes)),
    }
}

/// A cell of text, always in quotes: what separates cells differs from country to country.
///
/// What a machine wrote must not run where somebody opens the table. Spreadsheets take what begins with one
/// of these, and some also their full-width forms, for a formula; an apostrophe before it says that
/// it is text.
fn quoted(text: &str) -> String {
    const FORMULAS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    let guard = if text.starts_with(FORMULAS) { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

fn json(name: &str, cell: &Cell) -> (String, Value) {
    let value = match cell {
        Cell::Empty => Value::Null,
        Cell::Number(number) => (*number).into(),
        Cell::Flag(flag) => (*flag).into(),
        Cell::Text(text) => text.as_str().into(),
        // What is no JSON is in no database of ours; whoever wrote it there gets it back as text.
        Cell::Object(text) => serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into()),
        Cell::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => {
                return (format!("{name}_base64"), BASE64_STANDARD.encode(bytes).into());
            }
        },
    };
    (name.to_owned(), value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Kind;

    const COLUMNS: &[Column] = &[
        Column { name: "sequence", kind: Kind::Number },
        Column { name: "peer", kind: Kind::Text },
        Column { name: "labels", kind: Kind::Object },
        Column { name: "expected", kind: Kind::Flag },
        Column { name: "stdout", kind: Kind::Bytes },
    ];

    fn row(text: &str, bytes: &[u8]) -> Row {
        let labels = Cell::Object(r#"{"site":"berlin"}"#.to_owned());
        let bytes = Cell::Bytes(bytes.to_vec());
        Row(vec![Cell::Number(7), Cell::Text(text.to_owned()), labels, Cell::Flag(true), bytes])
    }

    fn exported(format: Format, rows: &[Row]) -> String {
        let mut export = Export::begin(COLUMNS, format, Vec::new()).expect("begins");
        for row in rows {
            export.write(row).expect("writes");
        }
        String::from_utf8(export.finish().expect("ends")).expect("is UTF-8")
    }

    #[test]
    fn csv_is_quoted_and_holds_no_formula() {
        let rows = [
            row("a \"b\", c;\nd", b"=cmd|' /C calc'!A0"),
            row("@SUM(1)", b"\xff+1"),
            row("-1", b""),
            row("＝1", b"\t=1"),
            Row(vec![Cell::Empty, Cell::Empty, Cell::Empty, Cell::Flag(false), Cell::Empty]),
        ];
        let labels = r#""{""site"":""berlin""}""#;
        let expected = [
            "sequence,peer,labels,expected,stdout\r\n".to_owned(),
            format!("7,\"a \"\"b\"\", c;\nd\",{labels},true,\"'=cmd|' /C calc'!A0\"\r\n"),
            format!("7,\"'@SUM(1)\",{labels},true,\"\u{fffd}+1\"\r\n"),
            format!("7,\"'-1\",{labels},true,\"\"\r\n"),
            format!("7,\"'＝1\",{labels},true,\"'\t=1\"\r\n"),
            ",,,false,\r\n".to_owned(),
        ];
        assert_eq!(exported(Format::Csv, &rows), expected.concat());
        assert_eq!(exported(Format::Csv, &[]), expected[0]);
    }

    #[test]
    fn json_lines_lose_nothing() {
        let rows = [row("=1\n\"", b"\x00text\r\n"), row("b", b"\xff\x00")];
        let expected = concat!(
            r#"{"expected":true,"labels":{"site":"berlin"},"peer":"=1\n\"","sequence":7,"#,
            r#""stdout":"\u0000text\r\n"}"#,
            "\n",
            r#"{"expected":true,"labels":{"site":"berlin"},"peer":"b","sequence":7,"#,
            r#""stdout_base64":"/wA="}"#,
            "\n",
        );
        assert_eq!(exported(Format::JsonLines, &rows), expected);
        assert_eq!(exported(Format::JsonLines, &[]), "");
    }
}
