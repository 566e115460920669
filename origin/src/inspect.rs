//! `verge inspect`: what is in a snapshot, for people.

use anyhow::{Context, Result, bail};
use snapshots::{
    Bytes, Snapshot,
    envelope::Envelope,
    manifest::{Manifest, blob_key},
    rows::Table,
};
use std::{
    io::{Write, stdout},
    path::{Path, PathBuf},
};

/// Show what a snapshot holds: sections, sizes, counts, some rows.
///
/// SNAPSHOT is a manifest (snapshots/manifest/gb, with its blobs beside it), or one blob.
#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    /// A manifest or a blob
    snapshot: PathBuf,
    /// Rows to show: that many of the most wanted items
    #[arg(long, default_value_t = 3)]
    rows: u32,
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Runs the command.
///
/// # Errors
/// The file is neither, or is damaged; the text names the section.
pub fn run(args: &InspectArgs) -> Result<()> {
    let out = &mut stdout().lock();
    let path = &args.snapshot;
    let bytes = read(path)?;
    if bytes.first() != Some(&b'{') {
        let envelope = Envelope::open(&bytes.into()).with_context(|| path.display().to_string())?;
        writeln!(out, "blob  region '{}'  built {}", envelope.region, envelope.built_at)?;
        return print_sections(out, &envelope.sections);
    }
    let manifest = Manifest::parse(&bytes).with_context(|| path.display().to_string())?;
    let Some(base) = path.parent().and_then(Path::parent) else {
        bail!("{}: expected to lie in a folder 'manifest' beside 'blob'", path.display());
    };
    let blobs = manifest.blobs.iter().map(|blob| Ok(read(&base.join(blob_key(&blob.hash)))?.into()));
    let blobs: Vec<Bytes> = blobs.collect::<Result<_>>()?;
    let snapshot = Snapshot::open(&blobs)?;
    writeln!(out, "region {}  version {}  built {}", manifest.region, manifest.version, manifest.built_at)?;
    for (area, region) in &manifest.regions {
        writeln!(out, "area {area} → {region}")?;
    }
    writeln!(out, "\n{:<12} {:<32} {:>12}", "blob", "hash", "bytes")?;
    for blob in &manifest.blobs {
        writeln!(out, "{:<12} {:<32} {:>12}", blob.name, blob.hash, blob.bytes)?;
    }
    print_sections(out, &snapshot.sections)?;
    print_counts(out, &snapshot)?;
    for item in snapshot.popularity.order().take(args.rows as usize) {
        print_rows(out, &snapshot, item)?;
    }
    Ok(())
}

fn print_sections(out: &mut impl Write, sections: &[snapshots::envelope::Section]) -> Result<()> {
    let total: usize = sections.iter().map(|section| section.bytes.len()).sum();
    writeln!(out, "\n{:<12} {:>7} {:>12} {:>6}  {:<16}", "section", "version", "bytes", "share", "checksum")?;
    for section in sections {
        let share = 100.0 * section.bytes.len() as f64 / total.max(1) as f64;
        let intact = if section.is_intact() { "" } else { "  DAMAGED" };
        let length = section.bytes.len();
        writeln!(
            out,
            "{:<12} {:>7} {length:>12} {share:>5.1}%  {:016x}{intact}",
            section.name, section.version, section.checksum
        )?;
    }
    match sections.iter().find(|section| !section.is_intact()) {
        Some(section) => bail!("section '{}' is damaged", section.name),
        None => Ok(()),
    }
}

fn print_counts(out: &mut impl Write, snapshot: &Snapshot) -> Result<()> {
    let rows = |rows: &Option<Table>| rows.as_ref().map_or(0, Table::neighbours);
    writeln!(out, "\nitems      {}", snapshot.len())?;
    writeln!(out, "co-view    {} neighbours", rows(&snapshot.coview))?;
    writeln!(out, "knn        {} neighbours", rows(&snapshot.knn))?;
    writeln!(out, "popular    {} items had events in the region", snapshot.popularity.order().count())?;
    let names: Vec<&str> = snapshot.strategies.iter().map(|strategy| &*strategy.name).collect();
    writeln!(out, "strategies {}", names.join(", "))?;
    Ok(())
}

fn print_rows(out: &mut impl Write, snapshot: &Snapshot, item: u32) -> Result<()> {
    let label = |item: u32| {
        let id = snapshot.ids.id(item).map(|id| id.to_string()).unwrap_or_default();
        let name = snapshot.attributes.item(item, &id).name;
        format!("{id} {name}")
    };
    writeln!(out, "\n{}  (popularity {:.3})", label(item), snapshot.popularity.of(item))?;
    for (name, rows) in [("co-view", &snapshot.coview), ("knn", &snapshot.knn)] {
        let Some(rows) = rows else { continue };
        let mut row = Vec::new();
        rows.for_each(item, |neighbour, weight| row.push((neighbour, weight)));
        row.sort_by(|a, b| b.1.total_cmp(&a.1));
        for (neighbour, weight) in row.iter().take(5) {
            writeln!(out, "  {name:<8} {weight:.4}  {}", label(*neighbour))?;
        }
    }
    Ok(())
}
