//! Arithmetic on small dense matrices and vectors in slices.

use ndarray::{ArrayView2, ArrayViewMut2, ShapeBuilder, linalg::general_mat_mul};

/// Order of a matrix in its slice.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Row by row.
    RowMajor,
    /// Column by column: the transpose, row by row.
    ColMajor,
}

/// `c = a · b` with `a` of `m × k`, `b` of `k × n` and `c` of `m × n`, row by row.
///
/// # Panics
/// A slice is shorter than its matrix.
#[allow(clippy::expect_used, reason = "the slices are cut to the length of the shape")]
pub(crate) fn product(
    [m, k, n]: [usize; 3],
    (a, a_layout): (&[f32], Layout),
    (b, b_layout): (&[f32], Layout),
    c: &mut [f32],
) {
    let mut c = ArrayViewMut2::from_shape((m, n), &mut c[..m * n]).expect("the slice has this length");
    general_mat_mul(1.0, &view(a, [m, k], a_layout), &view(b, [k, n], b_layout), 0.0, &mut c);
}

#[allow(clippy::expect_used, reason = "the slice is cut to the length of the shape")]
fn view(matrix: &[f32], [rows, columns]: [usize; 2], layout: Layout) -> ArrayView2<'_, f32> {
    let shape = (rows, columns).set_f(layout == Layout::ColMajor);
    ArrayView2::from_shape(shape, &matrix[..rows * columns]).expect("the slice has this length")
}

/// `Σ a·b`.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    // Eight sums, so that they need not wait for each other.
    let mut sums = [0f32; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest = a.len() / 8 * 8;
    sums.iter().sum::<f32>() + a[rest..].iter().zip(&b[rest..]).map(|(a, b)| a * b).sum::<f32>()
}

/// `a += factor · b`.
pub(crate) fn add_scaled(a: &mut [f32], factor: f32, b: &[f32]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += factor * b);
}

/// Scales to length 1. Returns the former length, at least the smallest positive number.
pub(crate) fn normalise(vector: &mut [f32]) -> f32 {
    let length = dot(vector, vector).sqrt().max(f32::MIN_POSITIVE);
    let scale = 1.0 / length;
    vector.iter_mut().for_each(|value| *value *= scale);
    length
}

/// `e^x` for x up to 88, with a relative error below 3·10⁻⁶; 0 below −87. Branchless, so that loops vectorise, and the same
/// on every machine.
#[inline]
pub(crate) fn exp(x: f32) -> f32 {
    // x·log2(e) = whole + part, part from −½ to ½; adding and taking away 1.5·2²³ rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    let exponent = (x * std::f32::consts::LOG2_E).clamp(-126.0, 127.0);
    let shifted = exponent + ROUND;
    let part = exponent - (shifted - ROUND);
    // Taylor's series of 2^part.
    let power = 1.0
        + part
            * (std::f32::consts::LN_2
                + part * (0.240_226_5 + part * (0.055_504_11 + part * (0.009_618_13 + part * 0.001_333_36))));
    // The whole part is in the low bits of `shifted`; it goes into the exponent.
    let whole = (shifted.to_bits() << 23).wrapping_add(127 << 23);
    power * f32::from_bits(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_follow_the_definition() {
        let (m, k, n) = (3, 5, 4);
        let a: Vec<f32> = (0..m * k).map(|value| value as f32 * 0.5 - 2.0).collect();
        let b: Vec<f32> = (0..k * n).map(|value| 3.0 - value as f32).collect();
        let transpose = |matrix: &[f32], rows: usize, columns: usize| -> Vec<f32> {
            (0..rows * columns).map(|place| matrix[place % rows * columns + place / rows]).collect()
        };
        let expected: Vec<f32> = (0..m * n)
            .map(|place| (0..k).map(|inner| a[place / n * k + inner] * b[inner * n + place % n]).sum())
            .collect();
        let mut c = vec![f32::NAN; m * n];
        product([m, k, n], (&a, Layout::RowMajor), (&b, Layout::RowMajor), &mut c);
        assert_eq!(c, expected);
        let (a, b) = (transpose(&a, m, k), transpose(&b, k, n));
        product([m, k, n], (&a, Layout::ColMajor), (&b, Layout::ColMajor), &mut c);
        assert_eq!(c, expected);
    }

    #[test]
    fn exponentials_are_accurate() {
        for step in -860..880 {
            let x = step as f32 / 10.0;
            let exact = f64::from(x).exp();
            let off = (f64::from(exp(x)) / exact - 1.0).abs();
            assert!(off < 1e-5, "relative error of e^{x}: {off}");
        }
        assert!(exp(-1e9) < 1e-37);
        assert_eq!(exp(0.0), 1.0);
    }
}
