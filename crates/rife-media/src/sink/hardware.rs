//! Hardware encoders by family: ffmpeg's options for the device, frame upload and constant quality. Missing drivers and
//! devices are detected by encoding a test frame (`trial`).

use crate::{Codec, VideoParams};

/// A family of hardware encoders, by the suffix of their names in ffmpeg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// NVIDIA.
    Nvenc,
    /// Intel Quick Sync Video.
    Qsv,
    /// VA-API: Intel and AMD under Linux.
    Vaapi,
    /// Vulkan Video.
    Vulkan,
    /// AMD.
    Amf,
    /// Media Foundation of Windows.
    MediaFoundation,
    /// Apple.
    VideoToolbox,
    /// Video4Linux: small boards.
    V4l2m2m,
}

/// All families with their suffixes, in the order in which `auto` tries them.
const FAMILIES: [(&str, Family); 8] = [
    ("videotoolbox", Family::VideoToolbox),
    ("nvenc", Family::Nvenc),
    ("qsv", Family::Qsv),
    ("amf", Family::Amf),
    ("vaapi", Family::Vaapi),
    ("vulkan", Family::Vulkan),
    ("mf", Family::MediaFoundation),
    ("v4l2m2m", Family::V4l2m2m),
];

/// Returns the families for an option value: several for `auto`, one for a family's name; `None` for other values.
pub(super) fn families(word: &str) -> Option<Vec<Family>> {
    let named = |(name, family): &(&str, Family)| (*name == word).then_some(vec![*family]);
    if word != "auto" {
        return FAMILIES.iter().find_map(named);
    }
    // Wrappers of other families, and encoders without constant quality, must be requested explicitly.
    let worth = |(_, family): &(&str, Family)| {
        !matches!(family, Family::Vulkan | Family::MediaFoundation | Family::V4l2m2m)
    };
    Some(
        FAMILIES
            .iter()
            .filter(|entry| worth(entry))
            .map(|(_, family)| *family)
            .collect(),
    )
}

/// Returns the family of an ffmpeg encoder such as `h264_nvenc`; `None` for software encoders.
pub(super) fn family_of(encoder: &str) -> Option<Family> {
    let end = encoder.rsplit_once('_')?.1;
    FAMILIES
        .iter()
        .find(|(name, _)| *name == end)
        .map(|(_, family)| *family)
}

impl Family {
    /// Returns ffmpeg's name of the family's encoder for a codec; `None` for codecs without hardware encoders.
    pub(super) fn encoder(self, codec: Codec) -> Option<String> {
        let stem = match codec {
            Codec::H264 => "h264",
            Codec::H265 => "hevc",
            Codec::Av1 => "av1",
            Codec::Vp9 => "vp9",
            Codec::ProRes | Codec::Ffv1 | Codec::Gif => return None,
        };
        let (end, _) = FAMILIES.iter().find(|(_, family)| *family == self)?;
        Some(format!("{stem}_{end}"))
    }

    /// Returns why the family cannot encode frames of this size or format on any machine; `None` where it can.
    pub(super) fn refusal(self, params: &VideoParams) -> Option<&'static str> {
        if params.width % 2 == 1 || params.height % 2 == 1 {
            return Some("it takes even sizes only");
        }
        params.format.alpha.then_some("it holds no alpha")
    }

    /// Returns ffmpeg's options for device, upload and pixel format of the output; `deep` is true for 10 bits. The device
    /// options are global and may appear anywhere.
    pub(super) fn device(self, deep: bool) -> Vec<String> {
        let surface = if deep { "p010le" } else { "nv12" };
        let open = |kind: &str, extra: &str| {
            let device = format!("{kind}=rife");
            let upload = format!("format={surface},hwupload{extra}");
            [
                "-init_hw_device",
                &device,
                "-filter_hw_device",
                "rife",
                "-filter:v",
                &upload,
            ]
            .map(str::to_owned)
            .into()
        };
        match self {
            Self::Vaapi => open("vaapi", ""),
            Self::Vulkan => open("vulkan", ""),
            Self::Qsv => open("qsv", "=extra_hw_frames=64"),
            // These encoders upload frames themselves.
            Self::Nvenc | Self::Amf | Self::VideoToolbox | Self::MediaFoundation | Self::V4l2m2m => {
                ["-pix_fmt", surface].map(str::to_owned).into()
            }
        }
    }

    /// Returns options for a constant quality similar to x264's at `crf`. VP9 and AV1 have quantizers of 0 to 255, H.264 and
    /// H.265 of 0 to 51.
    pub(super) fn quality(self, codec: Option<Codec>, crf: u32, params: &VideoParams) -> Vec<String> {
        let crf = crf.min(51);
        let indexed = matches!(codec, Some(Codec::Av1 | Codec::Vp9));
        let number = if indexed { crf * 5 } else { crf }.to_string();
        let options = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .flat_map(|(option, value)| [(*option).to_owned(), (*value).to_owned()])
                .collect()
        };
        match self {
            Self::Nvenc => options(&[("-rc", "vbr"), ("-cq", &crf.to_string()), ("-b:v", "0")]),
            Self::Qsv => options(&[("-global_quality", &crf.max(1).to_string())]),
            Self::Vaapi if indexed => options(&[("-rc_mode", "CQP"), ("-global_quality", &number)]),
            Self::Vaapi => options(&[("-rc_mode", "CQP"), ("-qp", &number)]),
            Self::Vulkan => options(&[("-rc_mode", "cqp"), ("-qp", &number)]),
            Self::Amf => options(&[("-rc", "cqp"), ("-qp_i", &number), ("-qp_p", &number)]),
            // Quality of 0 to 100, higher is better.
            Self::VideoToolbox => options(&[("-q:v", &(100 - 2 * crf.min(49)).to_string())]),
            Self::MediaFoundation => options(&[
                ("-rate_control", "quality"),
                ("-quality", &(100 - 3 * crf / 2).to_string()),
            ]),
            // Supports bit rates only.
            Self::V4l2m2m => options(&[("-b:v", &bit_rate(crf, params).to_string())]),
        }
    }

    /// Returns ffmpeg's option for the preset; `None` for families without presets.
    pub(super) fn preset_option(self) -> Option<&'static str> {
        match self {
            Self::Nvenc | Self::Qsv => Some("-preset"),
            Self::Amf => Some("-quality"),
            Self::Vaapi | Self::Vulkan | Self::VideoToolbox | Self::MediaFoundation | Self::V4l2m2m => None,
        }
    }
}

