//! The platform, as part of a trace.

use std::{env, sync::OnceLock};

use crate::BuildTrace;

/// The platform larder runs on, such as `x86_64-linux`.
pub fn host_platform() -> &'static str {
    static PLATFORM: OnceLock<String> = OnceLock::new();
    PLATFORM.get_or_init(|| format!("{}-{}", env::consts::ARCH, env::consts::OS))
}

/// The trace of the host platform: mixed into whatever depends on the platform (Lake's
/// `platformTrace`).
pub fn platform_trace() -> BuildTrace {
    BuildTrace::text("platform", host_platform())
}
