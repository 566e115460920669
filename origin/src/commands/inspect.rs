//! `verge inspect`: prints the content of a snapshot, as text or JSON.

use anyhow::{Context, Result, bail};
use serde::Serialize;
use snapshots::{
    Bytes, Snapshot,
    envelope::{Envelope, Section},
    manifest::{Manifest, blob_key},
    rows::{self, Rows},
};
use std::{
    collections::BTreeMap,
    io::{Write, stdout},
    path::{Path, PathBuf},
};

/// Show the content of a snapshot: sections, sizes, counts, some rows.
///
/// SNAPSHOT is a manifest (snapshots/manifest/gb, with the folder snapshots/blob), or a blob. For each table, the output
/// compares the bits per neighbour with two bounds: log2 C(items, neighbours) per row, as if neighbours were random
/// items, and the entropy of the quantised weights. Packing can use less than their sum, because neighbours are not random.
#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    /// A manifest or a blob
    snapshot: PathBuf,
    /// Number of popular items whose rows are shown
    #[arg(long, default_value_t = 3)]
    rows: usize,
    /// Print JSON, without the rows
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct SectionReport {
    name: String,
    version: u32,
    bytes: usize,
    /// Share of the bytes of all sections, 0 to 1.
    share: f64,
    intact: bool,
    /// Present for tables only.
    #[serde(skip_serializing_if = "Option::is_none")]
    neighbours: Option<TableReport>,
}

/// Size of a table, compared with information-theoretic bounds. All but `count` are in bits per neighbour.
#[derive(Clone, Copy, Debug, Serialize)]
struct TableReport {
    count: usize,
    bits_each: f64,
    /// log2 C(items, row length), as if neighbours were random items.
    uniform_ids_bound: f64,
    /// Entropy of the weights, each divided by the largest of its row.
    weights_entropy: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    region: String,
    version: String,
    built_at: String,
    regions: BTreeMap<String, String>,
    items: usize,
    popular_items: usize,
    strategies: Vec<String>,
    sections: Vec<SectionReport>,
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Runs the command.
///
/// # Errors
/// The file is neither a manifest nor a blob, or it is damaged; the text names the section.
pub fn run(args: &InspectArgs) -> Result<()> {
    let out = &mut stdout().lock();
    let path = &args.snapshot;
    let bytes = read(path)?;
    if bytes.first() != Some(&b'{') {
        let envelope = Envelope::open(&bytes.into()).with_context(|| path.display().to_string())?;
        let sections = section_reports(&envelope.sections, None);
        if args.json {
            serde_json::to_writer_pretty(&mut *out, &sections)?;
            writeln!(out)?;
        } else {
            writeln!(out, "blob  region '{}'  built {}", envelope.region, envelope.built_at)?;
            print_sections(out, &sections)?;
        }
        return check_intact(&sections);
    }
    let manifest = Manifest::parse(&bytes).with_context(|| path.display().to_string())?;
    let Some(base) = path.parent().and_then(Path::parent) else {
        bail!("{}: a manifest must be in a folder 'manifest' next to a folder 'blob'", path.display());
    };
    let blobs = manifest.blobs.iter().map(|blob| Ok(read(&base.join(blob_key(&blob.hash)))?.into()));
    let blobs: Vec<Bytes> = blobs.collect::<Result<_>>()?;
    let snapshot = Snapshot::open(&blobs)?;
    let report = Report {
        region: manifest.region.clone(),
        version: manifest.version.clone(),
        built_at: manifest.built_at.to_string(),
        regions: manifest.regions.clone(),
        items: snapshot.len(),
        popular_items: snapshot.popularity.order().count(),
        strategies: snapshot.strategies.iter().map(|strategy| strategy.name.clone()).collect(),
        sections: section_reports(&snapshot.sections, Some(&snapshot)),
    };
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &report)?;
        writeln!(out)?;
        return check_intact(&report.sections);
    }
    writeln!(out, "region {}  version {}  built {}", report.region, report.version, report.built_at)?;
    for (area, region) in &report.regions {
        writeln!(out, "area {area} → {region}")?;
    }
    writeln!(out, "\n{:<12} {:<32} {:>12}", "blob", "hash", "bytes")?;
    for blob in &manifest.blobs {
        writeln!(out, "{:<12} {:<32} {:>12}", blob.name, blob.hash, blob.bytes)?;
    }
    print_sections(out, &report.sections)?;
    writeln!(out, "\nitems      {}", report.items)?;
    writeln!(out, "popular    {} items with events in the region", report.popular_items)?;
    writeln!(out, "strategies {}", report.strategies.join(", "))?;
    for item in snapshot.popularity.order().take(args.rows) {
        print_rows(out, &snapshot, item)?;
    }
    check_intact(&report.sections)
}

