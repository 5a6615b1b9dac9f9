//! How a guest ends on signals. The kernel gives the first process of a pid
//! namespace no default actions: without a handler SIGTERM does nothing.
#![allow(unsafe_code)]

use nix::libc::c_int;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// The signals that end a program by default, but for those that the kernel
/// raises on faults, which end even the first process, and SIGPIPE: a write to
/// nobody is an error that the guest sees.
const TERMINATING: [Signal; 12] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGALRM,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGSTKFLT,
    Signal::SIGVTALRM,
    Signal::SIGPROF,
    Signal::SIGIO,
    Signal::SIGPWR,
];

/// Makes each of these end the process with 128 + its number.
pub fn end_on_termination() {
    let action = SigAction::new(SigHandler::Handler(end), SaFlags::empty(), SigSet::empty());
    for signal in TERMINATING {
        set(signal, &action);
    }
}

/// For a native program: the actions that a program expects to find. Handlers
/// end with exec; what is ignored (SIGPIPE, by Rust's runtime) would stay so.
pub fn restore_defaults() {
    let action = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    set(Signal::SIGPIPE, &action);
}

fn set(signal: Signal, action: &SigAction) {
    // SAFETY: the handler, if there is one, only calls _exit, which may be
    // called at any point of a program.
    let set = unsafe { sigaction(signal, action) };
    debug_assert!(set.is_ok(), "{signal} can be handled");
}

extern "C" fn end(signal: c_int) {
    crate::fork::exit(128 + signal)
}
