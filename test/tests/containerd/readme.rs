//! The commands of the README and of the pages in `docs/`, as they print them,
//! and the Kubernetes Jobs in `deploy/examples` that say the same.

use std::fs;

use shim_test::case::Case;
use shim_test::job_yaml::Job;
use shim_test::shell::Shell;
use shim_test::wanted::Wanted;
use shim_test::{demo, leak, paths};

crate::tests! {
    any:;
    wasm: readme, from_bacalhau, from_dapr
}

/// Marks a block that this test runs, whole.
const MARK: &str = "<!-- run by test/tests/containerd/readme.rs -->\n```sh\n";

/// The Jobs that say what a block's last `ctr run` says: page, block, file.
const JOBS: [(&str, usize, &str); 4] = [
    (BACALHAU, 0, "bacalhau-job.yaml"),
    (BACALHAU, 1, "bacalhau-entrypoint.yaml"),
    (BACALHAU, 2, "bacalhau-imports.yaml"),
    (DAPR, 0, "dapr-python.yaml"),
];

const README: &str = "README.md";
const BACALHAU: &str = "docs/from-bacalhau.md";
const DAPR: &str = "docs/from-dapr.md";

/// A page's blocks, run one by one.
struct Page<'a> {
    case: &'a Case,
    shell: Shell<'a>,
    path: &'static str,
    blocks: Vec<String>,
}

impl<'a> Page<'a> {
    /// `marked` of `all` blocks of commands are to be run.
    fn read(case: &'a Case, path: &'static str, marked: usize, all: usize) -> Self {
        let text = fs::read_to_string(paths::workspace().join(path)).expect(path);
        assert_eq!(text.matches("```sh\n").count(), all, "{path}");
        let blocks: Vec<_> = text
            .split(MARK)
            .skip(1)
            .map(|rest| rest.split("```\n").next().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(blocks.len(), marked, "{path}");
        let shell = Shell::new(case);
        Self {
            case,
            shell,
            path,
            blocks,
        }
    }

    /// The output of a block, whose containers are gone then.
    fn run(&self, block: usize, ids: &[&str]) -> String {
        let output = self.shell.run(&self.blocks[block]).success();
        for id in ids {
            leak::assert_no_trace(self.case.containerd.namespace(), id);
        }
        let runs = self.shell.runs();
        assert_eq!(runs.len(), ids.len(), "{runs:?}");
        for (page, number, file) in JOBS {
            if (page, number) == (self.path, block) {
                let wanted = Wanted::of_ctr(runs.last().expect("a ctr run"));
                expect_same(&self.blocks[block], &wanted, file);
            }
        }
        output
    }
}

/// Compares what a block asks for with a Job.
fn expect_same(block: &str, wanted: &Wanted, file: &str) {
    let path = paths::workspace().join("deploy/examples").join(file);
    let job = Job::parse(&fs::read_to_string(path).expect(file));
    assert_eq!(job.wanted, *wanted, "{file}");
    let limit = job
        .deadline
        .map(|seconds| format!("timeout {seconds} ctr run "));
    let timeout = limit.as_deref().unwrap_or("timeout ");
    assert_eq!(block.contains(timeout), limit.is_some(), "{file}: timeout");
    assert_eq!(block.contains("| ctr run "), job.stdin, "{file}: stdin");
    // Blocks make their folders with mkdir.
    let mkdir = block.lines().find(|line| line.starts_with("mkdir "));
    for (target, is_folder) in &job.sources {
        let made = format!("\"$job/{}\"", wanted.mounts[target].name);
        let found = mkdir.is_some_and(|line| line.contains(&made));
        assert_eq!(found, *is_folder, "{file}: {target}");
    }
}

fn readme(case: &Case) {
    demo::prepare();
    // Of the others, one is run by the tests of Docker, one by those of Kubernetes;
    // the rest change the machine.
    let page = Page::read(case, README, 5, 11);
    let image = page.run(0, &["demo"]);
    assert!(image.contains("greets 3 guests"), "{image}");
    assert!(
        image.ends_with("Hello, Wasm!\nHello, containerd!\n"),
        "{image}"
    );
    let rootfs = page.run(1, &["hello", "at-function", "with-imports", "with-outputs"]);
    assert_eq!(
        rootfs,
        "[/guest.wasm]\n[args]\n[one]\n[two words]\ninitialized\n\
         math\ngreeter 100\napp 103\nhello 142\na result"
    );
    let packed = page.run(2, &["packed"]);
    assert!(packed.contains("\nentrypoint   /guest.wasm\n"), "{packed}");
    assert!(
        packed.ends_with("[/guest.wasm]\n[args]\n[one]\n"),
        "{packed}"
    );
    let artifact = page.run(3, &["artifact"]);
    assert!(
        artifact.ends_with("math\ngreeter 100\napp 103\nhello 142\n"),
        "{artifact}"
    );
    cache_commands(&page, 4);
}

fn cache_commands(page: &Page<'_>, block: usize) {
    let cache = page.run(block, &[]);
    let [head, .., removed, _] = &cache.lines().collect::<Vec<_>>()[..] else {
        panic!("{cache}");
    };
    assert!(head.starts_with("MODULE "), "{cache}");
    assert!(removed.starts_with("removed "), "{cache}");
}

/// No Job is there that is compared with nothing.
fn all_jobs_are_compared() {
    let folder = paths::workspace().join("deploy/examples");
    let mut found: Vec<_> = fs::read_dir(folder)
        .expect("deploy/examples")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    let mut compared = JOBS.map(|(_, _, file)| file);
    found.sort();
    compared.sort_unstable();
    assert_eq!(found, compared);
}

fn from_bacalhau(case: &Case) {
    all_jobs_are_compared();
    let page = Page::read(case, BACALHAU, 4, 4);
    let job = page.run(0, &["my-job"]);
    assert_eq!(
        job,
        "inputs: Read-only file system\nGuests 2026: 2 of 3\nWasm\nEdge\n"
    );
    let entrypoint = page.run(1, &["by-image", "by-name", "by-annotation"]);
    assert_eq!(entrypoint, "initialized\n".repeat(3));
    let imports = page.run(2, &["my-app"]);
    assert_eq!(imports, "math\ngreeter 100\napp 103\nhello 142\n");
    let late = page.run(3, &["late"]);
    assert_eq!(late, "ready\nexit code 124\n");
}

fn from_dapr(case: &Case) {
    let page = Page::read(case, DAPR, 3, 3);
    let answer = page.run(0, &["request"]);
    assert_eq!(answer, "Hello, salaboy\n");
    assert_eq!(page.run(1, &["request"]), "salaboy\n");
    let clocks = page.run(2, &["first", "second"]);
    let runs: Vec<Vec<&str>> = clocks
        .lines()
        .map(|line| line.split(' ').collect())
        .collect();
    let [one, two] = &runs[..] else {
        panic!("{clocks}");
    };
    assert_ne!(one[0], two[0], "random numbers");
    assert_ne!(one[1], two[1], "the wall clock");
    assert_eq!([one[2], two[2]], ["True", "True"], "sleep");
}
