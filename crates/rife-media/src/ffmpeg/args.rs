//! ffmpeg argument lists: allow-lists of protocols, containers and codecs for untrusted input, the pixel limit, and safe
//! file names.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::{Limits, MediaError, Result};

/// Demuxers that ffmpeg may use for an input. Playlists and scripts (HLS, DASH, concat, SDP), which open other
/// files or connections, and image2, lavfi and devices are excluded on purpose.
pub(crate) const FORMATS: &str = "mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,ogg,gif,apng,asf,nut,mxf,ivf,h264,hevc,obu,av1,\
m4v,h263,vc1,dv,rm,wtv,amr,aac,ac3,mp3,wav,flac,w64,caf,aiff,au,srt,ass,webvtt";

/// Decoders that ffmpeg may use for an input: maintained decoders of formats in use.
const CODECS: &str = "h264,hevc,vvc,av1,libdav1d,libaom-av1,libgav1,vp8,vp9,libvpx,libvpx-vp9,vp6,vp6f,mpeg1video,\
mpeg2video,mpegvideo,mpeg4,msmpeg4,msmpeg4v1,msmpeg4v2,msmpeg4v3,h261,h263,h263i,h263p,flv,theora,prores,dnxhd,cfhd,\
ffv1,ffvhuff,huffyuv,utvideo,mjpeg,mjpegb,png,apng,gif,rawvideo,v210,v308,v408,v410,r210,y41p,yuv4,wmv1,wmv2,wmv3,vc1,\
svq1,svq3,rv10,rv20,rv30,rv40,qtrle,rpza,dvvideo,jpeg2000,libopenjpeg,webp,bmp,tiff,wrapped_avframe,\
aac,aac_fixed,aac_latm,ac3,ac3_fixed,eac3,mp1,mp1float,mp2,mp2float,mp3,mp3float,opus,libopus,vorbis,libvorbis,flac,\
alac,dca,truehd,mlp,als,ape,tta,wavpack,wmav1,wmav2,wmapro,wmalossless,wmavoice,amrnb,amrwb,libopencore_amrnb,\
libopencore_amrwb,gsm,gsm_ms,speex,libspeex,nellymoser,cook,atrac3,atrac3p,sipr,ra_144,ra_288,qdm2,qdmc,\
pcm_s8,pcm_u8,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_f64le,pcm_f64be,\
pcm_alaw,pcm_mulaw,pcm_bluray,pcm_dvd,pcm_u16le,pcm_u16be,pcm_u24le,pcm_s16le_planar,pcm_s16be_planar,adpcm_ms,\
adpcm_ima_wav,adpcm_ima_qt,adpcm_swf,adpcm_yamaha,g722,g726,g723_1,g729,\
ass,ssa,srt,subrip,text,webvtt,mov_text,dvbsub,dvb_subtitle,dvdsub,dvd_subtitle,pgssub,hdmv_pgs_subtitle,xsub,\
cc_dec,eia_608,microdvd,subviewer,ttml,dvb_teletext,libzvbi_teletext";

/// Returns why the allow-lists refuse a file, with a remedy, where ffmpeg's `message` reports a refusal; else `None`.
pub(crate) fn refusal(message: &str) -> Option<String> {
    if let Some((before, _)) = message.split_once(") not on whitelist") {
        let codec = before.rsplit('(').next().unwrap_or_default();
        return Some(format!(
            "its codec {codec} is not one that is accepted (H.264, H.265, AV1, VP8, VP9, MPEG-1, -2 and -4, ProRes, DNxHD, \
             FFV1, MJPEG, Theora, WMV and their like are). If you trust the file, convert it first: \
             ffmpeg -i IN -c:v ffv1 -c:a copy OUT.mkv"
        ));
    }
    message.contains("Format not on whitelist").then(|| {
        "its container is not one that is accepted (playlists and scripts, which open other files, never are): MP4, \
         QuickTime, Matroska, WebM, AVI, MPEG, FLV, Ogg, ASF, MXF, GIF and their like are. If you trust the file, put its \
         streams into another one first: ffmpeg -i IN -c copy OUT.mkv"
            .to_owned()
    })
}

/// The null device as an ffmpeg URL: output of trial runs is discarded.
pub(crate) const NOWHERE: &str = if cfg!(windows) {
    "file:NUL"
} else {
    "file:/dev/null"
};

/// An argument list of ffmpeg or ffprobe, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Args(pub(crate) Vec<OsString>);

impl Args {
    /// Creates a list with the arguments that every ffmpeg run starts with.
    pub(crate) fn ffmpeg() -> Self {
        let mut args = Self::default();
        args.all(["-nostdin", "-hide_banner", "-nostats", "-loglevel", "warning"]);
        args
    }

    /// Appends one argument.
    pub(crate) fn one(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.0.push(arg.as_ref().to_owned());
        self
    }

    /// Appends several arguments.
    pub(crate) fn all<const N: usize>(&mut self, args: [&str; N]) -> &mut Self {
        self.0.extend(args.iter().map(OsString::from));
        self
    }

    /// Appends the allow-lists and the pixel limit, which precede an input file.
    pub(crate) fn guards(&mut self, limits: &Limits) -> &mut Self {
        self.all([
            "-protocol_whitelist",
            "file",
            "-format_whitelist",
            FORMATS,
            "-codec_whitelist",
            CODECS,
        ]);
        self.all(["-max_pixels", &limits.max_pixels.min(i32::MAX as u64).to_string()])
    }

    /// Appends allow-lists, pixel limit and `-i file:PATH`.
    pub(crate) fn input(&mut self, path: &Path, limits: &Limits) -> Result<&mut Self> {
        let url = file_url(path)?;
        Ok(self.guards(limits).one("-i").one(url))
    }
}

/// Returns `file:` and the absolute path, which ffmpeg cannot take for an option or another protocol.
pub(crate) fn file_url(path: &Path) -> Result<OsString> {
    let mut url = OsString::from("file:");
    url.push(absolute(path)?);
    Ok(url)
}

/// Returns `path` as an absolute path without resolving links.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|e| MediaError::io("resolve", path, e))
}

/// Checks that `name` is safe to pass to ffmpeg as the name of an encoder or preset: 1 to 40 letters, digits, `_` and `-`,
/// without a leading `-`. `what` names the option in the error.
pub(crate) fn check_word(what: &str, name: &str) -> Result<()> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let accepted = "1 to 40 letters, digits, `_` and `-`, not starting with `-`";
    if name.is_empty() || name.len() > 40 || name.starts_with('-') || !name.bytes().all(good) {
        return Err(MediaError::limit(
            what,
            format!("`{}`", name.escape_debug()),
            accepted,
        ));
    }
    Ok(())
}
