//! The artifact cache as a team meets it: the larder binary, a real compiler, a real S3 server.

mod cache_server;
mod counts;
mod crowd;
mod damage;
mod kills;
mod lean;
mod restore;
mod support;
mod team;
mod trust;
