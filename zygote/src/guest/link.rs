use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use oci::{Budget, ImportModule, Workload};
use wasmedge_sdk::wasi::WasiModule;
use wasmedge_sdk::{AsInstance, ExternalInstanceType};

use super::artifact::Given;
use super::file;
use super::loader::{Configs, Loader};
use super::module::Module;

/// A module that others import from by its name.
pub struct Import {
    pub name: String,
    pub module: Module,
    /// Whether its `_initialize` is to be called.
    pub initialize: bool,
}

/// A module that others are to import from by its name, not yet loaded.
pub struct Wanted {
    name: String,
    path: PathBuf,
    /// `None` if it is in the container.
    file: Option<File>,
}

/// The import modules that came by themselves, and those that an annotation
/// names. An error is one sentence for the user.
pub fn wanted(workload: &Workload, given: Vec<Given>) -> Result<Vec<Wanted>, String> {
    let mut wanted: Vec<_> = given
        .into_iter()
        .map(|Given { name, path, file }| Wanted {
            name,
            path,
            file: Some(file),
        })
        .collect();
    for ImportModule { name, path } in &workload.wishes.import_modules {
        let path = workload.cwd.join(path);
        if let Some(other) = wanted.iter().find(|other| other.name == *name) {
            return Err(format!(
                "two import modules have the name {name:?}: {} of the image, and {} of annotation {}",
                other.path.display(),
                path.display(),
                oci::IMPORT_MODULES
            ));
        }
        wanted.push(Wanted {
            name: name.clone(),
            path,
            file: None,
        });
    }
    Ok(wanted)
}

/// Loads import modules, each after those that it imports from. An error is one
/// sentence for the user.
pub fn load(
    loader: &Loader<'_>,
    configs: Configs<'_>,
    mut wanted: Vec<Wanted>,
    budget: &mut Budget,
) -> Result<Vec<Import>, String> {
    let mut modules = Vec::new();
    for Wanted { name, path, file } in &mut wanted {
        let opened = file.take().map_or_else(|| file::open(path), Ok);
        let module = opened
            .map_err(|error| file::describe(&error, path))
            .and_then(|file| loader.load(configs, path, file, budget))
            .map_err(|error| format!("import module {name:?}: {error}"))?;
        modules.push(module);
    }
    let needs: Vec<_> = wanted
        .iter()
        .zip(&modules)
        .map(|(import, module)| (import.name.as_str(), module.import_names()))
        .collect();
    let order = oci::link_order(&needs).map_err(|cycle| describe(&cycle, &wanted))?;
    let mut modules: Vec<_> = modules.into_iter().map(Some).collect();
    order
        .into_iter()
        .filter_map(|index| Some((&wanted[index].name, modules[index].take()?)))
        .map(|(name, module)| {
            Ok(Import {
                name: name.clone(),
                initialize: module.is_reactor()?,
                module,
            })
        })
        .collect()
}

fn describe(cycle: &[String], wanted: &[Wanted]) -> String {
    let path = |name: &String| wanted.iter().find(|import| import.name == *name);
    let names: Vec<_> = cycle
        .iter()
        .map(|name| match path(name) {
            Some(import) => format!("{name:?} ({})", import.path.display()),
            None => format!("{name:?}"),
        })
        .collect();
    format!(
        "import modules can't be linked, as they import from each other in a circle: {}",
        names.join(" imports from ")
    )
}

/// Whether all that the modules import is there, of the right kind and type.
/// An error is one sentence for the user.
pub fn check(wasi: &WasiModule, imports: &[Import], entry: &Module) -> Result<(), String> {
    let functions = functions_of(wasi);
    let mut provided = BTreeMap::from([(wasi.name(), ("WASI", &functions))]);
    for import in imports {
        // One that comes later is a cycle, which there is none of.
        check_one(&import.module, &provided)?;
        let exports = (import.module.shown.as_str(), &import.module.exports);
        provided.insert(&import.name, exports);
    }
    check_one(entry, &provided)
}

type Exports = BTreeMap<String, Option<ExternalInstanceType>>;

/// The SDK does not tell their types.
fn functions_of(wasi: &WasiModule) -> Exports {
    let names = wasi.as_ref().func_names().unwrap_or_default();
    names.into_iter().map(|name| (name, None)).collect()
}

fn check_one(module: &Module, provided: &BTreeMap<&str, (&str, &Exports)>) -> Result<(), String> {
    for import in module.ast.imports() {
        let (from, name) = (import.module_name(), import.name());
        let what = format!("{} imports {name:?} from {from:?}", module.shown);
        let Some((provider, exports)) = provided.get(&*from) else {
            let names: Vec<_> = provided.keys().map(|name| format!("{name:?}")).collect();
            return Err(format!(
                "{what}, which nothing provides; it can import from {}",
                names.join(", ")
            ));
        };
        let wanted = import.ty().ok();
        match exports.get(&*name) {
            None => {
                return Err(format!(
                    "{what}, which nothing provides: {provider} has no such export"
                ));
            }
            // What WasmEdge's API can't tell, it finds out when it links.
            Some(None) => {}
            Some(Some(_)) if wanted.is_none() => {}
            Some(Some(export)) if wanted.as_ref().is_some_and(|wanted| fits(export, wanted)) => {}
            Some(Some(export)) => {
                return Err(format!(
                    "{what} as a {}, but {provider} exports it as a {}",
                    wanted.as_ref().map(describe_type).unwrap_or_default(),
                    describe_type(export)
                ));
            }
        }
    }
    Ok(())
}

/// Sizes of memories and tables are for WasmEdge to compare when it links: how
/// they are then, and not how they were declared, counts.
fn fits(export: &ExternalInstanceType, wanted: &ExternalInstanceType) -> bool {
    use ExternalInstanceType::{Memory, Table};
    match (export, wanted) {
        (Memory(_), Memory(_)) => true,
        (Table(export), Table(wanted)) => export.elem_ty() == wanted.elem_ty(),
        (export, wanted) => export == wanted,
    }
}

fn describe_type(kind: &ExternalInstanceType) -> String {
    match kind {
        ExternalInstanceType::Func(function) => {
            format!("function {:?} -> {:?}", function.args(), function.returns())
        }
        ExternalInstanceType::Global(global) => {
            format!("global {:?} {:?}", global.mutability(), global.value_ty())
        }
        ExternalInstanceType::Memory(_) => "memory".into(),
        ExternalInstanceType::Table(table) => format!("table of {:?}", table.elem_ty()),
    }
}
