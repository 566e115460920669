//! An SVG of HR and MRR at 20: one bar per model, with its interval.

use crate::evaluate::{protocol::Variant, report::EvaluationReport};
use std::fmt::Write;

const ROW: usize = 24;
const LABEL: usize = 190;
const BAR: usize = 300;
const GAP: usize = 70;

/// Draws a report.
pub fn svg(report: &EvaluationReport) -> String {
    let mut body = String::new();
    let mut y = 30;
    for variant in Variant::ALL {
        let results: Vec<_> = report.results.iter().filter(|row| row.variant == variant).collect();
        if results.is_empty() {
            continue;
        }
        for (column, name) in ["HR@20", "MRR@20"].into_iter().enumerate() {
            let x = LABEL + column * (BAR + GAP);
            let title = format!("{name}, {}", variant.name());
            text(&mut body, x, y, "start", &title, true);
            let most =
                results.iter().map(|row| row.measures[name].interval[1]).fold(f64::MIN_POSITIVE, f64::max);
            let at = |value: f64| value / most * BAR as f64;
            for (place, row) in results.iter().enumerate() {
                let top = y + 12 + place * ROW;
                let measure = row.measures[name];
                let [low, high] = measure.interval.map(at);
                let fill = if place == 0 { "#0a6" } else { "#9ab" };
                let middle = top + 8;
                let _ = write!(
                    body,
                    "<rect x=\"{x}\" y=\"{top}\" width=\"{:.1}\" height=\"16\" fill=\"{fill}\"/>\
                     <path d=\"M{:.1} {middle}H{:.1}\" stroke=\"#222\" stroke-width=\"2\"/>",
                    at(measure.mean),
                    x as f64 + low,
                    x as f64 + high,
                );
                text(&mut body, x + BAR + 8, top + 13, "start", &format!("{:.3}", measure.mean), false);
                if column == 0 {
                    text(&mut body, LABEL - 8, top + 13, "end", &row.model, false);
                }
            }
        }
        y += 12 + results.len() * ROW + 36;
    }
    let width = LABEL + 2 * (BAR + GAP);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {y}\" font-family=\"sans-serif\" \
         font-size=\"13\"><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>{body}</svg>\n"
    )
}

fn text(body: &mut String, x: usize, y: usize, anchor: &str, text: &str, bold: bool) {
    let weight = if bold { " font-weight=\"bold\"" } else { "" };
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = write!(body, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\"{weight}>{escaped}</text>");
}
