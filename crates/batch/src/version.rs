//! The order of versions of one package.
