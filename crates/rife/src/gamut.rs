//! Gamut conversion of SDR video: RGB primaries to other RGB primaries, in linear light (SMPTE RP 177).

use rife_media::{Primaries, RgbImage};

/// Exponent of an SDR display's transfer function (BT.1886): light = code ^ 2.4.
const GAMMA: f32 = 2.4;
/// Chromaticity of the white point D65, x and y (CIE 1931).
const WHITE: [f64; 2] = [0.3127, 0.3290];
/// Returns the x and y chromaticities of red, green and blue (ITU-T H.273, table 2); `None` for unknown primaries and for
/// those with another white point than D65.
fn chromaticities(primaries: Primaries) -> Option<[[f64; 2]; 3]> {
    Some(match primaries {
        Primaries::Bt709 => [[0.640, 0.330], [0.300, 0.600], [0.150, 0.060]],
        Primaries::Bt470bg => [[0.640, 0.330], [0.290, 0.600], [0.150, 0.060]],
        Primaries::Smpte170m | Primaries::Smpte240m => [[0.630, 0.340], [0.310, 0.595], [0.155, 0.070]],
        Primaries::Bt2020 => [[0.708, 0.292], [0.170, 0.797], [0.131, 0.046]],
        Primaries::Smpte432 => [[0.680, 0.320], [0.265, 0.690], [0.150, 0.060]],
        Primaries::Ebu3213 => [[0.630, 0.340], [0.295, 0.605], [0.155, 0.077]],
        _ => return None,
    })
}

/// Reports whether [`convert`] would change an image: both primaries are known and their chromaticities differ.
pub(crate) fn differs(from: Primaries, to: Primaries) -> bool {
    let (from, to) = (chromaticities(from), chromaticities(to));
    from.is_some() && to.is_some() && from != to
}

/// Converts an image in place to other primaries; values are gamma-encoded RGB, out-of-gamut colours are clipped to 0..=1.
/// Does nothing if either of the primaries is unknown.
pub(crate) fn convert(image: &mut RgbImage, from: Primaries, to: Primaries) {
    let (Some(from), Some(to)) = (chromaticities(from), chromaticities(to)) else {
        return;
    };
    if from == to {
        return;
    }
    let matrix = multiply(inverse(to_xyz(to)), to_xyz(from)).map(|row| row.map(|v| v as f32));
    let pixels = image.data.len() / 3;
    let (red, rest) = image.data.split_at_mut(pixels);
    let (green, blue) = rest.split_at_mut(pixels);
    for ((r, g), b) in red.iter_mut().zip(green).zip(blue) {
        let light = [*r, *g, *b].map(|code| code.clamp(0.0, 1.0).powf(GAMMA));
        let mixed = |row: [f32; 3]| row[0] * light[0] + row[1] * light[1] + row[2] * light[2];
        [*r, *g, *b] = matrix.map(|row| mixed(row).clamp(0.0, 1.0).powf(1.0 / GAMMA));
    }
}

/// A 3x3 matrix by rows.
type Matrix = [[f64; 3]; 3];

/// Returns the matrix from linear RGB to CIE XYZ for these chromaticities and white D65 (SMPTE RP 177).
fn to_xyz(primaries: [[f64; 2]; 3]) -> Matrix {
    let xyz = |[x, y]: [f64; 2]| [x / y, 1.0, (1.0 - x - y) / y];
    let columns = primaries.map(xyz);
    let unscaled = [0, 1, 2].map(|row| [columns[0][row], columns[1][row], columns[2][row]]);
    let white = xyz(WHITE);
    let weights = inverse(unscaled).map(|row| row[0] * white[0] + row[1] * white[1] + row[2] * white[2]);
    unscaled.map(|row| [row[0] * weights[0], row[1] * weights[1], row[2] * weights[2]])
}

/// Returns the matrix product `a` times `b`.
fn multiply(a: Matrix, b: Matrix) -> Matrix {
    a.map(|row| [0, 1, 2].map(|column| (0..3).map(|k| row[k] * b[k][column]).sum()))
}

/// Inverts a matrix by its cofactors.
fn inverse(m: Matrix) -> Matrix {
    let minor = |i: usize, j: usize| {
        let (a, b, c, d) = ((i + 1) % 3, (i + 2) % 3, (j + 1) % 3, (j + 2) % 3);
        m[a][c] * m[b][d] - m[a][d] * m[b][c]
    };
    let determinant: f64 = (0..3).map(|j| m[0][j] * minor(0, j)).sum();
    [0, 1, 2].map(|i| [0, 1, 2].map(|j| minor(j, i) / determinant))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(rgb: [f32; 3], from: Primaries, to: Primaries) -> Vec<f32> {
        let mut image = RgbImage::new(1, 1, rgb.to_vec());
        convert(&mut image, from, to);
        image.data
    }

    #[test]
    fn white_stays_and_the_published_matrix_comes_out() {
        for primaries in [
            Primaries::Bt470bg,
            Primaries::Smpte170m,
            Primaries::Bt2020,
            Primaries::Smpte432,
        ] {
            let white = converted([0.7; 3], primaries, Primaries::Bt709);
            assert!(white.iter().all(|v| (v - 0.7).abs() < 1e-3), "{primaries:?}");
            let there = converted([0.3, 0.5, 0.4], Primaries::Bt709, primaries);
            let back = converted([there[0], there[1], there[2]], primaries, Primaries::Bt709);
            assert!(
                back.iter()
                    .zip([0.3, 0.5, 0.4])
                    .all(|(a, b)| (a - b).abs() < 1e-3),
                "{primaries:?}"
            );
        }
        for unchanged in [Primaries::Bt709, Primaries::Unspecified] {
            assert!(!differs(unchanged, Primaries::Bt709));
            assert_eq!(
                converted([0.1, 0.5, 0.9], unchanged, Primaries::Bt709),
                [0.1, 0.5, 0.9]
            );
        }
        // ITU-R BT.2087-0 and BT.2407: the matrix from BT.2020 to BT.709.
        let published = [
            [1.6605, -0.5876, -0.0728],
            [-0.1246, 1.1329, -0.0083],
            [-0.0182, -0.1006, 1.1187],
        ];
        let from = chromaticities(Primaries::Bt2020).unwrap();
        let to = chromaticities(Primaries::Bt709).unwrap();
        let ours = multiply(inverse(to_xyz(to)), to_xyz(from));
        for (ours, published) in ours.iter().flatten().zip(published.iter().flatten()) {
            assert!((ours - published).abs() < 2e-4, "{ours} {published}");
        }
    }
}
