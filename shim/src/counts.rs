use std::sync::Once;

use figures::{Count, Figures};

/// Counts what has happened, when it was answered. What is wrong with the file
/// is said once, and keeps nothing from running.
pub fn add(figures: &Figures, count: Count) {
    static TOLD: Once = Once::new();
    if let Err(error) = figures.add(count) {
        let path = figures.path().unwrap_or_else(|| "".as_ref()).display();
        TOLD.call_once(|| log::warn!("no metrics are written to {path}: {error}"));
    }
}
