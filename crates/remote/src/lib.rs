//! How it travels: remote cache services.
