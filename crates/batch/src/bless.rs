//! Which build of each package version counts first.
