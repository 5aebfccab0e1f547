//! Message catalogue: the sentences of errors and plans, each with a stable name and named parameters, so that clients can
//! translate them. `docs/api.md` lists them.

use serde_json::{Map, Value, json};

/// Defines [`Reason`] from lines of variant, stable name, and English sentence with `{parameters}`.
macro_rules! reasons {
    ($($name:ident $text:literal $sentence:literal,)*) => {
        /// Entry of the message catalogue.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Reason { $($name,)* }

        impl Reason {
            /// All entries, in the order of the table.
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the stable name.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Returns the English sentence, with `{name}` for each parameter.
            pub(crate) fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }
        }
    };
}

reasons! {
    // Options.
    OptionUnknown "option_unknown" "there is no option {field} for this kind of job",
    OptionWhole "option_whole" "{field} is {value}; it is a whole number",
    OptionNumber "option_number" "{field} is {value}; it is a number",
    OptionFlag "option_flag" "{field} is {value}; it is true or false",
    OptionText "option_text" "{field} is {value}; it is a text",
    OptionChoice "option_choice" "{field} is {value}; it is one of {accepted}",
    OptionRange "option_range" "{field} is {value}; it is from {from} to {to}",
    OptionFactor "option_factor" "{field} is {value}; a factor is from 1 to 256, such as 2, 2.5 or \"7/3\"",
    OptionRate "option_rate" "{field} is {value}; a rate is above 0 and up to 1000, such as 60, 59.94 or \"60000/1001\"",
    OptionTime "option_time" "{field} is {value}; a time is from 0 to 1, such as 0.5 or \"1/3\"",
    OptionPosition "option_position" "{field} is {value}; a position is seconds such as 62.5, a timecode such as 00:01:02.500, or frames such as 120f",
    OptionSize "option_size" "{field} is {value}; a size is WIDTHxHEIGHT, 16 to 16384 each, such as 1280x720",
    OptionForm "option_form" "{field} is {value}, which does not fit",
    OptionPreset "option_preset" "a preset is a short word, such as slow or veryfast, or a number",
    OptionModel "option_model" "there is no model {value}; GET /api/v1/models lists them",
    OptionsObject "options_object" "options are an object",
    InputCount "input_count" "inputs: {count}; a {kind} job takes {accepted}",
    OptionEither "option_either" "give {field} or {other}, not both",
    OptionWith "option_with" "{field} goes with {other} only",
    RateNeedsNoFactor "rate_needs_no_factor" "fps is a target rate and needs no factor; with slow_motion it is the playing rate",
    OneDeinterlacing "one_deinterlacing" "give one of deinterlace, inverse_telecine and allow_interlaced",
    NotForImages "not_for_images" "an images job takes no preset",
    OnePicture "one_picture" "timestep makes one picture: it takes two inputs and ext png",
    CodecContainer "codec_container" "a {ext} file holds no {value}; it holds {accepted}",
    // Bodies of requests.
    BodyJson "body_json" "the body is not JSON (line {line}, column {column})",
    BodyMissing "body_missing" "the body has no {field}",
    BodyUnknown "body_unknown" "the body has {field}, which is unknown here",
    BodyValue "body_value" "the body does not fit at {field}: {cause}",
    // Files and the queue.
    QueueFull "queue_full" "jobs that wait: {count}; try again later",
    JobState "job_state" "the job is {state}; failed and cancelled ones are tried again",
    NoFrame "no_frame" "there is no frame {number}; the frames are 1 to {frames}",
    NoFrames "no_frames" "the file has no frames",
    WrongToken "wrong_token" "this is not the token",
    QuotaUsed "quota_used" "{used} of {quota} bytes are in use; delete jobs or uploads to make room",
    DiskFull "disk_full" "the disk is nearly full",
    FileTooLarge "file_too_large" "{size} bytes; an upload has at most {limit}",
    FileEmpty "file_empty" "the file is empty (0 bytes)",
    // Errors of the `rife` crate about files and processing.
    NoVideo "no_video" "{name} has no video stream",
    SinglePicture "single_picture" "{name} is a single picture: there is nothing between its frames; two pictures make an images job",
    Interlaced "interlaced" "{name} is interlaced ({order}); ask for de-interlacing",
    Unreadable "unreadable" "{name}: {cause}",
    Limit "limit_exceeded" "{what} is {value}, outside the accepted {accepted}",
    BadFrame "bad_frame" "frame {frame}: {cause}",
    FfmpegMissing "ffmpeg_missing" "{tool} was not found; install ffmpeg 5.1 or later",
    FfmpegTooOld "ffmpeg_too_old" "ffmpeg is version {found}; 5.1 or later is needed",
    ChildFailed "child_failed" "{tool} failed ({status}) {context}: {cause}",
    Stalled "stalled" "{tool} stalled: no data for {seconds} s",
    Incomplete "incomplete" "{name} was not written completely: {cause}",
    Unsupported "unsupported" "{cause}",
    Io "io" "cannot {action} {name}: {cause}",
    // Models.
    ModelsFixed "models_fixed" "the models of this server are fixed (rife serve --fixed-models)",
    HalfOfNcnn "half_of_ncnn" "{name}: a model of ncnn is a .param and a .bin file, which are added together",
    // Parts of the messages below.
    OfFile "of_file" "{name}: {cause}",
    Several "several" "{notes}",
    Frames "frames" "{count} frames",
    Times "times" "{count} times",
    // Lines of plans.
    RuleSame "rule_same" "N frames give N",
    RuleFactor "rule_factor" "N frames give {factor}*(N-1)+1, and up to {more} more of the last one, so that the clip ends when the source does",
    RuleMultiple "rule_multiple" "N frames give {factor}*N, rounded up; those that fall on a source frame are that frame",
    RuleRate "rule_rate" "a frame every 1/{rate} s from the first frame's time until the source ends; those that fall on a source frame are that frame",
    Stretched "stretched" "time is stretched {times} times",
    NothingNew "nothing_new" "factor 1 makes no new frame: the clip is encoded anew as it is",
    RateSame "rate_same" "the source has {from} frames a second already: no new frame is made",
    RateBelow "rate_below" "{to} frames a second are fewer than the source's {from}: frames are left out",
    StreamInterpolated "stream_interpolated" "stream {index} {what}: interpolated",
    StreamEncoded "stream_encoded" "stream {index} {what}: encoded anew",
    StreamCopied "stream_copied" "stream {index} {what}: copied",
    StreamTranscoded "stream_transcoded" "stream {index} {what}: transcoded with {encoder} ({why})",
    StreamDropped "stream_dropped" "stream {index} {what}: dropped ({why})",
    ChaptersKept "chapters_kept" "chapters: kept",
    ChaptersDropped "chapters_dropped" "chapters are dropped",
    SoundNone "sound_none" "sound: none of the clips has sound",
    SoundNoPlace "sound_no_place" "sound: dropped: the output holds nothing but pictures",
    SoundDropped "sound_dropped" "sound: dropped, as asked",
    SoundCrossfade "sound_crossfade" "sound: each clip's first or default track, crossfaded over the transitions",
    SoundSilence "sound_silence" "sound: each clip's first or default track, silence in the transitions",
    SizesDiffer "sizes_differ" "{others} of {count} pictures are not {size} (such as {other}): {how}",
    LinearFloats "linear_floats" "linear floats are coded as sRGB and shown from 0 to 1; an EXR output keeps them",
    AlphaDropped "alpha_dropped" "alpha is dropped: {holder} holds none; {others}",
    BitsFewer "bits_fewer" "{bits} bits become 8: with alpha {holder} holds no more; {others}",
    HdrLost "hdr_lost" "HDR is lost: {holder} has no place for what the codes mean",
    RotationDropped "rotation_dropped" "rotation is dropped: {holder} has no place for it",
    // Why something happens to a stream, and how a picture is fitted.
    OnlyPictures "only_pictures" "the output holds nothing but pictures",
    OnlyMainVideo "only_main_video" "only the main video stream is interpolated",
    NoTimedData "no_timed_data" "timed data is not carried over",
    CodecUnknown "codec_unknown" "ffmpeg does not know its codec",
    IsStretched "is_stretched" "it is stretched",
    TimesDoNotFit "times_do_not_fit" "its times do not fit the stretched video",
    CoverArtMatroska "cover_art_matroska" "cover art in Matroska would have to become an attachment",
    NoPlace "no_place" "the container has no place for it",
    SlowDropsSound "slow_drops_sound" "slow motion drops it unless sound is to be stretched",
    IsEncrypted "is_encrypted" "it is encrypted",
    CannotBeCopied "cannot_be_copied" "it cannot be copied: {cause}",
    HoldsNo "holds_no" "{holder} holds no {codec}",
    Padded "padded" "scaled whole into it, the rest is black or transparent",
    Cropped "cropped" "scaled to fill it, what stands over is cut off",
    FitStretched "fit_stretched" "stretched to it",
    ScaledWhole "scaled_whole" "scaled whole into the output's size",
    ScaledCut "scaled_cut" "scaled to fill the output's size and cut",
    ScaledStretched "scaled_stretched" "stretched to the output's size",
    RateMade "rate_made" "frames made for the output's rate",
    ColoursOfFirst "colours_of_first" "its colours written by the first clip's matrix and range",
    PrimariesOfFirst "primaries_of_first" "its primaries converted to the first clip's",
    // Further notes of plans, and warnings of jobs.
    StartsOver "starts_over" "an interrupted run starts over: {cause}",
    OnePiece "one_piece" "{holder} is written in one piece",
    GpuTiles "gpu_tiles" "pictures of {size} are computed in {count} tiles, because a buffer of this GPU holds at most {limit} MiB",
    PlayersRate "players_rate" "players show such a file at up to {fastest} fps: of frames that lie closer, the last is kept",
    PlayersSlow "players_slow" "players show each frame of such a file for a tenth of a second where it is to be shown for less than {seconds} s: {fastest} fps instead of {rate}",
    PlayersMerge "players_merge" "players show each frame of such a file for a tenth of a second where it is to be shown for less than {seconds} s: of frames that lie closer, the last is kept",
    FramesMerged "frames_merged" "{count} frames lay closer than {seconds} s after the one before, which players do not show so: they are left out",
    FramesMoved "frames_moved" "{frames} moved by a tick, since times fell together",
    MetadataDropped "metadata_dropped" "{metadata} cannot be carried over to new frames: dropped",
    MasteringDropped "mastering_dropped" "HDR10 mastering metadata is dropped: {encoder} does not write it",
    CaptionsDropped "captions_dropped" "closed captions (CEA-608/708) lie within the source's frames and cannot be carried over to new ones: dropped; ffmpeg -f lavfi -i \"movie=IN[out0+subcc]\" -map 0:s OUT.srt takes them out as subtitles",
    CutOff "cut_off" "the file is cut off: its header announces {values}. What is missing is missing in the result",
    FramesMissing "frames_missing" "{name}: {frames} frames were decoded where {announced} were announced (the last at {time} s): {cause}",
    SaidNothing "said_nothing" "it said nothing",
    SizeChanges "size_changes" "{name}: the picture's size changes from {size} to {others}: all frames are scaled to {size}, the size of the first",
    CombDeinterlaced "comb_deinterlaced" "it is not marked as interlaced, but {combed} of {moving} frames that were looked at are combed ({order}): it is de-interlaced",
    CombKept "comb_kept" "it is not marked as interlaced, and {combed} of {moving} frames that were looked at are combed: it is not de-interlaced",
    CombTelecined "comb_telecined" "it looks telecined, or interlaced in part ({combed} of {moving} frames that were looked at are combed, {order}), without being marked: combs become wrong motion; ask for the film to be taken out of it, or for de-interlacing",
    CombInterlaced "comb_interlaced" "it looks interlaced ({combed} of {moving} frames that were looked at are combed, {order}) without being marked: combs become wrong motion; ask for de-interlacing",
    TopFirst "top_first" "top field first",
    BottomFirst "bottom_first" "bottom field first",
    StreamsMissing "streams_missing" "{missing} of {count} planned streams of sound or text are missing in the output",
    SoundMoved "sound_moved" "sound, stream {index} of the input ({codec}): {cause}",
    SoundBegins "sound_begins" "it begins at {found} s of the result and should at {wanted} s",
    SoundEnds "sound_ends" "it ends at {found} s of the result and should at {wanted} s",
    ProfileConverted "profile_converted" "colours are converted from {profile} to sRGB",
    ProfileIgnored "profile_ignored" "the colour profile is not applied ({cause}), the colours are taken for sRGB",
    GpuEnded "gpu_ended" "{device} was used no more, because {cause}; {computed}",
    GpuFailed "gpu_failed" "{device} failed {times}: {cause}; {computed}",
    ComputedBoth "computed_both" "{frames} computed again in f32, {others}",
    ComputedAgain "computed_again" "{frames} computed again in f32",
    ComputedByProcessor "computed_by_processor" "{frames} computed by the processor instead, whose values may differ from the GPU's by a code value",
    // Values of verifications.
    AllDecode "all_decode" "all can be decoded",
    NotAtHand "not_at_hand" "it is not at hand",
    UnknownValue "unknown_value" "unknown",
    TimesRise "times_rise" "every frame's time is above the one before",
    TimeNotAbove "time_not_above" "that of frame {frame} is not",
    SoItIs "so_it_is" "so it is",
    TheSame "the_same" "the same",
    TagDiffers "tag_differs" "{name} is {found} and should be {wanted}",
    SyncWanted "sync_wanted" "as in the input, to {ms} ms",
    SyncLength "sync_length" "{start} ms at its start, {length} ms in length",
    SyncStart "sync_start" "{start} ms at its start",
    WeightsBuiltIn "weights_built_in" "those built into this program",
    WeightsOther "weights_other" "{model}, not those built in",
    VersionChecks "version_checks" "{version} is checking",
    // The most general sentence comes last.
    ChainClip "chain_clip" "{name}: {size}, {rate} ({how})",
}

