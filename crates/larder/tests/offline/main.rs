//! Packs and offline stores as people and images use them: larder itself, a real compiler, real
//! namespaces and services.

mod image;
mod namespace;
mod naming;
mod packs;
mod poisoned;
mod scene;
mod services;
mod silent;
mod sources;
mod stores;
mod support;
