//! ICC profiles (ISO 15076-1): pictures in other colours than sRGB are turned into sRGB.

use std::cell::RefCell;
use std::sync::Arc;

use image::DynamicImage;
use moxcms::{ColorProfile, DataColorSpace, Layout, ProfileText, TransformExecutor, TransformOptions};

/// Codes of 8 bits by which a profile may differ from sRGB and still be sRGB: what rounding does.
const ROUNDING: u8 = 1;

/// A profile, whether the pixels were gray and whether they were floats, and what was found of it.
type Known = (Vec<u8>, bool, bool, Colors);

thread_local! {
    /// The last profile: the pictures of a folder mostly have the same.
    static LAST: RefCell<Option<Known>> = const { RefCell::new(None) };
}

/// What is to be done with a picture's colours.
#[derive(Debug, Clone)]
pub(super) enum Colors {
    /// They are sRGB, or nothing is said.
    Srgb,
    /// They are those of this profile.
    Other(Arc<ColorProfile>),
    /// They have a profile that does not fit the pixels or cannot be read: why.
    Unusable(String),
}

impl Colors {
    /// By a picture's profile. `gray` says that its pixels are gray, `float` that they are floats.
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

    fn by_profile(profile: ColorProfile, gray: bool, float: bool) -> Self {
        match profile.color_space {
            _ if float => Self::Unusable("the picture holds linear floats".to_owned()),
            // Gray pixels with a profile of RGB are its grays.
            DataColorSpace::Rgb => Self::unless_srgb(profile, false),
            DataColorSpace::Gray if gray => Self::unless_srgb(profile, true),
            other => Self::Unusable(format!("it is one of {other:?} colours")),
        }
    }

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

    /// What becomes of them, for people; nothing where nothing does.
    pub(super) fn note(&self) -> Option<String> {
        match self {
            Self::Srgb => None,
            Self::Other(profile) => Some(format!("colours are converted from {} to sRGB", name(profile))),
            Self::Unusable(reason) => Some(format!(
                "the colour profile is not applied ({reason}), the colours are taken for sRGB"
            )),
        }
    }

    /// The picture in sRGB.
    pub(super) fn convert(&self, picture: DynamicImage) -> Result<DynamicImage, String> {
        let Self::Other(profile) = self else {
            return Ok(picture);
        };
        convert(profile, picture).map_err(|error| format!("its colour profile cannot be applied: {error}"))
    }
}

fn convert(profile: &ColorProfile, picture: DynamicImage) -> Result<DynamicImage, moxcms::CmsError> {
    use DynamicImage as Any;
    let gray = profile.color_space == DataColorSpace::Gray;
    Ok(match picture {
        Any::ImageLuma8(mut image) if gray => {
            eight(profile, Layout::Gray, &mut image)?;
            Any::ImageLuma8(image)
        }
        Any::ImageLumaA8(mut image) if gray => {
            eight(profile, Layout::GrayAlpha, &mut image)?;
            Any::ImageLumaA8(image)
        }
        Any::ImageLuma16(mut image) if gray => {
            sixteen(profile, Layout::Gray, &mut image)?;
            Any::ImageLuma16(image)
        }
        Any::ImageLumaA16(mut image) if gray => {
            sixteen(profile, Layout::GrayAlpha, &mut image)?;
            Any::ImageLumaA16(image)
        }
        Any::ImageRgba8(mut image) => {
            eight(profile, Layout::Rgba, &mut image)?;
            Any::ImageRgba8(image)
        }
        Any::ImageRgba16(mut image) => {
            sixteen(profile, Layout::Rgba, &mut image)?;
            Any::ImageRgba16(image)
        }
        other @ Any::ImageLumaA8(_) => convert(profile, Any::ImageRgba8(other.into_rgba8()))?,
        other @ Any::ImageLumaA16(_) => convert(profile, Any::ImageRgba16(other.into_rgba16()))?,
        other @ (Any::ImageLuma16(_) | Any::ImageRgb16(_)) => {
            let mut image = other.into_rgb16();
            sixteen(profile, Layout::Rgb, &mut image)?;
            Any::ImageRgb16(image)
        }
        other => {
            let mut image = other.into_rgb8();
            eight(profile, Layout::Rgb, &mut image)?;
            Any::ImageRgb8(image)
        }
    })
}

/// Pixels that are converted at once.
const PART: usize = 1 << 16;

fn eight(profile: &ColorProfile, layout: Layout, samples: &mut [u8]) -> Result<(), moxcms::CmsError> {
    let to = target(layout);
    let transform = profile.create_transform_8bit(layout, &to, layout, TransformOptions::default())?;
    by_parts(&*transform, layout, samples)
}

fn sixteen(profile: &ColorProfile, layout: Layout, samples: &mut [u16]) -> Result<(), moxcms::CmsError> {
    let to = target(layout);
    let transform = profile.create_transform_16bit(layout, &to, layout, TransformOptions::default())?;
    by_parts(&*transform, layout, samples)
}

/// sRGB, or the gray of its curve.
fn target(layout: Layout) -> ColorProfile {
    let srgb = ColorProfile::new_srgb();
    if !matches!(layout, Layout::Gray | Layout::GrayAlpha) {
        return srgb;
    }
    let mut gray = ColorProfile::new_gray_with_gamma(2.2);
    gray.gray_trc = srgb.red_trc;
    gray
}

fn by_parts<T: Copy + Default>(
    transform: &(impl TransformExecutor<T> + ?Sized),
    layout: Layout,
    samples: &mut [T],
) -> Result<(), moxcms::CmsError> {
    let mut part = Vec::new();
    for samples in samples.chunks_mut(PART * layout.channels()) {
        part.clear();
        part.extend_from_slice(samples);
        transform.transform(&part, samples)?;
    }
    Ok(())
}

/// The profile's own name.
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