/// First entry that may match a message of the `rife` crate; the entries before it are the server's.
const FIRST_PARSED: Reason = Reason::RuleSame;

/// Parameters of a sentence by name.
pub(crate) type Params = Map<String, Value>;

/// Collects parameters from pairs of name and value.
pub(crate) fn params<const N: usize>(pairs: [(&str, Value); N]) -> Params {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Placeholder `{name}` in a sentence.
struct Placeholder<'a> {
    /// The text between the placeholder before and this one.
    before: &'a str,
    /// The parameter's name.
    name: &'a str,
}

/// Returns the placeholders of a sentence, and the text after the last one.
fn placeholders(sentence: &str) -> (Vec<Placeholder<'_>>, &str) {
    let (mut found, mut rest) = (Vec::new(), sentence);
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else {
            break;
        };
        found.push(Placeholder { before, name });
        rest = after;
    }
    (found, rest)
}

impl Reason {
    /// Returns the English sentence with the parameters filled in.
    pub(crate) fn fill(self, params: &Params) -> String {
        let (placeholders, end) = placeholders(self.sentence());
        let mut text = String::new();
        for placeholder in placeholders {
            text += placeholder.before;
            text += &match params.get(placeholder.name) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Object(note)) => note["message"].as_str().unwrap_or_default().to_owned(),
                Some(Value::Array(notes)) => {
                    let messages = notes.iter().filter_map(|note| note["message"].as_str());
                    messages.collect::<Vec<_>>().join("; ")
                }
                Some(value) => value.to_string(),
                None => String::new(),
            };
        }
        text + end
    }

    /// Returns the parameters of `text` if it matches this sentence.
    fn matches(self, text: &str) -> Option<Params> {
        let (placeholders, end) = placeholders(self.sentence());
        let mut rest = text.strip_suffix(end)?;
        let mut found = Params::new();
        for (index, placeholder) in placeholders.iter().enumerate() {
            rest = rest.strip_prefix(placeholder.before)?;
            let next = placeholders.get(index + 1).map_or("", |next| next.before);
            let length = if next.is_empty() {
                rest.len()
            } else {
                rest.find(next)?
            };
            let value = &rest[..length];
            found.insert(placeholder.name.to_owned(), nested(value));
            rest = &rest[length..];
        }
        rest.is_empty().then_some(found)
    }
}

