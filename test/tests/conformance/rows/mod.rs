//! The steps, a row of the page each, by method.

mod create;
mod ends;
mod events;
mod exec;
mod io;
mod kill;
mod pause;
mod state;
mod update;

use crate::subject::Subject;

/// One thing that both shims do.
pub struct Row {
    pub method: &'static str,
    pub what: &'static str,
    /// What came of it, in a few words.
    pub run: fn(&Subject<'_>) -> String,
}

/// In the order of the page; a method's rows are together.
const ROWS: &[&[Row]] = &[
    create::ROWS,
    state::ROWS,
    kill::ROWS,
    ends::ROWS,
    exec::ROWS,
    pause::ROWS,
    update::ROWS,
    io::ROWS,
    events::ROWS,
];

pub fn all() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().copied().flatten()
}
