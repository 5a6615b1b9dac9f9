use std::collections::HashSet;
use std::path::PathBuf;

/// The modules that the runtime itself provides.
pub(crate) const RESERVED: &str = "wasi_snapshot_preview1";

/// A module that others can import from, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportModule {
    pub name: String,
    /// Its file; a relative path counts from the working directory.
    pub path: PathBuf,
}

/// Reads `name=/path.wasm,…`, with spaces allowed around each part. The name is
/// what comes before the first `=`; a path with a comma can't be said.
///
/// An error is the end of a sentence.
pub(crate) fn parse(value: &str) -> Result<Vec<ImportModule>, String> {
    let mut modules: Vec<ImportModule> = Vec::new();
    for entry in value.split(',').map(str::trim) {
        let (name, path) = entry
            .split_once('=')
            .map(|(name, path)| (name.trim(), path.trim()))
            .filter(|(name, path)| !name.is_empty() && !path.is_empty() && !path.contains('\0'))
            .ok_or_else(|| format!("{entry:?} is not of the form name=/path.wasm"))?;
        if name == RESERVED {
            return Err(format!(
                "{path:?} can't have the name {RESERVED:?}, which is that of WASI's own functions"
            ));
        }
        if let Some(other) = modules.iter().find(|module| module.name == name) {
            return Err(format!(
                "{:?} and {path:?} both have the name {name:?}",
                other.path.display()
            ));
        }
        modules.push(ImportModule {
            name: name.into(),
            path: path.into(),
        });
    }
    Ok(modules)
}

/// The order to link modules in: each comes after those that it imports from,
/// and else they stay in the order given.
///
/// `modules`: names, and what each imports from; what is not among the names is
/// not for this to judge. An error is a cycle: the names along it, the first of
/// them again at the end.
pub fn link_order(modules: &[(&str, Vec<String>)]) -> Result<Vec<usize>, Vec<String>> {
    let mut waiting: Vec<usize> = (0..modules.len()).collect();
    let mut open: HashSet<&str> = modules.iter().map(|(name, _)| *name).collect();
    let mut order = Vec::new();
    while !waiting.is_empty() {
        let is_ready = |index: &usize| {
            let needs = &modules[*index].1;
            !needs.iter().any(|need| open.contains(need.as_str()))
        };
        let Some(at) = waiting.iter().position(is_ready) else {
            return Err(cycle(modules, &open, waiting[0]));
        };
        let index = waiting.remove(at);
        open.remove(modules[index].0);
        order.push(index);
    }
    Ok(order)
}

/// Follows imports among modules of which each needs another, until one comes
/// again.
fn cycle(modules: &[(&str, Vec<String>)], open: &HashSet<&str>, first: usize) -> Vec<String> {
    let mut names: Vec<&str> = Vec::new();
    let mut name = modules[first].0;
    while !names.contains(&name) {
        names.push(name);
        let needs = modules.iter().find(|module| module.0 == name);
        let next = needs
            .into_iter()
            .flat_map(|(_, needs)| needs)
            .find(|need| open.contains(need.as_str()));
        name = next.map_or(name, String::as_str);
    }
    let start = names.iter().position(|other| *other == name).unwrap_or(0);
    names[start..]
        .iter()
        .chain([&name])
        .map(|name| (*name).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(value: &str) -> Vec<(String, String)> {
        parse(value)
            .unwrap()
            .into_iter()
            .map(|module| (module.name, module.path.to_str().unwrap().to_owned()))
            .collect()
    }

    #[test]
    fn names_and_paths() {
        let pair = |name: &str, path: &str| (name.to_owned(), path.to_owned());
        assert_eq!(parsed("env=/lib/env.wasm"), [pair("env", "/lib/env.wasm")]);
        assert_eq!(
            parsed(" a = /a b.wasm ,\n b.c=lib/ü=1.wasm"),
            [pair("a", "/a b.wasm"), pair("b.c", "lib/ü=1.wasm")]
        );
    }

    #[test]
    fn bad_syntax_is_shown() {
        for (value, shown) in [
            ("", "\"\""),
            ("a", "\"a\""),
            ("=/a.wasm", "\"=/a.wasm\""),
            ("a=", "\"a=\""),
            ("a=/a.wasm,", "\"\""),
            ("a=/a.wasm,,b=/b.wasm", "\"\""),
            ("a=/\0", "\"a=/\\0\""),
        ] {
            let error = parse(value).unwrap_err();
            assert!(error.starts_with(shown), "{value:?}: {error}");
        }
    }

    #[test]
    fn clashes_name_both_sides() {
        let error = parse("a=/one.wasm,b=/b.wasm, a =/two.wasm").unwrap_err();
        for side in ["/one.wasm", "/two.wasm", "\"a\""] {
            assert!(error.contains(side), "{error}");
        }
        let error = parse("wasi_snapshot_preview1=/mine.wasm").unwrap_err();
        assert!(error.contains("/mine.wasm") && error.contains("WASI"));
    }

    fn order(modules: &[(&str, &[&str])]) -> Result<Vec<usize>, Vec<String>> {
        let modules: Vec<_> = modules
            .iter()
            .map(|(name, needs)| (*name, needs.iter().map(|need| (*need).into()).collect()))
            .collect();
        link_order(&modules)
    }

    #[test]
    fn what_is_imported_comes_first() {
        assert_eq!(
            order(&[("a", &["b", "c"]), ("b", &["c", "wasi"]), ("c", &[])]),
            Ok(vec![2, 1, 0])
        );
        assert_eq!(order(&[("a", &[]), ("b", &[])]), Ok(vec![0, 1]));
        assert_eq!(order(&[]), Ok(vec![]));
    }

    #[test]
    fn a_cycle_is_told_without_what_leads_to_it() {
        let cycle = order(&[("x", &["a"]), ("a", &["b"]), ("b", &["c"]), ("c", &["a"])]);
        assert_eq!(cycle.unwrap_err(), ["a", "b", "c", "a"]);
        assert_eq!(order(&[("a", &["a"])]).unwrap_err(), ["a", "a"]);
    }
}