/// Converts a parameter to a note if it matches a sentence of the catalogue or is a number of frames or times, to a list of notes
/// if it is a list of such sentences, else to a string.
fn nested(text: &str) -> Value {
    let several = || (text.contains("; ")).then(|| parse_list(text)).flatten();
    counted(text)
        .or_else(|| parse_note(text))
        .or_else(|| several().map(Value::Array))
        .unwrap_or_else(|| text.into())
}

/// Converts a number of frames or times, such as `1 frame`, `2 frames`, `once` or `3 times`.
fn counted(text: &str) -> Option<Value> {
    let (reason, count) = match text.split_once(' ') {
        None if text == "once" => (Reason::Times, "1"),
        Some((count, "frame" | "frames")) => (Reason::Frames, count),
        Some((count, "times")) => (Reason::Times, count),
        _ => return None,
    };
    let count: u64 = count.parse().ok()?;
    Some(note_json(reason, &params([("count", count.into())]), text))
}

/// Converts a message of the `rife` crate to a note, if it matches a sentence of the catalogue, or follows a file's name.
fn parse_note(text: &str) -> Option<Value> {
    let known = Reason::ALL.iter().skip_while(|reason| **reason != FIRST_PARSED);
    let mut found = known.filter_map(|reason| Some((*reason, reason.matches(text)?)));
    if let Some((reason, params)) = found.find(|(reason, params)| is_certain(*reason, params)) {
        return Some(note_json(reason, &params, text));
    }
    let (name, cause) = text.split_once(": ")?;
    let pairs = [("name", name.into()), ("cause", parse_note(cause)?)];
    Some(note_json(Reason::OfFile, &params(pairs), text))
}