fn section_reports(sections: &[Section], snapshot: Option<&Snapshot>) -> Vec<SectionReport> {
    let total: usize = sections.iter().map(|section| section.bytes.len()).sum();
    let reports = sections.iter().map(|section| {
        // Each shard quantises its weights separately.
        let table = rows::TABLES.into_iter().find(|table| *table == section.name);
        let rows = table.and_then(|table| Rows::open(table, &section.bytes).ok());
        SectionReport {
            name: section.name.clone(),
            version: section.version,
            bytes: section.bytes.len(),
            share: section.bytes.len() as f64 / total.max(1) as f64,
            intact: section.is_intact(),
            neighbours: rows
                .zip(snapshot)
                .map(|(rows, snapshot)| table_report(&rows, snapshot.len(), section.bytes.len())),
        }
    });
    reports.collect()
}

/// log2 of the binomial coefficient C(items, chosen).
fn log2_choose(items: usize, chosen: usize) -> f64 {
    (0..chosen.min(items)).map(|step| ((items - step) as f64 / (chosen - step) as f64).log2()).sum()
}

fn table_report(table: &Rows, items: usize, bytes: usize) -> TableReport {
    let (mut count, mut uniform) = (0usize, 0f64);
    let mut levels: BTreeMap<u32, usize> = BTreeMap::new();
    for item in table.first()..table.end() {
        let mut weights = Vec::new();
        table.for_each(item, |_, weight| weights.push(weight));
        let most = weights.iter().copied().fold(0f32, f32::max);
        // Rounded, because scaling by the row's maximum makes the last bits arbitrary.
        for weight in &weights {
            *levels.entry((weight / most * 1e4).round() as u32).or_default() += 1;
        }
        count += weights.len();
        uniform += log2_choose(items, weights.len());
    }
    let total = count.max(1) as f64;
    let entropy = levels.values().map(|level| -(*level as f64 / total).log2() * *level as f64).sum::<f64>();
    TableReport {
        count,
        bits_each: bytes as f64 * 8.0 / total,
        uniform_ids_bound: uniform / total,
        weights_entropy: entropy / total,
    }
}

fn print_sections(out: &mut impl Write, sections: &[SectionReport]) -> Result<()> {
    writeln!(
        out,
        "\n{:<12} {:>7} {:>12} {:>6} {:>12} {:>10} {:>16} {:>17}",
        "section",
        "version",
        "bytes",
        "share",
        "neighbours",
        "bits each",
        "bound, any ids",
        "weights' entropy"
    )?;
    for section in sections {
        let SectionReport { name, version, bytes, share, .. } = section;
        write!(out, "{name:<12} {version:>7} {bytes:>12} {:>5.1}%", share * 100.0)?;
        if let Some(TableReport { count, bits_each, uniform_ids_bound, weights_entropy }) = section.neighbours
        {
            write!(out, " {count:>12} {bits_each:>10.2} {uniform_ids_bound:>16.2} {weights_entropy:>17.2}")?;
        }
        writeln!(out, "{}", if section.intact { "" } else { "  DAMAGED" })?;
    }
    Ok(())
}

fn check_intact(sections: &[SectionReport]) -> Result<()> {
    match sections.iter().find(|section| !section.intact) {
        Some(section) => bail!("section '{}' is damaged: its checksum differs", section.name),
        None => Ok(()),
    }
}

fn print_rows(out: &mut impl Write, snapshot: &Snapshot, item: u32) -> Result<()> {
    let label = |item: u32| {
        let id = snapshot.ids.id(item).map(|id| id.to_string()).unwrap_or_default();
        let name = snapshot.attributes.item(item, &id).name;
        format!("{id} {name}")
    };
    writeln!(out, "\n{}  (popularity {:.3})", label(item), snapshot.popularity.of(item))?;
    for (name, rows) in [("co-view", &snapshot.coview), ("knn", &snapshot.knn), ("bought", &snapshot.bought)]
    {
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

#[cfg(test)]
mod tests {
    use crate::commands::inspect::log2_choose;

    #[test]
    fn log2_choose_equals_the_logarithm_of_known_binomials() {
        assert!((log2_choose(5, 2) - 10f64.log2()).abs() < 1e-9);
        assert!((log2_choose(52, 5) - 2_598_960f64.log2()).abs() < 1e-9);
        assert_eq!(log2_choose(3, 0), 0.0);
    }
}
