//! The views for reports, as rows of named cells.

use community::{CommunityId, PeerName};

use crate::LedgerError;
use crate::stored::Columns;

/// Which rows of a report. What is `None` leaves nobody out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReportFilter {
    /// Of this community.
    pub community: Option<CommunityId>,
    /// Of packages of this name.
    pub name: Option<String>,
    /// Of releases with this number.
    pub sequence: Option<u64>,
    /// Of this peer.
    pub peer: Option<PeerName>,
}

/// A column of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// What it is called in the view and in exports.
    pub name: &'static str,
    /// What is in it.
    pub kind: Kind,
}

/// What is in a column; any cell may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A JSON object as text.
    Object,
    /// A number, 0 or greater.
    Number,
    /// Yes or no.
    Flag,
    /// What a script wrote.
    Bytes,
}

/// What stands in a row at a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Empty,
    /// Of [`Kind::Text`].
    Text(String),
    /// Of [`Kind::Object`].
    Object(String),
    /// Of [`Kind::Number`].
    Number(i64),
    /// Of [`Kind::Flag`].
    Flag(bool),
    /// Of [`Kind::Bytes`].
    Bytes(Vec<u8>),
}

/// One row of a report: a cell for each column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(pub Vec<Cell>);

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind }
}

/// The columns of `receipts_report` and `latest_report`, in order.
pub const RECEIPT_COLUMNS: &[Column] = &[
    column("package", Kind::Number),
    column("target", Kind::Number),
    column("community", Kind::Text),
    column("feed", Kind::Text),
    column("sequence", Kind::Number),
    column("name", Kind::Text),
    column("version", Kind::Text),
    column("peer", Kind::Text),
    column("key", Kind::Text),
    column("labels", Kind::Object),
    column("state", Kind::Text),
    column("sent", Kind::Text),
    column("answered", Kind::Text),
    column("verdict", Kind::Text),
    column("reason", Kind::Text),
    column("steps", Kind::Number),
    column("begun", Kind::Text),
];

/// The columns of `steps_report`, in order.
pub const STEP_COLUMNS: &[Column] = &[
    column("package", Kind::Number),
    column("target", Kind::Number),
    column("community", Kind::Text),
    column("feed", Kind::Text),
    column("sequence", Kind::Number),
    column("name", Kind::Text),
    column("version", Kind::Text),
    column("peer", Kind::Text),
    column("key", Kind::Text),
    column("verdict", Kind::Text),
    column("number", Kind::Number),
    column("step", Kind::Text),
    column("outcome", Kind::Text),
    column("reason", Kind::Text),
    column("begun", Kind::Text),
    column("took_us", Kind::Number),
    column("exit_code", Kind::Number),
    column("signal", Kind::Number),
    column("timed_out", Kind::Flag),
    column("expected", Kind::Flag),
    column("stdout", Kind::Bytes),
    column("stdout_total", Kind::Number),
    column("stderr", Kind::Bytes),
    column("stderr_total", Kind::Number),
    column("cpu_us", Kind::Number),
    column("memory_bytes", Kind::Number),
    column("added", Kind::Number),
    column("changed", Kind::Number),
    column("kept", Kind::Number),
    column("removed", Kind::Number),
    column("bytes", Kind::Number),
    column("ran_into", Kind::Text),
    column("memory_together_bytes", Kind::Number),
];

/// The row that is read, whose columns are these.
pub(crate) fn row(columns: &[Column], stored: &impl Columns) -> Result<Row, LedgerError> {
    let cell = |(index, column): (usize, &Column)| {
        let cell = match column.kind {
            Kind::Text => stored.maybe_text(index)?.map(Cell::Text),
            Kind::Object => stored.maybe_text(index)?.map(Cell::Object),
            Kind::Number => stored.maybe_number(index)?.map(Cell::Number),
            Kind::Flag => stored.maybe_flag(index)?.map(Cell::Flag),
            Kind::Bytes => stored.maybe_bytes(index)?.map(Cell::Bytes),
        };
        Ok(cell.unwrap_or(Cell::Empty))
    };
    columns.iter().enumerate().map(cell).collect::<Result<_, _>>().map(Row)
}
