//! How it is built: manifest, graph, jobs and toolchains.
