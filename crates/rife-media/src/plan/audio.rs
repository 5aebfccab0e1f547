//! Bit rates and channel layouts of transcoded audio, by encoder and number of channels.

use crate::ffmpeg::args::Args;
use crate::probe::AudioFormat;

/// Reports whether the audio codec is lossless (PCM, FLAC, DTS-HD MA, ...).
pub(super) fn is_lossless(codec: &str, format: &AudioFormat) -> bool {
    let dts_hd_ma = || {
        format
            .profile
            .as_deref()
            .is_some_and(|profile| profile.contains("DTS-HD MA"))
    };
    match codec {
        "pcm_alaw" | "pcm_mulaw" | "pcm_vidc" => false,
        "flac" | "alac" | "truehd" | "mlp" | "als" | "ape" | "tta" | "wavpack" | "wmalossless" => true,
        "dts" => dts_hd_ma(),
        other => other.starts_with("pcm_"),
    }
}

/// Reports whether the audio encoder is lossless.
pub(crate) fn writes_lossless(encoder: &str) -> bool {
    matches!(encoder, "flac" | "alac") || encoder.starts_with("pcm_")
}

/// Returns the maximum number of channels of an audio encoder; `None` where it supports eight or more.
pub(super) fn max_channels(encoder: &str) -> Option<u32> {
    match encoder {
        "libmp3lame" | "mp2" | "wmav2" => Some(2),
        "aac" | "ac3" => Some(6),
        _ => None,
    }
}

/// Returns the bit rate in bit/s of an audio encoder for `channels`; `None` for lossless encoders.
fn bit_rate(encoder: &str, channels: u32) -> Option<u32> {
    let kbits = match (encoder, channels) {
        _ if writes_lossless(encoder) => return None,
        (_, 0..=1) => 96,
        (_, 2) | ("libmp3lame" | "mp2" | "wmav2", _) => 160,
        ("ac3", _) => 640,
        ("libopus", channels) => 64 * channels.min(8),
        (_, channels) => 80 * channels.min(6),
    };
    Some(kbits * 1000)
}

/// Returns the channel layout to convert to before encoding, one that is standard for the codec; `None` where the source's
/// layout is already standard or the encoder supports any.
fn layout(encoder: &str, channels: u32, format: &AudioFormat) -> Option<&'static str> {
    let own = format.layout.as_deref();
    let usual: &[&str] = match encoder {
        "aac" => &["mono", "stereo", "3.0", "4.0", "5.0", "5.1"],
        "libopus" => &["mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1"],
        "ac3" => &["mono", "stereo", "3.0", "5.0(side)", "5.1(side)"],
        "alac" => &["mono", "stereo"],
        _ => return None,
    };
    if own.is_some_and(|own| usual.contains(&own)) {
        return None;
    }
    Some(match (encoder, channels) {
        ("alac", _) => return None,
        (_, 0..=1) => "mono",
        (_, 2) => "stereo",
        ("libopus", 7) => "6.1",
        ("libopus", 8..) => "7.1",
        (_, 5) if own.is_some_and(|own| own.starts_with("5.0")) => "5.0",
        // 5.1 holds the channels of all other layouts, such as 2.1 or 4.0 with two at the back.
        ("ac3", _) => "5.1(side)",
        _ => "5.1",
    })
}

/// Appends the encoder options of a transcoded audio stream: bit rate, channel mapping and filters. `specifier` is ffmpeg's
/// stream specifier, `a` or `a:0`; `filter` precedes the filter that converts the channel layout.
pub(crate) fn options(
    args: &mut Args,
    encoder: &str,
    channels: u32,
    format: &AudioFormat,
    specifier: &str,
    filter: Option<String>,
) {
    if let Some(rate) = bit_rate(encoder, channels) {
        args.all([&format!("-b:{specifier}"), &format!("{}k", rate / 1000)]);
    }
    let layout = layout(encoder, channels, format);
    if encoder == "libopus" && channels > 2 {
        args.all([&format!("-mapping_family:{specifier}"), "1"]);
    }
    let layout = layout.map(|layout| format!("aformat=channel_layouts={layout}"));
    let filters: Vec<_> = filter.into_iter().chain(layout).collect();
    if !filters.is_empty() {
        args.all([&format!("-filter:{specifier}"), &filters.join(",")]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(encoder: &str, channels: u32, layout: &str) -> String {
        let format = AudioFormat {
            layout: Some(layout.to_owned()),
            ..AudioFormat::default()
        };
        let mut args = Args::default();
        options(&mut args, encoder, channels, &format, "a:0", None);
        let words: Vec<_> = args.0.iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    #[test]
    fn bit_rates_grow_with_the_channels() {
        assert_eq!(text("aac", 1, "mono"), "-b:a:0 96k");
        assert_eq!(text("aac", 2, "stereo"), "-b:a:0 160k");
        assert_eq!(text("aac", 6, "5.1"), "-b:a:0 480k");
        assert_eq!(text("flac", 8, "7.1"), "");
        let opus = "-b:a:0 384k -mapping_family:a:0 1 -filter:a:0 aformat=channel_layouts=5.1";
        assert_eq!(text("libopus", 6, "5.1(side)"), opus);
    }

    #[test]
    fn layouts_are_those_that_players_know_by_number() {
        for (channels, layout, wanted) in [
            (6, "5.1(side)", "5.1"),
            (3, "2.1", "5.1"),
            (4, "quad", "5.1"),
            (8, "7.1", "5.1"),
            (5, "5.0(side)", "5.0"),
            (2, "downmix", "stereo"),
        ] {
            let text = text("aac", channels, layout);
            assert!(
                text.ends_with(&format!("aformat=channel_layouts={wanted}")),
                "{layout}: {text}"
            );
        }
    }

    #[test]
    fn what_is_lossless_is_known() {
        let format = |profile: &str| AudioFormat {
            profile: Some(profile.to_owned()),
            ..AudioFormat::default()
        };
        assert!(is_lossless("dts", &format("DTS-HD MA")) && !is_lossless("dts", &format("DTS")));
        assert!(is_lossless("pcm_bluray", &format("")) && !is_lossless("pcm_alaw", &format("")));
        assert!(!is_lossless("aac", &format("LC")));
    }
}