/// Returns a bit rate in bit/s for a CRF: 0.2 bits per pixel at CRF 18, halved for every six steps.
fn bit_rate(crf: u32, params: &VideoParams) -> u64 {
    let pixels = f64::from(params.width) * f64::from(params.height);
    let rate = params.frame_rate.map_or(25.0, crate::time::seconds);
    let bits = 0.2 * 2_f64.powf((18.0 - f64::from(crf)) / 6.0);
    (pixels * rate * bits).clamp(100e3, 400e6) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{DisplayMatrix, HdrMetadata};
    use crate::{ColorTags, PixelFormat};
    use num_rational::Ratio;

    fn params(width: u32, format: PixelFormat) -> VideoParams {
        VideoParams {
            width,
            height: 720,
            format,
            tags: ColorTags::default(),
            sample_aspect: Ratio::from(1),
            matrix: DisplayMatrix::IDENTITY,
            time_base: Ratio::new(1, 50),
            frame_rate: Some(Ratio::from(50)),
            hdr: HdrMetadata::default(),
        }
    }

    /// There is no such hardware where the tests run: what is held here are the argument lists.
    #[test]
    fn each_family_has_device_upload_and_constant_quality() {
        let text = |family: Family, codec: Codec, deep: bool| {
            let quality = family.quality(Some(codec), 18, &params(1280, PixelFormat::YUV420P));
            [family.device(deep), quality].concat().join(" ")
        };
        let upload = |kind: &str, extra: &str, surface: &str| {
            format!(
                "-init_hw_device {kind}=rife -filter_hw_device rife -filter:v format={surface},hwupload{extra}"
            )
        };
        let vaapi = upload("vaapi", "", "nv12");
        assert_eq!(
            text(Family::Vaapi, Codec::H264, false),
            format!("{vaapi} -rc_mode CQP -qp 18")
        );
        assert_eq!(
            text(Family::Vaapi, Codec::Vp9, false),
            format!("{vaapi} -rc_mode CQP -global_quality 90")
        );
        let qsv = upload("qsv", "=extra_hw_frames=64", "p010le");
        assert_eq!(
            text(Family::Qsv, Codec::H265, true),
            format!("{qsv} -global_quality 18")
        );
        let vulkan = upload("vulkan", "", "nv12");
        assert_eq!(
            text(Family::Vulkan, Codec::H264, false),
            format!("{vulkan} -rc_mode cqp -qp 18")
        );
        for (family, expected) in [
            (Family::Nvenc, "-pix_fmt nv12 -rc vbr -cq 18 -b:v 0"),
            (Family::Amf, "-pix_fmt nv12 -rc cqp -qp_i 18 -qp_p 18"),
            (Family::VideoToolbox, "-pix_fmt nv12 -q:v 64"),
            (
                Family::MediaFoundation,
                "-pix_fmt nv12 -rate_control quality -quality 73",
            ),
            (Family::V4l2m2m, "-pix_fmt nv12 -b:v 9216000"),
        ] {
            assert_eq!(text(family, Codec::H264, false), expected);
        }
    }

    #[test]
    fn words_and_names_lead_to_families() {
        assert_eq!(families("nvenc"), Some(vec![Family::Nvenc]));
        assert_eq!(families("auto").map(|all| all.len()), Some(5));
        assert!(families("h264_nvenc").is_none() && families("libx264").is_none());
        assert_eq!(family_of("hevc_videotoolbox"), Some(Family::VideoToolbox));
        assert_eq!((family_of("libx264"), family_of("prores_ks")), (None, None));
        assert_eq!(Family::Qsv.encoder(Codec::Vp9).as_deref(), Some("vp9_qsv"));
        assert_eq!(Family::Nvenc.encoder(Codec::Ffv1), None);
        let alpha = params(1280, PixelFormat::YUV420P.with_alpha(true));
        assert_eq!(Family::Nvenc.refusal(&alpha), Some("it holds no alpha"));
        let odd = params(1281, PixelFormat::YUV420P);
        assert_eq!(Family::Nvenc.refusal(&odd), Some("it takes even sizes only"));
    }
}
