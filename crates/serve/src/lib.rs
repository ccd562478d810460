//! What people see: the dashboard of an ecosystem, and the cache of a team.
//!
//! ```text
//! site     addresses, and run data at one moment: a snapshot
//! model    the content of each page, as plain data
//! html     pages for people, made from that; the JSON of the API is the same content
//! make     from an address to bytes
//! web      requests and answers;  server  connections
//! export   the same pages as files
//! ```
//!
//! A page is made when it is asked for and kept until run data change. Nothing in run data is trusted: names are parsed,
//! text is sanitised and escaped, and files are opened below the data directory and through no link.

mod badge;
pub mod cache;
mod documentation;
mod export;
mod feed;
mod html;
mod make;
mod metrics;
pub mod model;
mod openapi;
pub mod server;
pub mod site;
mod web;

use std::{future::Future, sync::Arc};

use tokio::{net::TcpListener, sync::watch};

pub use export::{ExportError, Exported, export};
use server::Limits;
use site::{Ecosystem, Site};
pub use web::{App, Hosts, router};

/// Shows an ecosystem to whoever connects, until `end`; requests that are under way are finished then.
pub async fn serve(
    listener: TcpListener,
    ecosystem: Ecosystem,
    hosts: Hosts,
    limits: &Limits,
    end: impl Future<Output = ()>,
) {
    let (tell, ending) = watch::channel(false);
    let app = App { site: Arc::new(Site::new(ecosystem)), ending, hosts };
    let end = async {
        end.await;
        // Nobody may be there who would end.
        _ = tell.send(true);
    };
    server::serve(listener, router(app), limits, end).await;
}
