//! The cache server, as clients, attackers and the end of its process see it.

mod attacks;
mod clients;
mod content;
mod keys;
mod load;
mod server;
mod signer;
