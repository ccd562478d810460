//! The generated messages and clients, under names of their own.

pub use bazel_remote_apis::{
    build::bazel::remote::execution::v2 as re,
    google::{bytestream, longrunning, protobuf, rpc},
};
