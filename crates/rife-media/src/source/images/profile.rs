//! ICC profiles (ISO 15076-1): conversion of images with a profile other than sRGB to sRGB.

use std::cell::RefCell;
use std::sync::Arc;

use image::DynamicImage;
use moxcms::{ColorProfile, DataColorSpace, Layout, ProfileText, TransformExecutor, TransformOptions};

/// Maximum difference in 8-bit codes of a profile that counts as sRGB.
const ROUNDING: u8 = 1;

/// A cached decision: the profile's bytes, whether pixels are gray, whether they are floats, and the result.
type Known = (Vec<u8>, bool, bool, Colors);

thread_local! {
    /// The last decision; the images of a folder usually have the same profile.
    static LAST: RefCell<Option<Known>> = const { RefCell::new(None) };
}

/// The colour space of an image.
#[derive(Debug, Clone)]
pub(super) enum Colors {
    /// sRGB, or no profile.
    Srgb,
    /// The colour space of a profile, which is converted to sRGB.
    Other(Arc<ColorProfile>),
    /// A profile that cannot be used, with the reason; sRGB is assumed.
    Unusable(String),
}

impl Colors {
    /// Parses an image's ICC profile. `gray` is true for gray pixels, `float` for floating-point pixels.
    pub(super) fn of(profile: Option<&[u8]>, gray: bool, float: bool) -> Self {
        let Some(bytes) = profile.filter(|bytes| !bytes.is_empty()) else {
            return Self::Srgb;
        };
        LAST.with_borrow_mut(|last| {
            if let Some((known, its_gray, its_float, colors)) = last
                && (known.as_slice(), *its_gray, *its_float) == (bytes, gray, float)
            {
                return colors.clone();
            }
            let colors = match ColorProfile::new_from_slice(bytes) {
                Ok(profile) => Self::by_profile(profile, gray, float),
                Err(_) => Self::Unusable("it cannot be read".to_owned()),
            };
            *last = Some((bytes.to_vec(), gray, float, colors.clone()));
            colors
        })
    }

    /// Checks that the profile's colour space fits the pixels.
    fn by_profile(profile: ColorProfile, gray: bool, float: bool) -> Self {
        match profile.color_space {
            _ if float => Self::Unusable("the picture holds linear floats".to_owned()),
            // Gray pixels with an RGB profile have its colours of equal channels.
            DataColorSpace::Rgb => Self::unless_srgb(profile, false),
            DataColorSpace::Gray if gray => Self::unless_srgb(profile, true),
            other => Self::Unusable(format!("it is one of {other:?} colours")),
        }
    }

    /// Compares the profile with sRGB on a grid of colours (or all grays); `gray` is true for a gray profile.
    fn unless_srgb(profile: ColorProfile, gray: bool) -> Self {
        let channels = if gray { 1 } else { 3 };
        let steps: Vec<u8> = (0..=16_u8).map(|step| step.saturating_mul(16)).collect();
        let codes: Vec<u8> = if gray {
            (0..=255).collect()
        } else {
            let pairs = steps.iter().flat_map(|&r| steps.iter().map(move |&g| (r, g)));
            pairs
                .flat_map(|(r, g)| steps.iter().flat_map(move |&b| [r, g, b]))
                .collect()
        };
        let mut shown = vec![0; codes.len() / channels * 3];
        let layout = if gray { Layout::Gray } else { Layout::Rgb };
        let transform = profile.create_transform_8bit(
            layout,
            &ColorProfile::new_srgb(),
            Layout::Rgb,
            TransformOptions::default(),
        );
        match transform.map(|transform| transform.transform(&codes, &mut shown)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) | Err(error) => return Self::Unusable(format!("it cannot be applied: {error}")),
        }
        let same = (0..shown.len()).all(|at| {
            let code = if gray { codes[at / 3] } else { codes[at] };
            shown[at].abs_diff(code) <= ROUNDING
        });
        if same {
            Self::Srgb
        } else {
            Self::Other(Arc::new(profile))
        }
    }

    /// Returns a note for the user about the conversion; `None` for sRGB.
    pub(super) fn note(&self) -> Option<String> {
        match self {
            Self::Srgb => None,
            Self::Other(profile) => Some(format!("colours are converted from {} to sRGB", name(profile))),
            Self::Unusable(reason) => Some(format!(
                "the colour profile is not applied ({reason}), the colours are taken for sRGB"
            )),
        }
    }

    /// Converts an image to sRGB; the error is a message.
    pub(super) fn convert(&self, picture: DynamicImage) -> Result<DynamicImage, String> {
        let Self::Other(profile) = self else {
            return Ok(picture);
        };
        convert(profile, picture).map_err(|error| format!("its colour profile cannot be applied: {error}"))
    }
}