/// Reports whether parameters of a match are what their names say: a general sentence also matches a list of others.
fn is_certain(reason: Reason, params: &Params) -> bool {
    let short = |value: &str| !value.contains("; ") && !value.contains(": ");
    let names = ["name", "frames", "announced", "device"].into_iter();
    let mut texts = names.filter_map(|name| params.get(name).and_then(Value::as_str));
    // What follows the size and rate of any file in brackets has to be known.
    texts.all(short) && (reason != Reason::ChainClip || !params["how"].is_string())
}

/// Converts sentences that are separated by semicolons, which may be in them, too; `None` unless all are known.
fn parse_list(text: &str) -> Option<Vec<Value>> {
    if let Some(note) = parse_note(text) {
        return Some(vec![note]);
    }
    let mut splits = text.match_indices("; ");
    splits.find_map(|(at, separator)| {
        let first = parse_note(&text[..at])?;
        let others = parse_list(&text[at + separator.len()..])?;
        Some(std::iter::once(first).chain(others).collect())
    })
}

/// Returns the JSON object of a note: code, parameters and English message.
fn note_json(reason: Reason, params: &Params, message: &str) -> Value {
    json!({"code": reason.name(), "params": params, "message": message})
}

/// Converts a message of the `rife` crate to a note, with the code `other` if the catalogue does not have it.
pub(crate) fn note(text: &str) -> Value {
    let text = text.strip_prefix("note: ").unwrap_or(text);
    let several = |notes: Vec<Value>| note_json(Reason::Several, &params([("notes", notes.into())]), text);
    parse_note(text)
        .or_else(|| parse_list(text).map(several))
        .unwrap_or_else(|| json!({"code": "other", "params": {}, "message": text}))
}

