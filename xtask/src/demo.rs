//! `cargo xtask demo`.
/// Runs it.
pub fn run() -> anyhow::Result<()> {
    Ok(())
}
