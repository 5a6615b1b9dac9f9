use std::io::{BufRead, ErrorKind, Result, Seek};

/// The sections that count (WebAssembly core, "Binary Format: Modules").
const MEMORY: u8 = 5;
const CODE: u8 = 10;
/// Magic and version.
const HEADER: i64 = 8;

/// What the outline of a module tells about the memory it needs.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Sections {
    /// Bytes of the whole file.
    pub length: u64,
    /// Bytes of code.
    pub code: u64,
    /// Linear memories of its own.
    pub memories: u64,
    /// The pages that these begin with, together and at most.
    pub pages: u64,
    pub largest: u64,
}

impl Sections {
    /// Reads a module from its beginning; of most sections only their lengths.
    /// What is malformed ends it: to validate the module is for others.
    pub fn read(module: &mut (impl BufRead + Seek), length: u64) -> Result<Self> {
        let mut found = Self {
            length,
            ..Self::default()
        };
        module.rewind()?;
        module.seek_relative(HEADER)?;
        match found.walk(module) {
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => Err(error),
            _ => Ok(found),
        }
    }

    fn walk(&mut self, module: &mut (impl BufRead + Seek)) -> Result<()> {
        loop {
            let id = byte(module)?;
            let size = number(module)?;
            let start = module.stream_position()?;
            // One that claims more than there is counts for nothing.
            let end = start.saturating_add(size);
            if end > self.length {
                return Ok(());
            }
            match id {
                MEMORY => self.read_memories(module, end)?,
                CODE => self.code = size,
                _ => {}
            }
            let here = module.stream_position()?;
            module.seek_relative(i64::try_from(end.saturating_sub(here)).unwrap_or(i64::MAX))?;
        }
    }

    fn read_memories(&mut self, module: &mut (impl BufRead + Seek), end: u64) -> Result<()> {
        for _ in 0..number(module)? {
            let flags = byte(module)?;
            let pages = number(module)?;
            if flags & 1 != 0 {
                number(module)?;
            }
            if module.stream_position()? > end {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.memories += 1;
            self.pages = self.pages.saturating_add(pages);
            self.largest = self.largest.max(pages);
        }
        Ok(())
    }
}

fn byte(from: &mut impl BufRead) -> Result<u8> {
    let mut byte = [0];
    from.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// An unsigned LEB128 number of at most 32 bits.
fn number(from: &mut impl BufRead) -> Result<u64> {
    let mut value = 0;
    for index in 0..5 {
        let byte = byte(from)?;
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 && u32::try_from(value).is_ok() {
            return Ok(value);
        }
    }
    Err(ErrorKind::UnexpectedEof.into())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn of(sections: &[u8]) -> (u64, u64, u64, u64) {
        let module = [b"\0asm\x01\0\0\0", sections].concat();
        let length = module.len() as u64;
        let found = Sections::read(&mut Cursor::new(module), length).unwrap();
        assert_eq!(found.length, length);
        (found.code, found.memories, found.pages, found.largest)
    }

    #[test]
    fn code_and_memories_are_found_among_others() {
        let sections = [
            0, 2, 9, 9, // custom
            5, 7, 2, 0, 0x91, 1, 1, 3, 4, // 145 pages; 3, and at most 4
            10, 0x81, 0, 7, // the length in more bytes than it takes
            11, 3, 1, 1, 1, // data
        ];
        assert_eq!(of(&sections), (1, 2, 148, 145));
    }

    #[test]
    fn what_is_malformed_ends_it() {
        let nothing = (0, 0, 0, 0);
        assert_eq!(of(&[]), nothing);
        // A section longer than the file; a number without an end or too large.
        assert_eq!(of(&[10, 9, 1]), nothing);
        assert_eq!(of(&[10, 0x80, 0x80, 0x80, 0x80, 0x80]), nothing);
        assert_eq!(of(&[10, 0xff, 0xff, 0xff, 0xff, 0x7f]), nothing);
        // As many memories as can be said, in no bytes.
        assert_eq!(of(&[5, 5, 0xff, 0xff, 0xff, 0xff, 0xf]), nothing);
        // What a memory takes from the next section is none.
        assert_eq!(of(&[5, 2, 1, 0, 10, 1, 1]), nothing);
        let short = Sections::read(&mut Cursor::new(b"\0asm"), 4).unwrap();
        assert_eq!((short.length, short.code), (4, 0));
    }
}