/// Converts an image from `profile` to sRGB; gray images stay gray where the profile is gray, else become RGB.
fn convert(profile: &ColorProfile, picture: DynamicImage) -> Result<DynamicImage, moxcms::CmsError> {
    use DynamicImage as Any;
    let gray = profile.color_space == DataColorSpace::Gray;
    Ok(match picture {
        Any::ImageLuma8(mut image) if gray => {
            convert_8(profile, Layout::Gray, &mut image)?;
            Any::ImageLuma8(image)
        }
        Any::ImageLumaA8(mut image) if gray => {
            convert_8(profile, Layout::GrayAlpha, &mut image)?;
            Any::ImageLumaA8(image)
        }
        Any::ImageLuma16(mut image) if gray => {
            convert_16(profile, Layout::Gray, &mut image)?;
            Any::ImageLuma16(image)
        }
        Any::ImageLumaA16(mut image) if gray => {
            convert_16(profile, Layout::GrayAlpha, &mut image)?;
            Any::ImageLumaA16(image)
        }
        Any::ImageRgba8(mut image) => {
            convert_8(profile, Layout::Rgba, &mut image)?;
            Any::ImageRgba8(image)
        }
        Any::ImageRgba16(mut image) => {
            convert_16(profile, Layout::Rgba, &mut image)?;
            Any::ImageRgba16(image)
        }
        other @ Any::ImageLumaA8(_) => convert(profile, Any::ImageRgba8(other.into_rgba8()))?,
        other @ Any::ImageLumaA16(_) => convert(profile, Any::ImageRgba16(other.into_rgba16()))?,
        other @ (Any::ImageLuma16(_) | Any::ImageRgb16(_)) => {
            let mut image = other.into_rgb16();
            convert_16(profile, Layout::Rgb, &mut image)?;
            Any::ImageRgb16(image)
        }
        other => {
            let mut image = other.into_rgb8();
            convert_8(profile, Layout::Rgb, &mut image)?;
            Any::ImageRgb8(image)
        }
    })
}

/// Number of pixels that are converted at once.
const CHUNK: usize = 1 << 16;

/// Converts interleaved 8-bit samples in place from `profile` to sRGB.
fn convert_8(profile: &ColorProfile, layout: Layout, samples: &mut [u8]) -> Result<(), moxcms::CmsError> {
    let to = target(layout);
    let transform = profile.create_transform_8bit(layout, &to, layout, TransformOptions::default())?;
    by_chunks(&*transform, layout, samples)
}

/// Converts interleaved 16-bit samples in place from `profile` to sRGB.
fn convert_16(profile: &ColorProfile, layout: Layout, samples: &mut [u16]) -> Result<(), moxcms::CmsError> {
    let to = target(layout);
    let transform = profile.create_transform_16bit(layout, &to, layout, TransformOptions::default())?;
    by_chunks(&*transform, layout, samples)
}

/// Returns the target profile: sRGB, or for gray layouts a gray profile with sRGB's curve.
fn target(layout: Layout) -> ColorProfile {
    let srgb = ColorProfile::new_srgb();
    if !matches!(layout, Layout::Gray | Layout::GrayAlpha) {
        return srgb;
    }
    let mut gray = ColorProfile::new_gray_with_gamma(2.2);
    gray.gray_trc = srgb.red_trc;
    gray
}

/// Applies a transform to interleaved samples in place, in chunks of [`CHUNK`] pixels.
fn by_chunks<T: Copy + Default>(
    transform: &(impl TransformExecutor<T> + ?Sized),
    layout: Layout,
    samples: &mut [T],
) -> Result<(), moxcms::CmsError> {
    let mut source = Vec::new();
    for samples in samples.chunks_mut(CHUNK * layout.channels()) {
        source.clear();
        source.extend_from_slice(samples);
        transform.transform(&source, samples)?;
    }
    Ok(())
}

/// Returns the profile's description, shortened to 60 characters.
fn name(profile: &ColorProfile) -> String {
    let text = match &profile.description {
        Some(ProfileText::PlainString(text)) => text.clone(),
        Some(ProfileText::Localizable(texts)) => {
            texts.first().map_or(String::new(), |text| text.value.clone())
        }
        Some(ProfileText::Description(text)) => text.ascii_string.clone(),
        None => String::new(),
    };
    let text: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
    if text.trim().is_empty() {
        "the picture's own profile".to_owned()
    } else {
        text.trim().to_owned()
    }
}
