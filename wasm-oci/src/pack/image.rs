//! An ordinary image: a file system of one layer, and how to run it.

use std::collections::HashMap;
use std::io::{BufWriter, Seek, SeekFrom};
use std::path::Path;

use oci_spec::image::{
    Arch, ConfigBuilder, Descriptor, Digest, ImageConfiguration, ImageConfigurationBuilder,
    ImageManifest, ImageManifestBuilder, MediaType, Os, RootFsBuilder,
};

use super::arguments::{Pair, Platform};
use super::layout::Layout;
use super::output::{Output, write_error};
use super::source::Source;
use super::tree::{Content, Kind, Tree};
use super::{IMPORT_MODULES, add, layer, unique};
use crate::cli::Pack;
use crate::digest::Hashed;
use crate::error::{Error, Result};

/// All that an image is made of, checked, nothing of it written.
#[derive(Debug)]
pub struct Image<'a> {
    tree: Tree,
    options: &'a Pack,
    platform: &'a Platform,
    entrypoint: String,
    /// The value of [`IMPORT_MODULES`], if there are any.
    pub import_modules: Option<String>,
    created: Option<String>,
}

impl<'a> Image<'a> {
    pub fn new(
        options: &'a Pack,
        platform: &'a Platform,
        entry: Source,
        imports: Vec<(String, Source)>,
        created: Option<String>,
    ) -> Result<Self> {
        unique("env", &options.env)?;
        unique("label", &options.label)?;
        let is_listed = |pair: &Pair| !imports.is_empty() && pair.name == IMPORT_MODULES;
        if options.label.iter().any(is_listed) {
            let (flag, name) = ("label", IMPORT_MODULES.into());
            return Err(Error::Duplicate { flag, name });
        }
        let mut tree = Tree::default();
        let mut entrypoint = format!("/{}", entry.name);
        put_module(&mut tree, &entrypoint.clone(), entry)?;
        if let Some(function) = &options.entrypoint {
            entrypoint = format!("{entrypoint}#{function}");
        }
        let mut listed = Vec::new();
        for (name, source) in imports {
            let path = format!("/usr/lib/wasm/{}", source.name);
            put_module(&mut tree, &path, source)?;
            listed.push(format!("{name}={path}"));
        }
        for one in &options.add {
            add::add(&mut tree, one)?;
        }
        Ok(Self {
            tree,
            options,
            platform,
            entrypoint,
            import_modules: (!listed.is_empty()).then(|| listed.join(",")),
            created,
        })
    }

    /// Writes the blobs and returns the manifest that holds them together.
    pub fn write(&self, layout: &mut Layout) -> Result<ImageManifest> {
        let layer = self.write_layer(layout)?;
        let configuration = self.configuration(layer.digest());
        let config = layout.json_blob(&MediaType::ImageConfig, &configuration)?;
        let mut manifest = ImageManifestBuilder::default()
            .schema_version(2u32)
            .media_type(MediaType::ImageManifest)
            .config(config)
            .layers([layer])
            .build()
            .expect("a manifest with all its fields");
        manifest.set_annotations(self.annotation().map(|annotation| [annotation].into()));
        Ok(manifest)
    }

    /// Which import modules there are, by name and value.
    fn annotation(&self) -> Option<(String, String)> {
        let modules = self.import_modules.clone()?;
        Some((IMPORT_MODULES.into(), modules))
    }

    /// The archive wants a blob's digest before its bytes, so the layer is
    /// written twice, and never all of it in memory.
    fn write_layer(&self, layout: &mut Layout) -> Result<Descriptor> {
        let output: &Output = layout.output();
        let place = output.place().to_owned();
        let mut writer = Hashed::new(BufWriter::new(output.spool()?));
        layer::write(&self.tree, &mut writer, &place)?;
        let (buffer, digest, size) = writer.finish();
        let mut spool = buffer
            .into_inner()
            .map_err(|error| write_error(&place, error.into_error()))?;
        spool
            .seek(SeekFrom::Start(0))
            .map_err(|source| write_error(&place, source))?;
        let descriptor = Descriptor::new(MediaType::ImageLayer, size, digest);
        layout.stream(&descriptor, spool)?;
        Ok(descriptor)
    }

    fn configuration(&self, layer: &Digest) -> ImageConfiguration {
        let options = self.options;
        let mut config = ConfigBuilder::default()
            .entrypoint([self.entrypoint.clone()])
            .working_dir(
                options
                    .workdir
                    .as_deref()
                    .map_or("/".into(), Path::to_string_lossy),
            );
        if !options.args.is_empty() {
            config = config.cmd(options.args.clone());
        }
        if !options.env.is_empty() {
            let variable = |pair: &Pair| format!("{}={}", pair.name, pair.value);
            config = config.env(options.env.iter().map(variable).collect::<Vec<_>>());
        }
        if let Some(user) = &options.user {
            config = config.user(user.as_str());
        }
        let mut labels: HashMap<String, String> = options
            .label
            .iter()
            .map(|pair| (pair.name.clone(), pair.value.clone()))
            .collect();
        labels.extend(self.annotation());
        if !labels.is_empty() {
            config = config.labels(labels);
        }
        let rootfs = RootFsBuilder::default()
            .typ("layers")
            .diff_ids([layer.to_string()])
            .build()
            .expect("a rootfs with all its fields");
        let mut configuration = ImageConfigurationBuilder::default()
            .os(Os::from(self.platform.os.as_str()))
            .architecture(Arch::from(self.platform.architecture.as_str()))
            .rootfs(rootfs)
            .config(config.build().expect("all fields are optional"))
            .build()
            .expect("a configuration with all its fields");
        configuration.set_variant(self.platform.variant.clone());
        configuration.set_created(self.created.clone());
        configuration
    }
}

fn put_module(tree: &mut Tree, path: &str, source: Source) -> Result<()> {
    let kind = Kind::File {
        mode: 0o755,
        content: Content::Bytes(source.bytes),
    };
    tree.put(Path::new(path), kind, &source.file.to_string_lossy())
}
