use std::fmt;

/// What native code is for: such a WasmEdge on such a CPU, and a module of this
/// content. A name of a file, and no path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

/// The longest key in bytes.
const LONGEST: usize = 200;

impl Key {
    /// `platform` is what names WasmEdge and CPU, `module` the module's hash.
    pub fn new(platform: &str, module: &str) -> Option<Self> {
        Self::parse(&format!("{platform}-{module}"))
    }

    /// `None` if this is no key: it may come from a guest.
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
        let is_key = text.len() < LONGEST
            && text.starts_with(|first: char| first.is_ascii_digit())
            && text.bytes().all(is_plain)
            && text.contains('-');
        is_key.then(|| Self(text.to_owned()))
    }

    /// WasmEdge's version, and the CPU as a hash.
    pub fn platform(&self) -> &str {
        self.parts().0
    }

    /// The hash of the module.
    pub fn module(&self) -> &str {
        self.parts().1
    }

    fn parts(&self) -> (&str, &str) {
        self.0.rsplit_once('-').unwrap_or_default()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_no_path() {
        let key = Key::parse("0.14.1-0123456789abcdef-0f").unwrap();
        assert_eq!(key.platform(), "0.14.1-0123456789abcdef");
        assert_eq!(key.module(), "0f");
        assert_eq!(Key::new(key.platform(), key.module()), Some(key));
        for wrong in ["", "..", "../1-1", "1/2-", "0-a b", "-1-2", "1", ".1-2"] {
            assert_eq!(Key::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Key::parse(&"1-".repeat(LONGEST)), None);
    }
}
