//! `docker run -it`.

use shim_test::docker::{Case, LIMIT};

shim_test::tests! {
    any: terminal_input;
    wasm: terminal_interrupt
}

/// Echo, line editing, and the end of input.
fn terminal_input(case: &Case) {
    let mut live = case.start_in_terminal(&[], &["talk"]);
    live.expect_line("ready");
    live.send("wrong\x15right\r");
    let echo = live.line();
    assert!(
        echo.starts_with("wrong") && echo.ends_with("right"),
        "{echo:?}"
    );
    live.expect_line("right");
    live.send("\x04");
    live.finish(LIMIT).expect_code(0);
}

fn terminal_interrupt(case: &Case) {
    let mut live = case.start_in_terminal(&[], &["sleep"]);
    live.expect_line("ready");
    live.send("\x03");
    live.finish(LIMIT).expect_code(130);
}
