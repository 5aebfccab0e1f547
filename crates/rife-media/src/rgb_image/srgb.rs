//! sRGB transfer function (IEC 61966-2-1) between linear light and encoded values, both 0 to 1.

/// Encodes linear light with the sRGB curve; clamps to 0 to 1, NaN becomes 0.
pub fn srgb_encode(light: f32) -> f32 {
    let light = if light.is_nan() {
        0.0
    } else {
        light.clamp(0.0, 1.0)
    };
    if light <= 0.003_130_8 {
        light * 12.92
    } else {
        1.055 * light.powf(1.0 / 2.4) - 0.055
    }
}

/// Decodes an sRGB value to linear light: the inverse of [`srgb_encode`], without clamping.
pub fn srgb_decode(code: f32) -> f32 {
    if code <= 0.040_45 {
        code / 12.92
    } else {
        ((code + 0.055) / 1.055).powf(2.4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn light_comes_back() {
        for value in [0.0, 0.001, 0.2, 0.5, 1.0] {
            assert!((srgb_decode(srgb_encode(value)) - value).abs() < 1e-5, "{value}");
        }
        assert_eq!((srgb_encode(f32::NAN), srgb_encode(-1.0)), (0.0, 0.0));
        assert!((srgb_encode(7.0) - 1.0).abs() < 1e-6);
    }
}
