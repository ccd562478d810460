//! How the server that fails as it is told to runs actions.

use std::{
    fs, mem,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::Stdio,
};

use bazel_remote_apis::{
    build::bazel::remote::execution::v2::{self as re, ActionResult},
    google::rpc,
};
use prost::Message;
use rustix::process::{Pid, Signal, kill_process_group};
use tonic::Code;

use super::faulty::{State, digest, lock};

/// An action in flight.
struct Flight<'a>(&'a State);

impl<'a> Flight<'a> {
    fn begin(state: &'a State) -> Self {
        let mut running = lock(&state.running);
        *running += 1;
        let mut counts = lock(&state.counts);
        counts.in_flight = counts.in_flight.max(*running);
        Self(state)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        *lock(&self.0.running) -= 1;
    }
}

impl State {
    /// Runs an action, unless what comes of it is known.
    pub(super) async fn execute(&self, action: &str, again: bool) -> re::ExecuteResponse {
        let _flight = Flight::begin(self);
        let known = lock(&self.results).get(action).cloned().filter(|_| !again);
        if let Some(result) = known {
            return re::ExecuteResponse {
                result: Some(result),
                cached_result: true,
                ..Default::default()
            };
        }
        let _job = self.jobs.acquire().await.unwrap();
        let failed = |code: Code, message: &str| re::ExecuteResponse {
            status: Some(rpc::Status {
                code: code as i32,
                message: message.to_owned(),
                details: Vec::new(),
            }),
            ..Default::default()
        };
        match self.run(action).await {
            Ok(result) => {
                lock(&self.counts).executed += 1;
                if result.exit_code == 0 {
                    lock(&self.results).insert(action.to_owned(), result.clone());
                }
                re::ExecuteResponse { result: Some(result), ..Default::default() }
            }
            Err(Missing) => failed(Code::FailedPrecondition, "inputs are missing"),
        }
    }

    /// Runs an action, whose messages and files must be there.
    async fn run(&self, action: &str) -> Result<ActionResult, Missing> {
        let action: re::Action = self.message(action)?;
        let command: re::Command = self.message(&action.command_digest.unwrap_or_default().hash)?;
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        self.stage(&action.input_root_digest.unwrap_or_default().hash, &root)?;
        let working = root.join(&command.working_directory);
        for path in &command.output_paths {
            fs::create_dir_all(working.join(path).parent().unwrap()).unwrap();
        }
        let mut process = tokio::process::Command::from({
            let mut process = std::process::Command::new(&command.arguments[0]);
            process
                .args(&command.arguments[1..])
                .current_dir(&working)
                .env_clear()
                .process_group(0);
            if let Some(programs) = self.behaviour().programs {
                process.env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
            }
            process.envs(command.environment_variables.iter().map(|it| (&it.name, &it.value)));
            process
        });
        process.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = process.kill_on_drop(true).spawn().unwrap();
        let group = Group(Pid::from_raw(child.id().unwrap().cast_signed()).unwrap());
        let output = child.wait_with_output().await.unwrap();
        mem::forget(group);
        let mut result = ActionResult {
            exit_code: output.status.code().unwrap_or(-1),
            stdout_digest: Some(self.put(output.stdout)),
            stderr_digest: Some(self.put(output.stderr)),
            ..Default::default()
        };
        for path in command.output_paths {
            let there = working.join(&path);
            if there.is_dir() {
                let mut children = Vec::new();
                let root = Some(self.gather(&there, &mut children));
                let tree = re::Tree { root, children };
                let tree_digest = Some(self.put(tree.encode_to_vec()));
                let directory = re::OutputDirectory { path, tree_digest, ..Default::default() };
                result.output_directories.push(directory);
            } else if there.is_file() {
                let is_executable = is_executable(&there);
                let digest = Some(self.put(fs::read(&there).unwrap()));
                let file = re::OutputFile { path, digest, is_executable, ..Default::default() };
                result.output_files.push(file);
            }
        }
        Ok(result)
    }

    fn message<M: Message + Default>(&self, hash: &str) -> Result<M, Missing> {
        let bytes = lock(&self.blobs).get(hash).cloned().ok_or(Missing)?;
        M::decode(&*bytes).map_err(|_| Missing)
    }

    fn stage(&self, directory: &str, to: &Path) -> Result<(), Missing> {
        fs::create_dir(to).unwrap();
        let directory: re::Directory = self.message(directory)?;
        for file in directory.files {
            let bytes = lock(&self.blobs).get(&file.digest.unwrap_or_default().hash).cloned();
            let path = to.join(&file.name);
            fs::write(&path, bytes.ok_or(Missing)?).unwrap();
            let mode = if file.is_executable { 0o755 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        directory.directories.into_iter().try_for_each(|inner| {
            self.stage(&inner.digest.unwrap_or_default().hash, &to.join(inner.name))
        })
    }

    /// A directory of files.
    fn gather(&self, directory: &Path, children: &mut Vec<re::Directory>) -> re::Directory {
        let mut message = re::Directory::default();
        for entry in fs::read_dir(directory).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_dir() {
                let child = self.gather(&entry.path(), children);
                let digest = Some(digest(&child.encode_to_vec()));
                children.push(child);
                message.directories.push(re::DirectoryNode { name, digest });
            } else {
                let digest = Some(self.put(fs::read(entry.path()).unwrap()));
                let is_executable = is_executable(&entry.path());
                message.files.push(re::FileNode {
                    name,
                    digest,
                    is_executable,
                    ..Default::default()
                });
            }
        }
        message
    }
}

/// The processes of an action, which end when nobody waits for it any more.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = kill_process_group(self.0, Signal::KILL);
    }
}

/// Something that an action needs is not there.
struct Missing;

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).unwrap().permissions().mode() & 0o111 != 0
}
