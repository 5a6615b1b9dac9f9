//! `docker run -it`.

use std::thread;
use std::time::Duration;

use shim_test::docker::{Case, LIMIT};
use shim_test::guest_image::NATIVE;
use shim_test::live::Live;

shim_test::tests! {
    any: terminal_input, terminal_size;
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

/// That of the client's own terminal, also of an added process. WASI has no way
/// to ask for it.
fn terminal_size(case: &Case) {
    let flags = ["--rm", "--interactive", "--tty", "--entrypoint", NATIVE];
    let line = case.guest_line("a", &flags, &["size"]).join(" ");
    let mut live = case.in_terminal(&format!("stty rows 40 columns 100; {line}"));
    expect_size(&mut live, "40 100");
    let name = case.name("a");
    let line = format!("docker exec -it {name} {NATIVE} size");
    let mut added = case.in_terminal(&format!("stty rows 30 columns 90; {line}"));
    expect_size(&mut added, "30 90");
    for mut live in [added, live] {
        live.send("\x04");
        live.finish(LIMIT).expect_code(0);
    }
}

/// The program tells it when it is asked; the client sets it after the start.
fn expect_size(live: &mut Live, size: &str) {
    live.expect_line("ready");
    for _ in 0..50 {
        live.send("\r");
        let echo = live.line();
        assert_eq!(echo, "");
        if live.line() == size {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("the terminal's size is not {size}");
}

fn terminal_interrupt(case: &Case) {
    let mut live = case.start_in_terminal(&[], &["sleep"]);
    live.expect_line("ready");
    live.send("\x03");
    live.finish(LIMIT).expect_code(130);
}
