//! Where it is kept: the content-addressed store.
