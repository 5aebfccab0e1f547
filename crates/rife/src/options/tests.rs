//! The tables against the jobs, and the words for what is refused.

use serde_json::json;

use super::*;
use crate::image::ImageJob;
use crate::media::{Input, Output};
use crate::video::VideoJob;

fn refused(kind: Kind, text: &str) -> String {
    kind.parse(text).unwrap_err().to_string()
}

#[test]
fn texts_and_json_mean_the_same_values() {
    let ratio = |n, d| Value::Ratio(num_rational::Ratio::new(n, d));
    for (kind, text, value) in [
        (Kind::Rate, "60", ratio(60, 1)),
        (Kind::Rate, "59.94", ratio(60000, 1001)),
        (Kind::Rate, "60000/1001", ratio(60000, 1001)),
        (Kind::Factor, "2.5", ratio(5, 2)),
        (Kind::Factor, "7/3", ratio(7, 3)),
        (Kind::Time, "0.25", ratio(1, 4)),
        (Kind::Time, "1/3", ratio(1, 3)),
        (Kind::Size, "1280x768", Value::Size([1280, 768])),
        (Kind::Bytes, "700M", Value::Whole(700 << 20)),
        (Kind::Bytes, "1.5 GiB", Value::Whole(3 << 29)),
        (Kind::Extension, ".mkv", Value::Text("mkv".into())),
    ] {
        assert_eq!(kind.parse(text).as_ref(), Ok(&value), "{text}");
        assert_eq!(kind.read(&json!(text)).as_ref(), Ok(&value), "{text}");
    }
    assert_eq!(Kind::Rate.read(&json!(12.5)), Ok(ratio(25, 2)));
    assert_eq!(Kind::Whole(0, 63).read(&json!(63)), Ok(Value::Whole(63)));
    assert_eq!(Kind::Scale.read(&json!(0.5)), Ok(Value::Number(0.5)));
}

#[test]
fn what_is_out_of_range_is_refused_in_words() {
    for text in ["64", "-1", "99999999999999999999999"] {
        assert_eq!(refused(Kind::Whole(0, 63), text), "it is from 0 to 63");
    }
    assert_eq!(refused(Kind::Whole(0, 63), "1.5"), "it is a whole number");
    for text in ["1.5", "-0.1", "nan", "inf"] {
        assert_eq!(refused(Kind::Number(0.0, 1.0), text), "it is from 0 to 1");
    }
    for text in ["0", "0.5", "-2", "257", "2,5", "two", "", "1/0", "100001/1000"] {
        assert!(refused(Kind::Factor, text).contains("from 1 to 256, such as 2, 2.5"));
    }
    for text in ["0", "-5", "1/0", "fast", "2000", ""] {
        assert!(refused(Kind::Rate, text).contains("above 0 and up to 1000"));
    }
    for text in ["1.5", "-0.5"] {
        assert!(refused(Kind::Time, text).contains("from 0 to 1"));
    }
    for text in ["1280", "8x8", "99999x16"] {
        assert!(refused(Kind::Size, text).contains("16 to 16384"));
    }
    for text in ["", "much", "-1G", "0", "inf", "1T", "G"] {
        assert!(refused(Kind::Bytes, text).contains("1.5G"));
    }
    assert_eq!(refused(Kind::Scale, "3"), "it is one of 0.25, 0.5, 1, 2, 4");
    assert!(refused(Kind::Extension, "../mp4").contains("a few letters"));
    for text in ["slow -f", "-vf", "", "Slow"] {
        assert!(refused(Kind::Word, text).contains("a short word"));
    }
    let fill = Kind::Choice(crate::video::CutFill::NAMES);
    assert_eq!(refused(fill, "morph"), "it is one of repeat, blend");
    for (kind, wrong) in [
        (Kind::Flag, json!("yes")),
        (Kind::Whole(0, 9), json!("1")),
        (Kind::Whole(0, 9), json!(1.0)),
        (Kind::Number(0.0, 1.0), json!("0.5")),
        (Kind::Scale, json!("1")),
        (Kind::Text, json!(4)),
        (Kind::Size, json!("64X64")),
        (Kind::Rate, json!([60])),
        (fill, json!(3)),
    ] {
        assert!(kind.read(&wrong).is_err(), "{kind:?} {wrong}");
    }
}

/// Sets every option to its default and checks what a table says of itself.
fn check<T: OptionSet>() {
    for (index, opt) in T::TABLE.iter().enumerate() {
        let name = opt.name;
        assert!(!opt.help().is_empty() && !opt.help().contains("  "), "{name}");
        assert!(
            T::TABLE[..index].iter().all(|other| other.name != name),
            "{name} twice"
        );
        assert!(opt.on_command_line || opt.http.is_some(), "{name} is nowhere");
        assert!(opt.http.is_some() || !opt.on_page, "{name}: the page uses HTTP");
        let http = opt.http.map(|http| (http.kind, http.default));
        for (kind, default) in http.into_iter().chain([(opt.kind, opt.default)]) {
            let Some(default) = default else { continue };
            let value = kind
                .parse(default)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            let mut set = T::default();
            set.set(name, &value)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let others = opt.conflicts.iter().copied().chain(opt.requires);
        for other in others {
            assert!(T::TABLE.iter().any(|opt| opt.name == other), "{name}: no {other}");
        }
    }
}

#[test]
fn defaults_fit_and_names_are_known() {
    check::<ModelOptions>();
    check::<RateOptions>();
    check::<SceneOptions>();
    check::<EncodeOptions>();
    check::<ImageOptions>();
    check::<ChainOptions>();
    check::<ReencodeOptions>();
}

#[test]
fn the_defaults_of_the_tables_are_those_of_the_jobs() {
    let mut video = VideoJob::new(Input::parse("a.mp4"), Output::parse("b.mp4"));
    let before = format!("{video:?}");
    VideoOptions::default().apply(&mut video).unwrap();
    assert_eq!(format!("{video:?}"), before);
    let mut chain = crate::chain::ChainJob::new(Vec::new(), Output::parse("b.mp4"));
    let before = format!("{chain:?}");
    ChainOptions::default().apply(&mut chain);
    assert_eq!(format!("{chain:?}"), before);
    let mut reencode = crate::reencode::ReencodeJob::new("a.mp4".as_ref(), Default::default());
    let before = format!("{reencode:?}");
    ReencodeOptions::default().apply(&mut reencode);
    assert_eq!(format!("{reencode:?}"), before);
    let between = ImageOptions::default().timesteps();
    let mut image = ImageJob::new(Vec::new(), between, "b.mp4".into());
    let before = format!("{image:?}");
    ImageOptions::default().apply(&mut image);
    assert_eq!(format!("{image:?}"), before);
}
