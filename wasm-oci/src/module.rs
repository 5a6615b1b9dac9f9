//! What a module says about itself. Nothing here trusts its bytes.

use serde::Serialize;
use wasmparser::{CompositeInnerType, ExternalKind, Parser, Payload, TypeRef};

/// A core module's imports and exports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Module {
    pub imports: Vec<Import>,
    pub exports: Vec<Export>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Import {
    pub module: String,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Export {
    pub name: String,
    /// `func`, `memory`, `table`, `global` or `tag`.
    pub kind: &'static str,
    /// How many parameters and results a function has.
    #[serde(skip)]
    pub arity: Option<(usize, usize)>,
}

impl Module {
    /// Reads all but the code. An error is the end of a sentence.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut module = Self::default();
        let mut arities: Vec<Option<(usize, usize)>> = Vec::new();
        // The type of each function, imported ones first.
        let mut functions: Vec<u32> = Vec::new();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(text)? {
                Payload::TypeSection(groups) => {
                    for group in groups {
                        for kind in group.map_err(text)?.into_types() {
                            arities.push(match kind.composite_type.inner {
                                CompositeInnerType::Func(function) => {
                                    Some((function.params().len(), function.results().len()))
                                }
                                _ => None,
                            });
                        }
                    }
                }
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let import = import.map_err(text)?;
                        if let TypeRef::Func(index) = import.ty {
                            functions.push(index);
                        }
                        module.imports.push(Import {
                            module: import.module.into(),
                            name: import.name.into(),
                        });
                    }
                }
                Payload::FunctionSection(indexes) => {
                    for index in indexes {
                        functions.push(index.map_err(text)?);
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export.map_err(text)?;
                        module.exports.push(Export {
                            name: export.name.into(),
                            kind: kind(export.kind),
                            arity: (export.kind == ExternalKind::Func)
                                .then(|| functions.get(export.index as usize))
                                .flatten()
                                .and_then(|index| arities.get(*index as usize).copied())
                                .flatten(),
                        });
                    }
                }
                _ => {}
            }
        }
        Ok(module)
    }

    /// The exported function of this name.
    pub fn function(&self, name: &str) -> Option<&Export> {
        self.functions().find(|export| export.name == name)
    }

    pub fn functions(&self) -> impl Iterator<Item = &Export> {
        self.exports.iter().filter(|export| export.kind == "func")
    }
}

fn kind(kind: ExternalKind) -> &'static str {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => "func",
        ExternalKind::Table => "table",
        ExternalKind::Memory => "memory",
        ExternalKind::Global => "global",
        ExternalKind::Tag => "tag",
    }
}

fn text(error: wasmparser::BinaryReaderError) -> String {
    format!("{} at byte {}", error.message(), error.offset())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Imports `env.log (i32)`, exports memory `memory`, `_start` and `add (i32 i32) -> i32`.
    pub const SMALL: &[u8] = b"\0asm\x01\0\0\0\
        \x01\x0e\x03\x60\x01\x7f\0\x60\0\0\x60\x02\x7f\x7f\x01\x7f\
        \x02\x0b\x01\x03env\x03log\0\0\
        \x03\x03\x02\x01\x02\
        \x05\x03\x01\0\x01\
        \x07\x19\x03\x06memory\x02\0\x06_start\0\x01\x03add\0\x02\
        \x0a\x0c\x02\x02\0\x0b\x07\0\x20\0\x20\x01\x6a\x0b";

    #[test]
    fn imports_and_exports() {
        let module = Module::parse(SMALL).unwrap();
        let import = |module: &str, name: &str| Import {
            module: module.into(),
            name: name.into(),
        };
        assert_eq!(module.imports, [import("env", "log")]);
        let exports: Vec<_> = module
            .exports
            .iter()
            .map(|export| (export.name.as_str(), export.kind, export.arity))
            .collect();
        assert_eq!(
            exports,
            [
                ("memory", "memory", None),
                ("_start", "func", Some((0, 0))),
                ("add", "func", Some((2, 1)))
            ]
        );
        assert!(module.function("memory").is_none());
    }

    /// Each cut and each flipped byte is an error or a module, never a panic.
    #[test]
    fn hostile_bytes_do_no_harm() {
        for end in 9..SMALL.len() {
            assert!(
                Module::parse(&SMALL[..end]).is_err() || is_whole(end),
                "{end}"
            );
        }
        for at in 8..SMALL.len() {
            for value in [0, 0x7f, 0x80, 0xff] {
                let mut bytes = SMALL.to_vec();
                bytes[at] = value;
                drop(Module::parse(&bytes));
            }
        }
    }

    /// Whether a section ends here, so that what comes before it is a module by itself.
    fn is_whole(end: usize) -> bool {
        let mut at = 8;
        while at < end {
            at += 2 + usize::from(SMALL[at + 1]);
        }
        at == end
    }
}
