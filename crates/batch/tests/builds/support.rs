//! A data directory, packages to build in it, and what they said.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use larder_batch::{
    build::{BuildTask, Built, Compiler, Ended, Failure, Log, Need, Workshop, build},
    catalogue::{Docs, Recipe, Sources},
    layer::{Layer, Spots},
};
use larder_engine::{
    cache::StoreSettings,
    environment::Environment,
    pool::Slots,
    process::{Allowance, Processes},
    session::{Session, Settings},
};
use larder_project::{dependencies::Resolution, manifest::Toolchain};
use larder_runs::{DataDir, name::HashName, result::Origin};
use larder_trace::ContentHash;
use tempfile::TempDir;

/// Far more than anything here takes on a busy machine.
pub const SOON: Duration = Duration::from_secs(120);

/// A place with sources, a store and data.
pub struct Set {
    pub root: PathBuf,
    pub shop: Workshop,
    _directory: Option<TempDir>,
}

/// A package to build: `name.version`, its recipe, and the files of its sources.
pub struct Package<'p> {
    pub id: &'p str,
    pub recipe: Recipe,
    pub files: &'p [(&'p str, &'p str)],
}

/// Lines for a shell.
pub fn commands(lines: &[&str]) -> Recipe {
    let build = lines.iter().map(|line| (*line).to_owned()).collect();
    Recipe::Commands { build, test: Vec::new() }
}

/// A larder package's own manifest.
pub fn manifest() -> Recipe {
    Recipe::Manifest
}

impl Set {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let store = root.join("store");
        let mut set = Self::at(&root, &store);
        set._directory = Some(directory);
        set
    }

    /// In a directory, with a store.
    pub fn at(root: &Path, store: &Path) -> Self {
        let home = root.join("home");
        fs::create_dir_all(&home).unwrap();
        let path = std::env::var_os("PATH").unwrap();
        let environment: Environment =
            [("PATH", path), ("HOME", home.into_os_string())].into_iter().collect();
        let settings = Settings {
            slots: Slots { local: 2, ..Slots::default() },
            environment: Arc::new(environment),
            store: StoreSettings {
                directory: Some(store.to_owned()),
                config: Some(root.join("no-configuration.toml")),
                offline: true,
                ..StoreSettings::default()
            },
            here: Some(root.to_owned()),
            ..Settings::default()
        };
        let session = Session::new(settings, Arc::<Processes>::default());
        let resolution = Resolution { offline: true, ..Resolution::default() };
        let shop = Workshop::new(DataDir::new(root.join("data")), session, resolution);
        Self { root: root.to_owned(), shop, _directory: None }
    }

    /// Writes the sources of a package, and returns the task of building it with these needs: packages with their
    /// layers.
    pub fn task(&self, package: &Package<'_>, needs: Vec<Need>) -> BuildTask {
        let sources = self.root.join("sources").join(package.id);
        let mut digest = format!("{:?}\n", package.recipe);
        for (path, content) in package.files {
            let file = sources.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, content).unwrap();
            if content.starts_with("#!") {
                fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
            }
            digest += &format!("{path} {content}\n");
        }
        fs::create_dir_all(&sources).unwrap();
        let source_digest = hash(&digest);
        let mut all = format!("{} {}\n", package.id, source_digest.as_str());
        needs.iter().for_each(|need| {
            all += &format!("{}\n", need.layer.record.build_hash.as_str());
        });
        BuildTask {
            package: package.id.parse().unwrap(),
            build_hash: hash(&all),
            source_digest,
            sources: Sources::read(&sources, None).unwrap(),
            recipe: package.recipe.clone(),
            docs: Docs::default(),
            needs,
            compiler: Compiler {
                package: "gcc.12".parse().unwrap(),
                identity: hash("gcc"),
                toolchain: toolchain(),
            },
            allowance: Allowance { time: Some(SOON), ..Allowance::default() },
            jobs: 2,
            sandbox: true,
        }
    }

    pub fn build(&self, task: &BuildTask) -> (Built, String) {
        let text = Arc::new(Mutex::new(Vec::new()));
        let log: Log = text.clone();
        let built = build(&self.shop, task, &log);
        let text = String::from_utf8_lossy(&text.lock().unwrap()).into_owned();
        (built, text)
    }

    /// Builds what is to work, and says where its layer comes from. Nothing else is left.
    #[track_caller]
    pub fn layer(&self, task: &BuildTask) -> (Layer, Origin) {
        let worked = self.worked(task);
        self.assert_clean();
        worked
    }

    /// Builds what is to fail. Nothing is left of it.
    #[track_caller]
    pub fn failure(&self, task: &BuildTask) -> (Failure, String) {
        let failed = self.failed(task);
        self.assert_clean();
        failed
    }

    /// Builds what is to work, beside others.
    #[track_caller]
    pub fn worked(&self, task: &BuildTask) -> (Layer, Origin) {
        let (built, log) = self.build(task);
        match built.ended {
            Ended::Worked(layer) => {
                let needs: Vec<(String, PathBuf)> = task
                    .needs
                    .iter()
                    .map(|need| (need.package.name().to_owned(), need.layer.directory.clone()))
                    .collect();
                layer.verify(&Spots::new(&layer.directory, &needs)).unwrap();
                (layer, built.origin)
            }
            ended => panic!("{}: {ended:?}\n{log}", task.package),
        }
    }

    /// Builds what is to fail, beside others.
    #[track_caller]
    pub fn failed(&self, task: &BuildTask) -> (Failure, String) {
        let (built, log) = self.build(task);
        match built.ended {
            Ended::Failed(failure) => {
                assert!(self.shop.layers.find(&task.build_hash).is_none());
                assert!(log.ends_with('\n') && log.contains(&failure.error), "{failure:?}\n{log}");
                (failure, log)
            }
            ended => panic!("{}: {ended:?}\n{log}", task.package),
        }
    }

    /// Checks that nothing half-made is left.
    #[track_caller]
    pub fn assert_clean(&self) {
        let names = |directory: &str| -> Vec<String> {
            let entries = fs::read_dir(self.root.join("data").join(directory));
            let entries = entries.into_iter().flatten().flatten();
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        };
        assert!(names("work").is_empty(), "{:?}", names("work"));
        let layers = names("layers");
        assert!(layers.iter().all(|name| !name.starts_with('.')), "{layers:?}");
    }
}

