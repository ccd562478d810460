//! Stores that are uploaded to services and filled from them.

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
};

use larder_remote::{
    Access, Destination, Get, GetReport, Key, Overwrite, PutReport, RemoteError, Search, Service,
    ServiceConfig,
};
use larder_store::{Revision, Scope};

use crate::{
    machine::KEY,
    stores::{Stored, scope},
};

/// The configuration of the bucket as seen through `address`, with the server's key. No machine is so busy
/// that a server which means to answer takes as long as this waits.
pub fn config_at(address: SocketAddr) -> ServiceConfig {
    ServiceConfig {
        endpoint: Some(format!("http://{address}")),
        region: Some("us-east-1".to_owned()),
        timeout_seconds: Some(300),
        credentials: Arc::new(key().into()),
        ..ServiceConfig::new("team", "s3://bucket/some/prefix")
    }
}

/// The key of the S3 server.
fn key() -> Key {
    Key { id: KEY.0.to_owned(), secret: KEY.1.to_owned() }
}

/// Opens a service, which must work.
pub fn open(config: &ServiceConfig, access: Access) -> Service {
    Service::open(config, access).unwrap()
}

/// A revision by its name.
pub fn revision(name: &str) -> Revision {
    name.parse().unwrap()
}

impl Stored {
    /// Uploads everything as revision `rev`.
    pub fn try_put(
        &self,
        service: &Service,
        rev: &str,
        overwrite: Overwrite,
    ) -> Result<PutReport, RemoteError> {
        let (scope, revision) = (scope(), revision(rev));
        let to = Destination {
            service,
            scope: &scope,
            revision: &revision,
            reference: None,
            similar: &[],
            overwrite,
            progress: &|_| (),
        };
        larder_remote::put_stored(&to, &self.store, &self.mappings)
    }

    /// The same, which must work.
    pub fn put(&self, service: &Service, rev: &str) -> PutReport {
        let report = self.try_put(service, rev, Overwrite::default()).unwrap();
        assert!(report.is_complete(), "{report:?}");
        report
    }

    /// Gets the first of some revisions that the service has.
    pub fn try_get(
        &self,
        service: &Service,
        revs: &[&str],
    ) -> Result<Option<GetReport>, RemoteError> {
        let revisions: Vec<_> = revs.iter().map(|rev| revision(rev)).collect();
        Ok(self.search(service, &revisions)?.report)
    }

    /// Looks for revisions on a service, and gets one.
    pub fn search(&self, service: &Service, revisions: &[Revision]) -> Result<Search, RemoteError> {
        larder_remote::get(&self.request(service), revisions)
    }

    /// How to get things from a service.
    pub fn request<'a>(&'a self, service: &'a Service) -> Get<'a> {
        static SCOPE: LazyLock<Scope> = LazyLock::new(scope);
        Get {
            service,
            store: &self.store,
            scope: &SCOPE,
            local_scope: &SCOPE,
            mappings_only: false,
            force: false,
            progress: &|_| (),
        }
    }

    /// Gets a revision that the service has.
    pub fn get(&self, service: &Service, rev: &str) -> GetReport {
        self.try_get(service, &[rev]).unwrap().expect("the service has the revision")
    }
}
