//! Reads cgroup files. A controller that is not there, or a file that this
//! kernel does not have, counts as 0: the other figures still count.

use std::collections::HashMap;
use std::path::Path;

/// A file with one number; `max` is the greatest there is.
pub fn number(folder: Option<&Path>, file: &str) -> u64 {
    text(folder, file).map_or(0, |text| parse(text.trim()))
}

/// A file of lines `name value`.
pub fn table(folder: Option<&Path>, file: &str) -> HashMap<String, u64> {
    let text = text(folder, file).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, value)| (name.to_owned(), parse(value.trim())))
        .collect()
}

/// A file as it is.
pub fn text(folder: Option<&Path>, file: &str) -> Option<String> {
    std::fs::read_to_string(folder?.join(file)).ok()
}

/// `8:0` as major and minor number of a device.
pub fn device(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn parse(text: &str) -> u64 {
    if text == "max" {
        u64::MAX
    } else {
        text.parse().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_counts_as_nothing() {
        let folder = Path::new("/no/such/folder");
        assert_eq!(number(None, "x"), 0);
        assert_eq!(number(Some(folder), "x"), 0);
        assert!(table(Some(folder), "x").is_empty());
        assert_eq!(parse("max"), u64::MAX);
        assert_eq!(device("8:16"), Some((8, 16)));
        assert_eq!(device("Total"), None);
    }
}
