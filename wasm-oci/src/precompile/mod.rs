//! `wasm-oci precompile`.

mod modules;
mod progress;

use std::time::{Duration, Instant};

use store::Store;

use crate::cli::Precompile;
use crate::error::{Error, Result};
use crate::zygote::Zygote;
use modules::Module;
use progress::Progress;

/// How a module's compilation ended.
#[derive(Debug)]
pub enum Outcome {
    /// Native code was there before.
    There,
    Made(Duration),
    /// For this reason.
    Impossible(String),
}

/// Compiles all modules of all files, and says what became of each.
pub fn run(options: &Precompile) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Err(Error::NotRoot);
    }
    let zygote = Zygote::find()?;
    let store = Store::at(store::FOLDER);
    store.create()?;
    let mut found = Vec::new();
    for file in &options.files {
        let modules = modules::of(file)?;
        if modules.is_empty() {
            return Err(Error::NoModules(file.clone()));
        }
        found.extend(modules);
    }
    let all = found.len();
    let progress = Progress::new(all);
    let mut failed = 0;
    for module in found {
        progress.begin(&module.name);
        let key = zygote.key(module.open()?)?;
        let outcome = compile(&zygote, &store, &key, &module)?;
        failed += usize::from(matches!(outcome, Outcome::Impossible(_)));
        progress.end(&module.name, key.module(), &outcome);
    }
    match failed {
        0 => Ok(()),
        failed => Err(Error::NotCompiled { failed, all }),
    }
}

fn compile(zygote: &Zygote, store: &Store, key: &store::Key, module: &Module) -> Result<Outcome> {
    let begin = Instant::now();
    let compiled = match store.claim(key, false)? {
        // Somebody may be at it.
        None if !store.is_busy(key) => Ok(false),
        claim => {
            drop(claim);
            zygote.compile(store, key, module.open()?).map(|()| true)
        }
    };
    // Code that was made quickly is code.
    match (store.open(key), store.failure(key), compiled) {
        (Some(_), _, Ok(false)) => Ok(Outcome::There),
        (Some(_), None, Ok(true)) => Ok(Outcome::Made(begin.elapsed())),
        (_, Some(reason), _) => Ok(Outcome::Impossible(reason)),
        (_, None, Err(error)) => Err(error),
        (None, None, Ok(_)) => Ok(Outcome::Impossible("it was removed meanwhile".into())),
    }
}
