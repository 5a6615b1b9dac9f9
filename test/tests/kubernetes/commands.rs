//! The commands of README's "Use with Kubernetes", as it prints them.

use crate::harness::{Case, readme};

shim_test::tests! {
    any: ;
    wasm: readme_commands
}

const MARK: &str = "<!-- run by test/tests/kubernetes/commands.rs -->";

fn readme_commands(case: &Case) {
    let [block] = readme::blocks(MARK)
        .try_into()
        .expect("one marked block of README.md");
    let output = readme::run(case, &block).success();
    assert!(output.contains("\nhello from the guest\n"), "{output}");
    let last = output.lines().last().unwrap_or_default();
    assert!(last.starts_with("job.batch \"hello\" deleted"), "{output}");
}
