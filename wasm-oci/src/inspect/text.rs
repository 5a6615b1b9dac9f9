//! A report for people. What comes from the archive can't drive the terminal.

use super::report::{Image, Kind, Module, Report};

/// How many names a line lists.
const LISTED: usize = 12;

pub fn report(report: &Report) -> String {
    let images: Vec<String> = report.images.iter().map(image).collect();
    images.join("\n")
}

fn image(image: &Image) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            text += &format!("{name:<13}{}\n", clean(value));
        }
    };
    line("name", image.name.as_deref().unwrap_or("none"));
    line("kind", kind(image.kind));
    line("platform", image.platform.as_deref().unwrap_or("unknown"));
    line("digest", &image.digest);
    line("created", image.created.as_deref().unwrap_or_default());
    line(
        "size",
        &size(image.layers.iter().map(|layer| layer.size).sum()),
    );
    line("entrypoint", &words(&image.entrypoint));
    line("arguments", &words(&image.cmd));
    image.env.iter().for_each(|pair| line("env", pair));
    line("workdir", image.working_dir.as_deref().unwrap_or_default());
    line("user", image.user.as_deref().unwrap_or_default());
    let pairs = image.labels.iter().map(|pair| ("label", pair));
    let pairs = pairs.chain(image.annotations.iter().map(|pair| ("annotation", pair)));
    pairs.for_each(|(kind, (name, value))| line(kind, &format!("{name}={value}")));
    for layer in &image.layers {
        let (digest, kind) = (&layer.digest, &layer.media_type);
        line("layer", &format!("{digest} {kind} {}", size(layer.size)));
    }
    for module in &image.modules {
        line(
            module.format,
            &format!("{} {}", module.path, size(module.size)),
        );
        line("  imports", &listed(&imports(module)));
        let exports = module.content.exports.iter();
        let exports: Vec<&str> = exports.map(|export| export.name.as_str()).collect();
        line("  exports", &listed(&exports));
    }
    text
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Image => "image",
        Kind::Artifact => "artifact",
        Kind::Attestation => "attestation",
        Kind::Other => "artifact of another kind",
    }
}

/// WASI has many functions that say little; of other modules each counts.
fn imports(module: &Module) -> Vec<String> {
    let mut names = Vec::new();
    for import in &module.content.imports {
        let name = match import.module.starts_with("wasi") {
            true => import.module.clone(),
            false => format!("{}.{}", import.module, import.name),
        };
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    names.sort();
    names.dedup();
    names
}

fn listed(names: &[impl AsRef<str>]) -> String {
    let shown: Vec<&str> = names.iter().take(LISTED).map(AsRef::as_ref).collect();
    let more = match names.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", shown.join(" "))
}

/// Words with their limits, where these can't be told.
fn words(words: &[String]) -> String {
    let is_plain = |word: &String| !word.is_empty() && !word.contains(char::is_whitespace);
    let words = words.iter().map(|word| match is_plain(word) {
        true => word.clone(),
        false => format!("{word:?}"),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        if value < 999.5 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    match unit {
        "B" => format!("{bytes} B"),
        _ => format!("{value:.1} {unit}"),
    }
}

/// Control characters, and those that turn the direction of text, as escapes.
pub fn clean(text: &str) -> String {
    let is_harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut cleaned = String::with_capacity(text.len());
    for c in text.chars() {
        match is_harmful(c) {
            true => cleaned.extend(c.escape_default()),
            false => cleaned.push(c),
        }
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (26_214_400, "26.2 MB"),
            (u64::MAX, "18446744.1 TB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn text_of_an_archive_cannot_drive_the_terminal() {
        let mut hostile = Image::new(Kind::Image, Some("a\x1b[2J\nname b".into()), "d".into());
        hostile.entrypoint = vec!["\u{202e}x".into(), "two words".into()];
        let text = image(&hostile);
        assert!(
            text.starts_with("name         a\\u{1b}[2J\\nname b\n"),
            "{text}"
        );
        assert!(text.contains("\\u{202e}x \"two words\"\n"), "{text}");
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..15).map(|n| n.to_string()).collect();
        assert!(listed(&names).ends_with("10 11 and 3 more"));
        assert_eq!(listed(&names[..2]), "0 1");
    }
}
