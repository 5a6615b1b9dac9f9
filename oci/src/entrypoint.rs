use std::path::{Path, PathBuf};

/// The function that a program begins at (WASI preview 1, "command").
pub const START: &str = "_start";

/// A place where a program may lie, and what its name says besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub path: PathBuf,
    /// The program's name as given, without the function.
    pub name: String,
    /// What follows the `#`, not yet checked; `None` without one.
    pub function: Option<String>,
}

/// Where the program of `process.args[0]` may lie, in the order to try.
///
/// `path.wasm#function` names a function. A file that really has the `#` in its
/// name wins, so the longest name is tried first; and functions may have one in
/// their names as well.
pub(crate) fn candidates(arg: &str, path: Option<&str>, cwd: &Path) -> Vec<Candidate> {
    let whole = (arg, None);
    let splits = arg
        .rmatch_indices('#')
        .map(|(at, _)| (&arg[..at], Some(&arg[at + 1..])));
    std::iter::once(whole)
        .chain(splits)
        .flat_map(|(name, function)| {
            places(name, path, cwd)
                .into_iter()
                .map(move |path| Candidate {
                    path,
                    name: name.to_owned(),
                    function: function.map(str::to_owned),
                })
        })
        .collect()
}

/// Where a program named `name` may lie, in the order to try.
///
/// As `execvp` and runc do: a name with a slash is a path that counts from the
/// working directory; a bare name is looked up in `PATH`. Wasm images are often
/// built with nothing but `app.wasm` at the root and `ENTRYPOINT ["app.wasm"]`,
/// so after `PATH` the working directory and the root are tried too; a path
/// without its leading slash is found from the root in the same way.
///
/// `path`: the value of `PATH`, if the environment has one. Empty and relative
/// entries of it count from `cwd`, which must be absolute.
fn places(name: &str, path: Option<&str>, cwd: &Path) -> Vec<PathBuf> {
    if name.is_empty() {
        return Vec::new();
    }
    let mut found: Vec<PathBuf> = Vec::new();
    let mut add = |candidate: PathBuf| {
        if !found.contains(&candidate) {
            found.push(candidate);
        }
    };
    if !name.contains('/') {
        for folder in path.unwrap_or_default().split(':') {
            if path.is_some() {
                add(cwd.join(folder).join(name));
            }
        }
    }
    add(cwd.join(name));
    add(Path::new("/").join(name));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(name: &str, path: Option<&str>, cwd: &str) -> Vec<String> {
        places(name, path, Path::new(cwd))
            .into_iter()
            .map(|path| path.to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn an_absolute_path_is_itself() {
        assert_eq!(list("/app.wasm", Some("/bin"), "/work"), ["/app.wasm"]);
    }

    #[test]
    fn a_bare_name_is_looked_up_in_path_then_cwd_then_root() {
        assert_eq!(
            list("app", Some("/usr/bin:/bin"), "/work"),
            ["/usr/bin/app", "/bin/app", "/work/app", "/app"]
        );
        assert_eq!(list("app.wasm", None, "/"), ["/app.wasm"]);
    }

    #[test]
    fn a_relative_path_ignores_path() {
        assert_eq!(
            list("bin/app", Some("/usr"), "/work"),
            ["/work/bin/app", "/bin/app"]
        );
        assert_eq!(list("./app", Some("/usr"), "/"), ["/./app"]);
    }

    #[test]
    fn relative_entries_of_path_count_from_cwd() {
        assert_eq!(
            list("app", Some("tools:"), "/w"),
            ["/w/tools/app", "/w/app", "/app"]
        );
    }

    #[test]
    fn an_empty_name_is_nowhere() {
        assert!(list("", Some("/bin"), "/").is_empty());
    }

    #[test]
    fn the_longest_file_name_is_tried_first() {
        let found = candidates("/a#b#c", None, Path::new("/"));
        let found: Vec<_> = found
            .iter()
            .map(|found| {
                let function = found.function.as_deref();
                (found.path.to_str().unwrap(), &found.name[..], function)
            })
            .collect();
        assert_eq!(
            found,
            [
                ("/a#b#c", "/a#b#c", None),
                ("/a#b", "/a#b", Some("c")),
                ("/a", "/a", Some("b#c"))
            ]
        );
    }

    #[test]
    fn a_function_takes_no_part_in_the_search() {
        let found = candidates("app#wasi:cli/run", Some("/bin"), Path::new("/w"));
        let split: Vec<_> = found
            .iter()
            .filter(|found| found.function.is_some())
            .map(|found| found.path.to_str().unwrap())
            .collect();
        assert_eq!(split, ["/bin/app", "/w/app", "/app"]);
        // A function alone names no program.
        let alone = candidates("#run", None, Path::new("/"));
        assert!(alone.iter().all(|found| found.function.is_none()));
    }
}