/// A need with its layer.
pub fn need(task: &BuildTask, layer: &Layer, direct: bool) -> Need {
    let sources = (task.recipe == Recipe::Manifest).then(|| task.sources.clone());
    Need { package: task.package.clone(), direct, layer: layer.clone(), sources }
}

pub fn hash(text: &str) -> HashName {
    ContentHash::of_bytes(text.as_bytes()).to_string().parse().unwrap()
}

/// The C and C++ compilers on `PATH`.
pub fn toolchain() -> Toolchain {
    Toolchain { cc: Some("gcc".to_owned()), cxx: Some("g++".to_owned()), ..Toolchain::default() }
}

/// What a program prints.
#[track_caller]
pub fn output(program: &Path) -> String {
    let output = std::process::Command::new(program).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// A library `zz` with a Makefile, which tells of itself by `pkg-config`.
pub const ZZ: Package<'static> = Package {
    id: "zz.1.2",
    recipe: Recipe::Manifest,
    files: &[
        ("zz.h", "int zz(void);\n"),
        ("zz.c", "#include \"zz.h\"\nint zz(void) { return 42; }\n"),
        (
            "Makefile",
            "CFLAGS = -g -O1
all: libzz.a
libzz.a: zz.o
\tar rcs $@ zz.o
zz.o: zz.c zz.h
install: all
\tmkdir -p $(PREFIX)/lib/pkgconfig $(PREFIX)/include
\tcp zz.h $(PREFIX)/include
\tcp libzz.a $(PREFIX)/lib
\tln -s libzz.a $(PREFIX)/lib/libzz.1.a
\tprintf 'prefix=%s\\nName: zz\\nDescription: z\\nVersion: 1.2\\nCflags: -I$${prefix}/include\\nLibs: -L$${prefix}/lib -lzz\\n' $(PREFIX) > $(PREFIX)/lib/pkgconfig/zz.pc
",
        ),
    ],
};

/// The task of building [`ZZ`].
pub fn zz(set: &Set) -> BuildTask {
    let lines = ["make -j{jobs}", "make install PREFIX={prefix}"];
    set.task(&Package { recipe: commands(&lines), ..ZZ }, Vec::new())
}
