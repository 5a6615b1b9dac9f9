//! `wasm-zygote compile`: makes native code of one module, for the store that
//! guests get it from.
//!
//! The compiler meets a hostile module, so that it runs as nobody, without a
//! network and files, with limited time and memory; this process, which is
//! root, hands it bytes and stores what comes back.

mod confine;

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use figures::{Count, Figures};
use ipc::{Channel, FromCompiler};
use nix::sys::wait::{WaitStatus, waitpid};
use store::{Claim, Key, Quality, Store};
use wasmedge_sdk::config::{CommonConfigOptions, CompilerConfigOptions, ConfigBuilder};
use wasmedge_sdk::{Compiler, CompilerOptimizationLevel, CompilerOutputFormat, WasmEdgeResult};

use crate::error::{Context, Error, Result};
use crate::fds;
use crate::fork::fork;
use crate::own_cgroup::OwnCgroup;

/// A module that is longer is not compiled, in bytes.
const LONGEST: u64 = 512 << 20;

/// A module of more bytes is compiled quickly first, and well afterwards: the
/// latter takes minutes for the largest.
const QUICK_FIRST: usize = 1 << 20;

/// What a compiler's cgroup may use, on version 1 and 2: bytes, processes, and half
/// of the processors' share that a container has which asks for nothing. With much
/// less, as its nice value would be worth, a busy node would interpret for long,
/// which makes it busier.
const LIMITS: [(&str, &str); 5] = [
    ("memory.limit_in_bytes", "3221225472"),
    ("memory.max", "3221225472"),
    ("pids.max", "16"),
    ("cpu.shares", "512"),
    ("cpu.weight", "50"),
];

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Nothing: who makes code for this module already is left alone.
    No,
    /// Some code, of whose making it may be.
    First,
    /// The best code.
    Best,
}

/// Compiles the module on standard input, whose hash is the end of `key`, into
/// the folder `store`. Nothing to do if that is done.
pub fn compile(store: &Path, key: &str, wait: Wait, figures: &Figures) -> Result<()> {
    if wait != Wait::Best {
        // Not for the end of the shim, or of its pod.
        let _ = rustix::process::setsid();
    }
    let key = Key::parse(key).ok_or(Error::OutOfOrder("code for what is no key"))?;
    let Some(claim) = Store::at(store).claim(&key, wait != Wait::No)? else {
        return Ok(());
    };
    // Its limits are for what the compiler takes that is not its own memory,
    // such as its file system's.
    let cgroup = OwnCgroup::join("wasm-compiler", &std::process::id().to_string(), &LIMITS);
    match make((&claim, figures), &key, wait) {
        Ok(None) => cgroup.leave(),
        Ok(Some(bytes)) => {
            let better = fork(|| {
                let filled = fill((&claim, figures), &bytes, Quality::Best);
                cgroup.leave();
                i32::from(filled.is_err())
            });
            // The child's from here on, and gone with it.
            std::mem::forget(claim);
            better?;
        }
        Err(error) => {
            cgroup.leave();
            return Err(error);
        }
    }
    Ok(())
}

/// Makes the code that is waited for; returns the module if better code is to be
/// made after that.
fn make((claim, figures): Work<'_>, key: &Key, wait: Wait) -> Result<Option<Vec<u8>>> {
    let bytes = read_module().context("can't read the module")?;
    // The module's file keeps its container's root file system in use.
    fds::release_input()?;
    // The file may have changed since it was asked for, or be too long.
    if key.module() != blake3::hash(&bytes).to_hex().as_str() {
        return Err(Error::Guest("the module is not the one of the key".into()));
    }
    if bytes.len() > QUICK_FIRST && !claim.has_quick() {
        fill((claim, figures), &bytes, Quality::Quick)?;
    }
    if claim.has_quick() && wait != Wait::Best {
        return Ok(Some(bytes));
    }
    fill((claim, figures), &bytes, Quality::Best).map(|()| None)
}

/// The key of the module on standard input.
pub fn key() -> Result<String> {
    crate::guest::key(std::io::stdin().lock()).context("can't read the module")
}

/// Where code goes, and where it is counted.
type Work<'a> = (&'a Claim, &'a Figures);

fn fill((claim, figures): Work<'_>, bytes: &[u8], quality: Quality) -> Result<()> {
    let compiled = run_compiler(bytes, quality, claim.folder());
    let well = compiled.is_ok();
    // Nobody is there to be told.
    let _ = figures.add(Count::Compiled { well });
    match compiled {
        Ok(code) => Ok(claim.put(code, quality)?),
        Err(error) => {
            claim.note_failure(&error.to_string())?;
            Err(error)
        }
    }
}

fn read_module() -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut file = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    // Who has asked has read it.
    file.rewind()?;
    file.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Has a confined child compile; returns the file that it made, which is in
/// memory and gone when it is closed.
fn run_compiler(bytes: &[u8], quality: Quality, store: &Path) -> Result<File> {
    let (ours, theirs) = Channel::pair()?;
    let child = fork(|| {
        let told = match compile_confined(bytes, quality, store) {
            Ok(code) => theirs.send(&FromCompiler::Compiled, &[code.as_fd()]),
            Err(error) => {
                let reason = crate::error::shorten(error.to_string());
                theirs.send(&FromCompiler::Failed { reason }, &[])
            }
        };
        i32::from(told.is_err())
    })?;
    drop(theirs);
    let heard = ours.recv::<FromCompiler>();
    let ended = waitpid(child, None);
    match heard {
        Ok((FromCompiler::Compiled, fds)) => match <[OwnedFd; 1]>::try_from(fds) {
            Ok([code]) => Ok(File::from(code)),
            Err(_) => Err(Error::OutOfOrder("code without a file")),
        },
        Ok((FromCompiler::Failed { reason }, _)) => Err(Error::Guest(reason)),
        Err(_) => Err(Error::Guest(match ended {
            Ok(WaitStatus::Signaled(_, signal, _)) => format!("the compiler was ended by {signal}"),
            _ => "the compiler ended without a word".into(),
        })),
    }
}

fn compile_confined(bytes: &[u8], quality: Quality, store: &Path) -> Result<File> {
    // What it says is for nobody: a module has a say in it.
    fds::quiet()?;
    confine::confine(store)?;
    let level = match quality {
        Quality::Quick => CompilerOptimizationLevel::O0,
        Quality::Best => CompilerOptimizationLevel::O2,
    };
    compile_to(bytes, level)
        .map_err(|error| Error::Guest(format!("WasmEdge can't compile it: {error}")))?;
    File::open("/code.so").context("the compiler made no file")
}

fn compile_to(bytes: &[u8], level: CompilerOptimizationLevel) -> WasmEdgeResult<()> {
    let options = CompilerConfigOptions::default()
        .optimization_level(level)
        .out_format(CompilerOutputFormat::Native);
    let config = ConfigBuilder::new(CommonConfigOptions::default())
        .with_compiler_config(options)
        .build()?;
    Compiler::new(Some(&config))?
        .compile_from_bytes(bytes, "code", "/")
        .map(drop)
}
