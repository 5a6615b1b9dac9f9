//! The guest of the integration tests: one small job for each subcommand.
//!
//! Built for wasm32-wasip1 as what the shim under test runs, and as a static
//! native program with the same behaviour, so that the suite can be checked
//! against runc.

mod fds;
mod pattern;

use std::io::{Read, Write};
use std::{env, fs, io, process};

fn main() {
    let args: Vec<String> = env::args().collect();
    let command = args.get(1).map_or("hello", String::as_str);
    let rest: Vec<&str> = args.iter().skip(2).map(String::as_str).collect();
    if let Err(error) = run(command, &rest, &args) {
        eprintln!("guest: {command}: {error}");
        process::exit(1);
    }
}

fn run(command: &str, rest: &[&str], all: &[String]) -> io::Result<()> {
    match (command, rest) {
        ("hello", []) => println!("hello from the guest"),
        // One argument a line, in brackets, so that empty ones show.
        ("args", _) => all.iter().for_each(|arg| println!("[{arg}]")),
        ("env", []) => print_environment(),
        ("exit", [code]) => process::exit(number(code)?),
        ("trap", []) => trap(),
        ("cat", []) => drop(io::copy(&mut io::stdin(), &mut io::stdout())?),
        ("count", []) => println!("{}", io::copy(&mut io::stdin(), &mut io::sink())?),
        ("flood", [bytes]) => pattern::write(&mut io::stdout().lock(), number(bytes)?)?,
        ("both", [out, err]) => {
            println!("{out}");
            eprintln!("{err}");
        }
        ("sleep", []) => sleep_forever()?,
        ("nap", [milliseconds]) => nap(number(milliseconds)?)?,
        ("talk", []) => talk()?,
        ("tick", [count, milliseconds]) => tick(number(count)?, number(milliseconds)?)?,
        ("write", [path, text]) => fs::write(path, text)?,
        ("read", [path]) => io::stdout().write_all(&fs::read(path)?)?,
        ("head", [path, bytes]) => head(path, number(bytes)?)?,
        ("ls", [path]) => list(path)?,
        ("fds", []) => fds::report(),
        ("grow", [mebibytes]) => grow(number(mebibytes)?)?,
        ("fill", []) => println!("filled {}", fill()),
        ("spin", []) => loop {
            std::hint::spin_loop();
        },
        _ => return Err(io::Error::other(format!("unknown job {all:?}"))),
    }
    io::stdout().flush()
}

fn number<T: std::str::FromStr>(text: &str) -> io::Result<T> {
    text.parse()
        .map_err(|_| io::Error::other(format!("not a number: {text}")))
}

fn print_environment() {
    let mut variables: Vec<_> = env::vars().collect();
    variables.sort();
    for (name, value) in variables {
        println!("{name}={value}");
    }
}

fn trap() {
    #[cfg(target_family = "wasm")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_family = "wasm"))]
    process::abort();
}

/// Says "ready", then never ends of its own accord.
///
/// The wasm build installs no signal handler (there are none in WASI), so
/// whether SIGTERM ends it is the runtime's business.
fn sleep_forever() -> io::Result<()> {
    println!("ready");
    io::stdout().flush()?;
    loop {
        std::thread::sleep(std::time::Duration::from_secs(3600));
    }
}

/// Says "ready", and "woke" after one sleep.
fn nap(milliseconds: u64) -> io::Result<()> {
    println!("ready");
    io::stdout().flush()?;
    std::thread::sleep(std::time::Duration::from_millis(milliseconds));
    println!("woke");
    Ok(())
}

/// Counts aloud, with a sleep after each number.
fn tick(count: u32, milliseconds: u64) -> io::Result<()> {
    for number in 1..=count {
        println!("tick {number}");
        io::stdout().flush()?;
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
    }
    Ok(())
}

/// Says "ready", then what it reads.
fn talk() -> io::Result<()> {
    println!("ready");
    io::stdout().flush()?;
    io::copy(&mut io::stdin(), &mut io::stdout()).map(drop)
}

/// Prints the first bytes of a file that may have no end, in hexadecimal.
fn head(path: &str, bytes: usize) -> io::Result<()> {
    let mut start = vec![0xff; bytes];
    fs::File::open(path)?.read_exact(&mut start)?;
    start.iter().for_each(|byte| print!("{byte:02x}"));
    println!();
    Ok(())
}

fn list(path: &str) -> io::Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    names.iter().for_each(|name| println!("{name}"));
    Ok(())
}

/// Touches the given amount of memory, then waits for stdin to end.
fn grow(mebibytes: usize) -> io::Result<()> {
    let mut memory: Vec<u8> = Vec::new();
    memory
        .try_reserve_exact(mebibytes << 20)
        .map_err(|error| io::Error::other(error.to_string()))?;
    memory.resize(mebibytes << 20, 1);
    println!("grown {}", std::hint::black_box(&memory).len());
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Takes and touches memory until there is no more, and says how many mebibytes
/// that was.
fn fill() -> usize {
    let mut held: Vec<Vec<u8>> = Vec::with_capacity(4096);
    loop {
        let mut piece = Vec::new();
        if piece.try_reserve_exact(1 << 20).is_err() {
            return std::hint::black_box(&held).len();
        }
        piece.resize(1 << 20, 1);
        held.push(piece);
    }
}
