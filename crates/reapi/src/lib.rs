//! Actions cached and run by servers of the Remote Execution API.
//!
//! From the outside in: [`settings`] says which server and how it is used; [`RemoteExecutor`] runs the actions of a build
//! there, or declines. A [`request`] is an action as a server takes it, and the [`outcome`] is taken over as if it had
//! run here; a [`client`](client::Client) talks to the server. The API itself is described by its messages:
//! <https://github.com/bazelbuild/remote-apis>.

pub mod address;
mod blobs;
mod channel;
pub mod client;
pub mod digest;
pub mod error;
mod execution;
mod executor;
mod fetch;
mod files;
mod layout;
mod network;
mod outcome;
mod request;
mod retry;
mod script;
pub mod settings;
mod stream;
mod times;
mod toolchain;
mod tree;
mod upload;
mod wire;
mod words;
mod workers;

pub use channel::ConnectError;
pub use executor::{OpenError, RemoteExecutor};
