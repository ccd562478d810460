//! Sources of packages from elsewhere in offline stores, commits and archives: baked with their artifacts, and
//! unpacked from there where a build needs them. And whoever fetches archives.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use larder_project::{
    archive::Fetcher,
    git,
    packages::{self, Baked, Content},
};
use larder_store::{
    StoreError,
    offline::{self, Checkout, Objects},
};
use larder_trace::describe_io;

use crate::cache::StoreSettings;

/// The checkouts of the offline store that `settings` name, if they name one.
pub fn baked(settings: &StoreSettings) -> Option<Arc<dyn Baked>> {
    let directory = settings.offline_store.clone()?;
    Some(Arc::new(OfflineStore { directory, checkouts: OnceLock::new() }))
}

/// A baked store, read at the first question.
#[derive(Debug)]
struct OfflineStore {
    directory: PathBuf,
    checkouts: OnceLock<Result<Vec<Checkout>, String>>,
}

impl OfflineStore {
    /// All that claim to be `content`. Packages may be called differently and have one repository.
    fn of(&self, content: &Content) -> Result<impl Iterator<Item = &Checkout>, String> {
        let checkouts = self.checkouts.get_or_init(|| match offline::is_baked(&self.directory) {
            true => offline::checkouts(&self.directory).map_err(|error| error.to_string()),
            false => Ok(Vec::new()),
        });
        let checkouts = checkouts.as_ref().map_err(String::clone)?.iter();
        let name = content.to_string();
        Ok(checkouts.filter(move |checkout| checkout.commit.as_str() == name))
    }
}

impl Baked for OfflineStore {
    fn directory(&self) -> &Path {
        &self.directory
    }

    fn has(&self, content: &Content) -> Result<bool, String> {
        Ok(self.of(content)?.next().is_some())
    }

    fn copy(&self, content: &Content, to: &File) -> Result<(), String> {
        let mut wrong = "it is not there".to_owned();
        for checkout in self.of(content)? {
            to.set_len(0).map_err(|error| describe_io(&error))?;
            match offline::copy_checkout(&self.directory, checkout, to) {
                Ok(()) => return Ok(()),
                Err(reason) => wrong = reason,
            }
        }
        Err(wrong)
    }
}

/// Fetches archives as plain files of the web.
#[derive(Debug, Clone, Copy)]
pub struct Web;

impl Fetcher for Web {
    fn fetch(&self, url: &str, to: &File, limit: u64) -> Result<(), String> {
        larder_remote::download(url, to, limit)
    }
}

/// Proves that what is baked as `checkout` in the store at `directory` is the commit or archive.
///
/// # Errors
/// Why it is not, for people.
pub fn check(directory: &Path, checkout: &Checkout) -> Result<(), String> {
    let content: Content = checkout.commit.as_str().parse().map_err(|_| "it names no commit")?;
    let file = temporary().map_err(|error| error.to_string())?;
    offline::copy_checkout(directory, checkout, &file)?;
    match content {
        Content::Commit(commit) => git::check_objects(&file, checkout.package.as_str(), &commit)
            .map_err(|error| error.to_string()),
        Content::Archive(hash) => match hash.check(&file).map_err(|error| describe_io(&error))? {
            Ok(()) => Ok(()),
            Err(found) => Err(format!("it is another archive: {found}")),
        },
    }
}

/// What there is of some checkouts.
#[derive(Debug, Default)]
pub struct Taken {
    /// The objects of those that are whole.
    pub objects: Vec<Objects>,
    /// The others, and what is wrong with each.
    pub missing: Vec<(String, String)>,
}

/// Takes the objects of all commits among `checkouts`, and the archives, to be baked.
///
/// # Errors
/// When no temporary file can be made.
pub fn take(checkouts: &[packages::Checkout]) -> Result<Taken, StoreError> {
    let mut taken = Taken::default();
    for checkout in &with_submodules(checkouts, &mut taken) {
        match take_one(checkout)? {
            Ok(file) => taken.objects.push(Objects {
                package: checkout.name.parse()?,
                commit: checkout.content.to_string().parse()?,
                file,
            }),
            Err(reason) => {
                let what = format!("the checkout of {} at {}", checkout.name, checkout.content);
                taken.missing.push((what, reason));
            }
        }
    }
    Ok(taken)
}

/// `checkouts` and the submodules of those that have some.
fn with_submodules(checkouts: &[packages::Checkout], taken: &mut Taken) -> Vec<packages::Checkout> {
    let mut all = Vec::new();
    for checkout in checkouts {
        all.push(checkout.clone());
        let (true, Content::Commit(commit)) = (checkout.submodules, &checkout.content) else {
            continue;
        };
        match git::all_submodules(&checkout.name, &checkout.path, commit) {
            Ok(found) => all.extend(found.into_iter().map(|(path, commit)| packages::Checkout {
                content: Content::Commit(commit),
                path,
                ..checkout.clone()
            })),
            Err(error) => {
                let what = format!("the submodules of {}", checkout.name);
                taken.missing.push((what, error.to_string()));
            }
        }
    }
    all.dedup_by(|a, b| a.content == b.content);
    all
}

fn take_one(checkout: &packages::Checkout) -> Result<Result<File, String>, StoreError> {
    Ok(match &checkout.content {
        Content::Commit(commit) => {
            let file = temporary()?;
            let took = git::take_objects(&checkout.path, commit, &file);
            took.map(|()| file).map_err(|error| error.to_string())
        }
        Content::Archive(hash) => hash.open(&checkout.path).map_err(|reason| {
            let path = checkout.path.display();
            format!("{path}: {reason}; remove the unpacked package, and it is fetched anew")
        }),
    })
}

/// A file without a name.
fn temporary() -> Result<File, StoreError> {
    tempfile::tempfile().map_err(|source: io::Error| StoreError::Io {
        action: "make a temporary file in",
        path: std::env::temp_dir(),
        source,
    })
}
