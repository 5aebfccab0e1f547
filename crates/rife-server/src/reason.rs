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
    FileEmpty "file_empty" "the file is empty (0 bytes): an upload has at least one byte",
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

/// Converts a parameter to a note if it matches a sentence of the catalogue, else to a string.
fn nested(text: &str) -> Value {
    parse_note(text).unwrap_or_else(|| text.into())
}

/// Converts a message of the `rife` crate to a note, if it matches a sentence of the catalogue.
fn parse_note(text: &str) -> Option<Value> {
    let mut known = Reason::ALL.iter().skip_while(|reason| **reason != FIRST_PARSED);
    known.find_map(|reason| {
        reason
            .matches(text)
            .map(|params| note_json(*reason, &params, text))
    })
}

/// Returns the JSON object of a note: code, parameters and English message.
fn note_json(reason: Reason, params: &Params, message: &str) -> Value {
    json!({"code": reason.name(), "params": params, "message": message})
}

/// Converts a message of the `rife` crate to a note, with the code `other` if the catalogue does not have it.
pub(crate) fn note(text: &str) -> Value {
    let text = text.strip_prefix("note: ").unwrap_or(text);
    parse_note(text).unwrap_or_else(|| json!({"code": "other", "params": {}, "message": text}))
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
    fn the_table_of_the_docs_has_every_reason() {
        let docs = include_str!("../../../docs/api.md");
        for reason in Reason::ALL {
            let row = format!("| `{}` | {} |", reason.name(), reason.sentence());
            assert!(docs.contains(&row), "{row}");
        }
    }
}
