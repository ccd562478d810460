//! `larder serve` on small sets of real packages: pages, JSON, files, limits, attacks.

mod attacks;
mod beside;
mod cache;
mod changed;
mod client;
mod compare;
mod export;
mod pages;
mod proxy;
