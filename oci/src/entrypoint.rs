use std::path::{Path, PathBuf};

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
pub fn candidates(name: &str, path: Option<&str>, cwd: &Path) -> Vec<PathBuf> {
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
        candidates(name, path, Path::new(cwd))
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
}
