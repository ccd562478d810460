//! Whether the workers of a server have the tools of this machine.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use larder_engine::executor::ToolPaths;
use prost::Message;
use tokio::sync::OnceCell;

use crate::{
    blobs::{Blob, Known},
    client::Client,
    error::Error,
    execution::Stop,
    files::Files,
    layout::PACKAGE,
    request::{command, properties, sums},
    toolchain::System,
    tree::{File, Tree},
    wire::re,
};

/// What is known of the tools of the workers, for one build.
#[derive(Default)]
pub struct Workers(Mutex<HashMap<Question, Arc<OnceCell<bool>>>>);

/// A program, and whether it is sent.
type Question = (PathBuf, bool);

/// The list of what makes a tool what it is.
const LIST: &str = "tools";

/// Sees that all files of a list are there and the same.
const PROBE: &str = "sha256sum --check --status tools";

/// What it takes to ask a worker.
pub struct Asking<'a> {
    /// The server.
    pub client: &'a Client,
    /// Contents that are known to be there.
    pub known: &'a Known,
    /// Digests of files here.
    pub files: &'a Files,
    /// Properties of the workers.
    pub platform: &'a BTreeMap<String, String>,
    /// The tools of this machine, where they are sent.
    pub sent: Option<&'a System>,
}

impl Workers {
    /// Whether workers have the program at `path`, with all that makes it what it is. Each is asked for once.
    ///
    /// # Errors
    /// The server did not answer.
    pub async fn have(
        &self,
        path: &Path,
        tools: &ToolPaths,
        asking: &Asking<'_>,
        stop: &Stop,
    ) -> Result<bool, Error> {
        let answer = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.entry((path.to_owned(), asking.sent.is_some())).or_default().clone()
        };
        let ask = || asking.ask(tools.files(path), stop.clone());
        answer.get_or_try_init(ask).await.copied()
    }
}

impl Asking<'_> {
    async fn ask(&self, files: Vec<PathBuf>, mut stop: Stop) -> Result<bool, Error> {
        let mut digests = BTreeMap::new();
        for path in files {
            let Some(name) = path.to_str().filter(|name| !name.contains(['\n', '\\'])) else {
                return Ok(false);
            };
            // One that is not here is none that it runs.
            if let Ok(file) = self.files.file(&path) {
                digests.insert(name.to_owned(), file.blob.digest);
            }
        }
        if digests.is_empty() {
            return Ok(false);
        }
        let mut tree = Tree::default();
        let list = Blob::of_bytes(sums(&digests).into());
        tree.directory(PACKAGE).insert(LIST, File { blob: list, executable: false });
        self.sent.into_iter().for_each(|sent| sent.put_into(&mut tree));
        let arguments = ["/bin/sh", "-c", PROBE].map(str::to_owned).to_vec();
        let command = Blob::of_bytes(command(arguments, &[], self.platform).encode_to_vec());
        let mut blobs = Vec::new();
        let input_root = tree.finish(&mut blobs);
        let action = re::Action {
            command_digest: Some(command.digest.to_wire()),
            input_root_digest: Some(input_root.to_wire()),
            // What another worker answered once says nothing of those that are there now.
            do_not_cache: true,
            platform: Some(properties(self.platform)),
            ..Default::default()
        };
        let action = Blob::of_bytes(action.encode_to_vec());
        let digest = action.digest;
        blobs.extend([command, action]);
        self.client.ensure(self.known, &blobs).await?;
        let executed = self.client.execute(digest, true, &mut stop).await?;
        Ok(executed.result.exit_code == 0)
    }
}
