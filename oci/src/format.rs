/// How many bytes of a file [`Format::of`] wants to see.
pub const MAGIC_LEN: usize = 8;

/// What a program file is, by its first bytes; its name says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A core WebAssembly module (`\0asm`, version 1).
    Module,
    /// A component of the component model (`\0asm`, layer 1), as wasip2 builds.
    Component,
    /// Starts with `\0asm` but ends or goes on in a way no known version does.
    UnknownWasm,
    /// An ELF program or a script (`#!`), which the kernel runs.
    Native,
    /// Nothing that can be run.
    Unknown,
}

impl Format {
    /// `head`: the first [`MAGIC_LEN`] bytes of the file, fewer if it is shorter.
    pub fn of(head: &[u8]) -> Self {
        match head {
            [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Self::Module,
            // Two bytes of version, two of layer (component model, Binary.md).
            [0, b'a', b's', b'm', _, _, 1, 0, ..] => Self::Component,
            [0, b'a', b's', b'm', ..] => Self::UnknownWasm,
            [0x7f, b'E', b'L', b'F', ..] | [b'#', b'!', ..] => Self::Native,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_by_magic_bytes() {
        assert_eq!(Format::of(b"\0asm\x01\0\0\0"), Format::Module);
        assert_eq!(Format::of(b"\0asm\x0d\0\x01\0"), Format::Component);
        assert_eq!(Format::of(b"\0asm\x02\0\0\0"), Format::UnknownWasm);
        assert_eq!(Format::of(b"\0asm"), Format::UnknownWasm);
        assert_eq!(Format::of(b"\x7fELF\x02\x01\x01\0"), Format::Native);
        assert_eq!(Format::of(b"#!/bin/s"), Format::Native);
        assert_eq!(Format::of(b"plain te"), Format::Unknown);
        assert_eq!(Format::of(b""), Format::Unknown);
    }
}
