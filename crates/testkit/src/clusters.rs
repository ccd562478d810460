//! Servers of the Remote Execution API: one that others wrote, and one that fails as it is told to.

#[cfg(feature = "services")]
mod buildgrid;
mod calls;
mod casd;
mod connection;
mod faulty;
mod team;
mod worker;

#[cfg(feature = "services")]
pub use buildgrid::BuildGrid;
pub use casd::{Casd, Workers};
pub use faulty::{Behaviour, Counts, Faulty, Poison};
pub use team::{Member, Team};
