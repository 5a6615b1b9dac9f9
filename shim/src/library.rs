use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use figures::{Code, Count, Figures};
use ipc::{Channel, FromLibrary, ToLibrary};
use store::{Key, Store};
use tokio::task::JoinHandle;

use crate::child;
use crate::counts;
use crate::error::{Context, Result};
use crate::settings::Aot;
use crate::watched::{Watched, recv, watch};
use crate::zygote_process;

/// The node's store of native code, from which guests get theirs before they
/// run, and what has it made.
#[derive(Debug)]
pub struct Library {
    /// The folder of the zygote, which is the compiler too.
    files: PathBuf,
    store: Store,
}

/// Whose guest asks for native code.
#[derive(Debug)]
pub struct Asker {
    pub container: String,
    pub policy: Aot,
    pub figures: Figures,
}

impl Library {
    pub fn new(files: PathBuf) -> Self {
        Self {
            files,
            store: Store::at(store::FOLDER),
        }
    }

    /// A connection for one guest; `None` if it is to be interpreted. Without a
    /// store, as on a machine whose /var can't be written, all guests are.
    pub fn connect(self: &Arc<Self>, asker: Asker) -> Option<OwnedFd> {
        if asker.policy == Aot::Off {
            return None;
        }
        let container = asker.container.clone();
        self.open_connection(asker)
            .inspect_err(|error| log::warn!(container; "no native code is used: {error}"))
            .ok()
    }

    fn open_connection(self: &Arc<Self>, asker: Asker) -> Result<OwnedFd> {
        self.store.create()?;
        let (ours, theirs) = Channel::pair()?;
        let channel = watch(ours).context("can't watch a guest")?;
        tokio::spawn(Arc::clone(self).serve(channel, asker));
        Ok(theirs.into())
    }

    /// Returns when the guest has closed its end, before its program runs.
    async fn serve(self: Arc<Self>, channel: Watched<Channel>, asker: Asker) {
        while let Ok((question, fds)) = recv::<ToLibrary>(&channel).await {
            let (ToLibrary::Find { key } | ToLibrary::Discard { key }) = &question;
            // Or it is not a guest's side of this build.
            let Some(key) = Key::parse(key) else { return };
            match question {
                ToLibrary::Find { .. } => {
                    let module = fds.into_iter().next();
                    let code = self.find(&key, module, &asker).await;
                    let sent = match &code {
                        Some(code) => channel
                            .get_ref()
                            .try_send(&FromLibrary::Found, &[code.as_fd()]),
                        None => channel.get_ref().try_send(&FromLibrary::Missing, &[]),
                    };
                    if sent.is_err() {
                        return;
                    }
                    // The guest has its answer and goes on.
                    counts::add(
                        &asker.figures,
                        Count::NativeCode(self.looked_up(&key, &code)),
                    );
                }
                ToLibrary::Discard { .. } => {
                    log::warn!(container = asker.container; "native code {key} can't be loaded; it is made anew");
                    self.store.discard(&key);
                }
            }
        }
    }

    fn looked_up(&self, key: &Key, found: &Option<File>) -> Code {
        match found {
            Some(_) => Code::Hit,
            None if self.store.failure(key).is_some() => Code::Impossible,
            None => Code::Miss,
        }
    }

    async fn find(&self, key: &Key, module: Option<OwnedFd>, asker: &Asker) -> Option<File> {
        if let Some(code) = self.store.open(key) {
            if let Some(module) = module
                && self.store.is_left_quick(key)
            {
                // Goes on with what was ended, for those who come later.
                let _ = self.try_compile(key, module, asker, Aot::Background);
            }
            return Some(code);
        }
        if self.store.failure(key).is_some() {
            return None;
        }
        let compiler = self.try_compile(key, module?, asker, asker.policy)?;
        if asker.policy == Aot::Wait {
            let _ = compiler.await;
        }
        self.store.open(key)
    }

    fn try_compile(
        &self,
        key: &Key,
        module: OwnedFd,
        asker: &Asker,
        policy: Aot,
    ) -> Option<JoinHandle<()>> {
        self.compile(key, module, asker, policy)
            .inspect_err(
                |error| log::warn!(container = asker.container; "no native code is made: {error}"),
            )
            .ok()
    }

    fn compile(
        &self,
        key: &Key,
        module: OwnedFd,
        asker: &Asker,
        policy: Aot,
    ) -> Result<JoinHandle<()>> {
        let mut command = zygote_process::command(&self.files)?;
        command.arg("compile");
        if policy == Aot::Wait {
            command.arg("--wait");
        }
        command.arg(self.store.folder()).arg(key.to_string());
        command.args(asker.figures.path()).stdin(module);
        let compiler = command
            .spawn()
            .at("can't start the compiler", &self.files)?;
        child::reap(compiler)
    }
}
