//! One element in the array `imports`, put in and taken out by its bytes.

use std::path::Path;

use super::document::Document;
use crate::error::{Error, Result};

/// Says whose line it is that has our import alone.
const MARK: &str = "  # added by wasm-node-installer";

/// The file with `import` among its imports.
pub fn with(path: &Path, text: &str, import: &str) -> Result<String> {
    let document = Document::parse(path, text)?;
    if document.imports().iter().any(|there| there == import) {
        return Ok(text.into());
    }
    let value = format!("{import:?}");
    let Some((array, elements)) = document.imports_spans() else {
        return Ok(insert(
            text,
            after_version(path, text)?,
            &format!("imports = [{value}]{MARK}\n"),
        ));
    };
    Ok(match elements.last() {
        Some((_, last)) => insert(text, last.end, &format!(", {value}")),
        None => insert(text, array.start + 1, &value),
    })
}

/// The file without it, as it was before [`with`].
pub fn without(path: &Path, text: &str, import: &str) -> Result<String> {
    let own_line = format!("imports = [{import:?}]{MARK}\n");
    if text.contains(&own_line) {
        return Ok(text.replacen(&own_line, "", 1));
    }
    let document = Document::parse(path, text)?;
    let Some((_, elements)) = document.imports_spans() else {
        return Ok(text.into());
    };
    let Some(at) = elements.iter().position(|(value, _)| value == import) else {
        return Ok(text.into());
    };
    let span = &elements[at].1;
    // With the comma that came with it; the first one leaves the comma after it.
    let (start, end) = match at {
        0 => (
            span.start,
            elements.get(1).map_or(span.end, |(_, next)| next.start),
        ),
        _ => (elements[at - 1].1.end, span.end),
    };
    Ok(format!("{}{}", &text[..start], &text[end..]))
}

fn insert(text: &str, at: usize, what: &str) -> String {
    format!("{}{what}{}", &text[..at], &text[at..])
}

/// The start of the line after `version = N`: keys of the root come before tables.
fn after_version(path: &Path, text: &str) -> Result<usize> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        at += line.len();
        let is_version = line
            .trim_start()
            .strip_prefix("version")
            .is_some_and(|rest| rest.trim_start().starts_with('='));
        if is_version && line.ends_with('\n') {
            return Ok(at);
        }
    }
    Err(Error::invalid(format!(
        "{} has no line `version = …` of its own; give it one, so that imports can follow it",
        path.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "/etc/containerd/conf.d/containerd-shim-wasm.toml";

    #[test]
    fn only_the_element_changes() {
        let path = Path::new("/c.toml");
        for text in [
            "version = 3\nimports = []\n",
            "version = 3\nimports = [ ]  # none\n[grpc]\n",
            "imports = ['/a.toml']\nversion = 3\n",
            "version = 3\nimports = [\n  \"/a.toml\", # one\n  '/b/*.toml',\n]\n",
            "# first\nversion = 3 # of the format\nroot = '/r'\n[debug]\n  level = 'info'\n",
            "version = 3\r\nroot = '/r'\r\n",
        ] {
            let changed = with(path, text, OURS).unwrap();
            let mut expected = Document::parse(path, text).unwrap().imports();
            expected.push(OURS.into());
            assert_eq!(
                Document::parse(path, &changed).unwrap().imports(),
                expected,
                "{changed}"
            );
            assert_eq!(with(path, &changed, OURS).unwrap(), changed);
            assert_eq!(without(path, &changed, OURS).unwrap(), text);
        }
    }

    #[test]
    fn what_others_added_later_stays() {
        let path = Path::new("/c.toml");
        let text = format!("version = 3\nimports = [\"{OURS}\", \"/later.toml\"]\n");
        assert_eq!(
            without(path, &text, OURS).unwrap(),
            "version = 3\nimports = [\"/later.toml\"]\n"
        );
        assert_eq!(
            without(path, "version = 3\n", OURS).unwrap(),
            "version = 3\n"
        );
    }

    #[test]
    fn a_version_that_is_no_line_is_told() {
        let error = with(Path::new("/c.toml"), "\"version\" = 3", OURS).unwrap_err();
        assert!(error.to_string().contains("version"), "{error}");
    }
}
