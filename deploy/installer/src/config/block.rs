//! Lines of ours at the end of a file that is somebody else's.

const BEGIN: &str =
    "# BEGIN wasm-node-installer: written by it, and removed by `wasm-node-installer uninstall`\n";
const END: &str = "# END wasm-node-installer\n";

/// The file with our lines as its last. They begin with a line end: it ends a last
/// line that has none, and goes with the rest.
pub fn with(text: &str, lines: &str) -> String {
    format!("{}\n{BEGIN}{lines}{END}", without(text))
}

/// The file as it was without our lines, wherever they are by now.
pub fn without(text: &str) -> String {
    let Some(begin) = text.find(BEGIN) else {
        return text.into();
    };
    let Some(length) = text[begin..].find(END) else {
        // Half a block can't come from us, as files are replaced whole.
        return text.into();
    };
    let before = text[..begin].strip_suffix('\n').unwrap_or(&text[..begin]);
    format!("{before}{}", &text[begin + length + END.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_the_file_stays_byte_for_byte() {
        for text in [
            "",
            "version = 2",
            "version = 2\n",
            "a = 1\n\n\n",
            "# ä\r\na = 1\r\n",
        ] {
            let changed = with(text, "[table]\n");
            assert!(changed.starts_with(text), "{changed:?}");
            assert_eq!(without(&changed), text);
            assert_eq!(with(&changed, "[table]\n"), changed);
            assert_eq!(with(&changed, "[other]\n"), with(text, "[other]\n"));
            assert_eq!(
                without(&format!("{changed}# later\n")),
                format!("{text}# later\n")
            );
        }
    }
}
