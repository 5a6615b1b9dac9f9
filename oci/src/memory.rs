use crate::sections::Sections;
use crate::{Error, Result};

/// A page of linear memory (WebAssembly core, "Memory Types").
const PAGE: u64 = 64 << 10;
/// The most pages that a memory can have: 4 GiB.
const MOST_PAGES: u64 = 65536;

/// What a Wasm container needs before it has loaded a module, in bytes, kernel
/// memory and a stack to run on included. Measured: the smallest program starts
/// with a limit of 4 MiB and not with 3.
pub const RUNTIME: u64 = 6 << 20;
/// What WasmEdge 0.14 keeps for each byte of code that it interprets: about 18
/// when it has loaded it, and 14 to 15 more when it has linked it (CPython,
/// 6.2 MB of code: 238 MB; graphviz, 0.8 MB: 27 MB).
const FOR_CODE: u64 = 34;
/// The rest of a file is held twice while it is loaded.
const FOR_REST: u64 = 2;

/// How the memory of a Wasm container is shared out between the runtime and the
/// guest's linear memories, so that a guest sees `memory.grow` fail before the
/// kernel ends it.
#[derive(Debug, Clone)]
pub struct Budget {
    /// `linux.resources.memory.limit`, in bytes.
    limit: Option<u64>,
    runtime: u64,
    /// Linear memories, and the pages that they begin with.
    memories: u64,
    pages: u64,
    largest: u64,
}

impl Budget {
    pub fn new(limit: Option<u64>) -> Self {
        Self {
            limit,
            runtime: RUNTIME,
            memories: 0,
            pages: 0,
            largest: 0,
        }
    }

    /// Takes what a module needs from the budget. `path` is for messages.
    pub fn take(&mut self, path: &str, module: &Sections) -> Result<()> {
        let rest = module.length.saturating_sub(module.code);
        let needed = [
            module.code.saturating_mul(FOR_CODE),
            rest.saturating_mul(FOR_REST),
        ];
        self.runtime = needed.into_iter().fold(self.runtime, u64::saturating_add);
        self.memories = self.memories.saturating_add(module.memories);
        self.pages = self.pages.saturating_add(module.pages);
        self.largest = self.largest.max(module.largest);
        let linear = self.pages.saturating_mul(PAGE);
        let needed = self.runtime.saturating_add(linear);
        match self.limit {
            Some(limit) if limit < needed => Err(Error::MemoryLimit {
                path: path.into(),
                limit: limit >> 10,
                needed: needed.div_ceil(1 << 20),
                runtime: self.runtime.div_ceil(1 << 20),
            }),
            _ => Ok(()),
        }
    }

    /// How many pages each memory may have. Several have equal shares, but for
    /// what they begin with.
    pub fn max_pages(&self) -> u32 {
        let pages = self.limit.map_or(MOST_PAGES, |limit| {
            let share = limit.saturating_sub(self.runtime) / PAGE / self.memories.max(1);
            share.max(self.largest).min(MOST_PAGES)
        });
        u32::try_from(pages).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(pages: u64, code: u64, rest: u64) -> Sections {
        Sections {
            length: code + rest,
            code,
            memories: 1,
            pages,
            largest: pages,
        }
    }

    #[test]
    fn without_a_limit_there_is_none() {
        let mut budget = Budget::new(None);
        budget.take("a", &module(17, u64::MAX, 0)).unwrap();
        assert_eq!(u64::from(budget.max_pages()), MOST_PAGES);
    }

    #[test]
    fn the_guest_gets_what_the_runtime_does_not_need() {
        let runtime = RUNTIME + 100 * FOR_CODE + 50 * FOR_REST;
        let mut budget = Budget::new(Some(runtime + 10 * PAGE));
        budget.take("a", &module(1, 100, 50)).unwrap();
        assert_eq!(budget.max_pages(), 10);
        let mut budget = Budget::new(Some(1 << 50));
        budget.take("a", &module(1, 100, 50)).unwrap();
        assert_eq!(u64::from(budget.max_pages()), MOST_PAGES);
    }

    #[test]
    fn memories_share_but_each_can_begin() {
        let budget = |first| {
            let mut budget = Budget::new(Some(RUNTIME + 16 * PAGE));
            budget.take("a", &module(first, 0, 0)).unwrap();
            budget
        };
        assert_eq!(budget(12).max_pages(), 16);
        for (first, share) in [(12, 12), (1, 8)] {
            let mut budget = budget(first);
            budget.take("b", &module(1, 0, 0)).unwrap();
            assert_eq!(budget.max_pages(), share);
        }
    }

    #[test]
    fn what_does_not_fit_is_told_with_what_is_needed() {
        let mut budget = Budget::new(Some(RUNTIME + (1 << 20)));
        let error = budget.take("/a.wasm", &module(17, 10, 0)).unwrap_err();
        let text = error.to_string();
        for word in ["/a.wasm", "7168 KiB", "8 MiB"] {
            assert!(text.contains(word), "{text}");
        }
    }
}
