//! Plots of a value over time, as inline SVG, and the formats of numbers.

use maud::{Markup, html};

/// Width and height of a plot, in units of the view box.
const SIZE: (f64, f64) = (640.0, 150.0);
/// Margins at the left and at the bottom, for the labels.
const MARGIN: (f64, f64) = (52.0, 20.0);

/// A plot of `values`, the newest last, at intervals of `seconds`. `label` describes them to screen readers.
pub(crate) fn line(label: &str, values: &[f64], seconds: u64) -> Markup {
    let ((width, height), (left, bottom)) = (SIZE, MARGIN);
    let top = nice(values.iter().copied().fold(0.0, f64::max));
    let (inner, tall) = (width - left - 8.0, height - bottom - 8.0);
    let x = |place: usize| left + inner * place as f64 / (values.len().max(2) - 1) as f64;
    let y = |value: f64| 8.0 + tall * (1.0 - value / top);
    let points: Vec<String> =
        values.iter().enumerate().map(|(place, value)| format!("{:.1},{:.1}", x(place), y(*value))).collect();
    let span = seconds * values.len().saturating_sub(1) as u64;
    let area = format!(
        "{left:.1},{:.1} {} {:.1},{:.1}",
        y(0.0),
        points.join(" "),
        x(values.len().max(1) - 1),
        y(0.0)
    );
    html! {
        svg viewBox=(format!("0 0 {width} {height}")) role="img" aria-label=(label) {
            @for share in [0.0, 0.5, 1.0] {
                line class="grid" x1=(left) x2=(width - 8.0) y1=(y(top * share)) y2=(y(top * share)) {}
                text class="axis" x=(left - 6.0) y=(y(top * share) + 4.0) text-anchor="end" { (short(top * share)) }
            }
            @if values.len() > 1 {
                polygon class="area" points=(area) {}
                polyline class="line" points=(points.join(" ")) {}
                text class="axis" x=(left) y=(height - 4.0) { (ago(span)) }
            } @else {
                text class="axis" x=(left + inner / 2.0) y=(8.0 + tall / 2.0) text-anchor="middle" { "collecting…" }
            }
            text class="axis" x=(width - 8.0) y=(height - 4.0) text-anchor="end" { "now" }
        }
    }
}

/// The smallest of 1, 2, 5, 10, 20, … that is at least `value`.
fn nice(value: f64) -> f64 {
    let scale = 10f64.powf(value.max(1.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * scale).find(|step| *step >= value).unwrap_or(value)
}

/// Formats a number in a few characters: 12, 1.5k, 3M.
pub(crate) fn short(value: f64) -> String {
    let (scaled, unit) = match value {
        value if value >= 1e9 => (value / 1e9, "G"),
        value if value >= 1e6 => (value / 1e6, "M"),
        value if value >= 1e3 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let digits = if scaled.fract().abs() < 0.05 || scaled >= 100.0 { 0 } else { 1 };
    format!("{scaled:.digits$}{unit}")
}

/// Formats a duration in its largest whole unit.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn ago(seconds: u64) -> String {
    format!("{} ago", span(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_axes_end_above_the_line() {
        assert_eq!(
            [0.0, 12.0, 0.25, 1_500.0, 20_000.0, 3e6].map(short),
            ["0", "12", "0.2", "1.5k", "20k", "3M"]
        );
        assert_eq!([0.0, 1.0, 3.0, 70.0, 100.0, 101.0].map(nice), [1.0, 1.0, 5.0, 100.0, 100.0, 200.0]);
        assert_eq!([5, 119, 120, 7_200, 200_000].map(span), ["5 s", "119 s", "2 min", "2 h", "2 days"]);
    }

    #[test]
    fn any_number_of_points_is_a_plot_inside_its_box() {
        for count in [0, 1, 2, 360] {
            let values: Vec<f64> = (0..count).map(f64::from).collect();
            let svg = line("events", &values, 5).into_string();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            assert_eq!(svg.contains("<polyline"), count > 1);
        }
    }
}