/// Converts the sentences in a list of messages of the `rife` crate to notes.
pub(crate) fn notes(texts: &Value) -> Value {
    let texts = texts.as_array().into_iter().flatten();
    texts.filter_map(Value::as_str).map(note).collect()
}

/// Creates a note from a catalogue entry and its parameters.
pub(crate) fn server_note<const N: usize>(reason: Reason, pairs: [(&str, Value); N]) -> Value {
    let params = params(pairs);
    note_json(reason, &params, &reason.fill(&params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_filled_and_read_again() {
        let text =
            "stream 2 audio flac (eng, (a) b): transcoded with aac (the container has no place for it)";
        let read = note(text);
        assert_eq!(read["code"], "stream_transcoded");
        assert_eq!(read["params"]["what"], "audio flac (eng, (a) b)");
        assert_eq!(read["params"]["why"]["code"], "no_place");
        let filled = Reason::StreamTranscoded.fill(read["params"].as_object().unwrap());
        assert_eq!(filled, text);
        assert_eq!(note("never heard of")["code"], "other");
        assert_eq!(note("note: chapters are dropped")["code"], "chapters_dropped");
    }

    #[test]
    fn parameters_are_notes_counts_and_lists() {
        let cut_off = "clip.mp4: the file is cut off: its header announces 9 bytes, 5 are there; 1 s, 0.5 s of video are \
                       there. What is missing is missing in the result";
        let read = note(cut_off);
        assert_eq!(read["code"], "of_file");
        assert_eq!(
            (&read["params"]["name"], &read["params"]["cause"]["code"]),
            (&json!("clip.mp4"), &json!("cut_off"))
        );
        let fewer = "clip.mp4: 5 frames were decoded where 6 were announced (the last at 0.080 s): one; two";
        assert_eq!(note(fewer)["params"]["frames"], "5");
        let read = note(&format!("{cut_off}; {fewer}"));
        assert_eq!(read["code"], "several", "{read}");
        assert_eq!(read["params"]["notes"][0], note(cut_off));
        assert_eq!(read["params"]["notes"][1], note(fewer));
        let read = note("vulkan:0 failed 3 times: out of memory; 1 frame computed again in f32");
        assert_eq!(
            (&read["code"], &read["params"]["times"]["params"]["count"]),
            (&json!("gpu_failed"), &json!(3))
        );
        assert_eq!(
            read["params"]["computed"]["params"]["frames"]["params"]["count"],
            1
        );
        let text =
            "a.mp4: 320x180, 24 (scaled whole into the output's size; frames made for the output's rate)";
        let read = note(text);
        assert_eq!(read["params"]["how"][1]["code"], "rate_made");
        assert_eq!(Reason::ChainClip.fill(read["params"].as_object().unwrap()), text);
        assert_eq!(note("a.mp4: 320x180, 24 (never heard of)")["code"], "other");
    }

    #[test]
    fn the_table_of_the_docs_has_every_reason() {
        let docs = include_str!("../../../docs/api.md");
        for reason in Reason::ALL {
            let row = format!("| `{}` | {} |", reason.name(), reason.sentence());
            assert!(docs.contains(&row), "{row}");
        }
    }
}
