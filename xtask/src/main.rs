//! `cargo xtask`: everything that is built, run and tested here, by one name.
use anyhow::Result;
fn main() -> Result<()> {
    xtask::process::stop_all_on_signal("stopped", 130)?;
    let steps = xtask::steps::Steps::new(&xtask::root().join("target/xtask"))?;
    println!("{}", xtask::worker::build(&steps)?);
    Ok(())
}
