//! Writes the seeds of each target into a folder of the given directory, and prints the targets.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let Some(folder) = std::env::args().nth(1) else {
        return Err(std::io::Error::other("usage: seeds DIRECTORY"));
    };
    for (target, inputs) in snapshots_fuzz::seeds() {
        let folder = Path::new(&folder).join(target);
        std::fs::create_dir_all(&folder)?;
        for (number, input) in inputs.iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number}")), input)?;
        }
        println!("{target}");
    }
    Ok(())
}
