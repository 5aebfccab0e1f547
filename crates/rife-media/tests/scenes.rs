//! Cuts and repeated frames in clips that ffmpeg makes and compresses here: what must be found, and what must be left
//! alone.

use std::path::PathBuf;
use std::process::Command;

use num_rational::Ratio;
use rife_media::scene::{Analysis, AnalysisOptions, CutList, CutRule, FrameFeatures, Role, Verdict};
use rife_media::timeline::Paced;
use rife_media::*;
use rife_testing::Need;

/// Soft bars and a disc that moves 2.5 pixels a frame, with film grain: `n` is the frame number.
const MOVING: &str =
    "geq=lum='128+40*sin(X/9)*cos(Y/7)+80*lt(hypot(X-30-2.5*N,Y-45),18)':cb=128:cr='128+30*sin(Y/11)'";

/// The verdicts on a clip that ffmpeg makes of `words`; nothing, said aloud, without ffmpeg.
fn verdicts(words: &[&str], cuts: CutRule) -> Option<Vec<Verdict>> {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("clip.mp4");
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(words)
        .args([
            "-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-pix_fmt", "yuv420p",
        ])
        .arg(&path)
        .status();
    assert!(Need::Ffmpeg.met(status)?.success(), "ffmpeg {words:?}");
    let source = open_source(&SourceSpec::new(Input::File(path))).unwrap();
    let tags = source.info().tags;
    let mut source = Paced::new(source);
    let options = AnalysisOptions {
        cuts,
        duplicates: true,
    };
    let ahead = Analysis::look_ahead(&options);
    let mut analysis = Analysis::new(options);
    let (mut out, mut count) = (Vec::new(), 0);
    while let Some((frame, pause)) = source.next_frame().unwrap() {
        out.extend(analysis.push(count, frame.pts, pause, FrameFeatures::new(&frame.to_rgb(&tags))));
        count += 1;
        assert!(out.len() + ahead >= count as usize, "the look ahead is bounded");
    }
    out.extend(analysis.finish());
    assert_eq!(out.len() as u64, count);
    Some(out)
}

/// A source of `rate` and `seconds`, filtered by `filter`.
fn lavfi(rate: u32, seconds: u32, filter: &str) -> Option<Vec<Verdict>> {
    let source = format!("color=gray:size=192x108:rate={rate}:duration={seconds},format=yuv444p,{filter}");
    verdicts(&["-f", "lavfi", "-i", &source], CutRule::default())
}

fn held(verdicts: &[Verdict]) -> Vec<usize> {
    let held = verdicts.iter().enumerate().filter(|(_, v)| v.role == Role::Held);
    held.map(|(k, _)| k).collect()
}

fn cuts(verdicts: &[Verdict]) -> Vec<usize> {
    let cuts = verdicts.iter().enumerate().filter(|(_, v)| v.cut);
    cuts.map(|(k, _)| k).collect()
}

fn assert_untouched(name: &str, verdicts: &[Verdict]) {
    assert_eq!((held(verdicts), cuts(verdicts)), (vec![], vec![]), "{name}");
    let own = |v: &Verdict| v.role == Role::Anchor(v.pts);
    assert!(verdicts.iter().all(own), "{name}: every frame keeps its time");
}

#[test]
fn twos_and_threes_lose_their_repeats() {
    for n in [2, 3] {
        let Some(found) = lavfi(24 / n, 2, &format!("{MOVING},noise=alls=3:allf=t,fps=24")) else {
            return;
        };
        let n = n as usize;
        // The end does not show whether motion goes on.
        let expected: Vec<_> = (0..48 - n).filter(|k| k % n != 0).collect();
        assert_eq!(held(&found), expected, "on {n}s");
        assert!(cuts(&found).is_empty());
    }
}

#[test]
fn twenty_four_in_thirty_is_brought_to_an_even_grid() {
    let Some(found) = lavfi(24, 3, &format!("{MOVING},fps=30")) else {
        return;
    };
    let times: Vec<Time> = found
        .iter()
        .filter_map(|v| match v.role {
            Role::Anchor(time) => Some(time),
            Role::Held => None,
        })
        .collect();
    assert_eq!(found.len(), 90);
    assert!((17..=18).contains(&held(&found).len()), "{:?}", held(&found));
    let even = times
        .windows(2)
        .filter(|pair| pair[1] - pair[0] == Ratio::new(1, 24))
        .count();
    assert!(
        even + 5 >= times.len(),
        "{even} of {} steps are 1/24 s: {times:?}",
        times.len()
    );
    // Every frame stays within the time at which it is shown.
    for (k, verdict) in found.iter().enumerate() {
        if let Role::Anchor(time) = verdict.role {
            let shown_until = found[k + 1..]
                .iter()
                .find(|v| v.role != Role::Held)
                .map(|v| v.pts);
            assert!(
                time >= verdict.pts && shown_until.is_none_or(|end| time < end),
                "frame {k}"
            );
        }
    }
}

#[test]
fn a_lost_frame_keeps_the_others_times() {
    // Frame 20 is shown again in the place of frame 21.
    let filter = format!("{MOVING},select='not(eq(n,21))',fps=24");
    let Some(found) = lavfi(24, 2, &filter) else {
        return;
    };
    let held = held(&found);
    assert_eq!(held.len(), 1, "{held:?}");
    assert!(
        found
            .iter()
            .all(|v| v.role == Role::Held || v.role == Role::Anchor(v.pts))
    );
}

#[test]
fn slow_pans_fades_stillness_and_even_motion_are_left_alone() {
    let pan = |speed: f32| {
        format!("geq=lum='128+60*sin((X+{speed}*N)/9)*cos(Y/7)+30*sin((X+{speed}*N)/3.1+Y/5)':cb=128:cr=128")
    };
    let still = "geq=lum='128+60*sin(X/9)*cos(Y/7)':cb=128:cr=128";
    let cases = [
        ("a pan of a tenth of a pixel a frame", pan(0.1)),
        ("a pan of a third of a pixel a frame", pan(0.33)),
        ("even motion", format!("{MOVING},noise=alls=4:allf=t")),
        (
            "a fade in and out",
            format!("{still},fade=in:0:20,fade=out:28:20"),
        ),
        ("a slow fade", format!("{still},fade=out:0:480")),
        (
            "white out of black",
            "geq=lum=235:cb=128:cr=128,fade=in:0:48".to_owned(),
        ),
        (
            "a fade over motion",
            format!("{MOVING},fade=in:0:12,fade=out:36:12"),
        ),
        ("a picture that rests", still.to_owned()),
        ("noise", format!("{still},noise=alls=12:allf=t")),
    ];
    for (name, filter) in cases {
        let Some(found) = lavfi(24, 2, &filter) else {
            return;
        };
        assert_untouched(name, &found);
    }
}

#[test]
fn a_rest_amid_motion_is_no_repeat() {
    // It moves, rests for 12 frames, and moves on.
    let at = "(30+2.5*(min(N,16)+max(N-28,0)))";
    let filter = format!("geq=lum='128+40*sin(X/9)*cos(Y/7)+80*lt(hypot(X-{at},Y-45),18)':cb=128:cr=128");
    let Some(found) = lavfi(24, 2, &filter) else {
        return;
    };
    assert_untouched("a rest", &found);
}

#[test]
fn flashes_are_no_cuts() {
    for (name, length) in [("one frame", 1), ("two frames", 2), ("three frames", 3)] {
        let last = 20 + length - 1;
        let filter = format!("{MOVING},drawbox=c=white:t=fill:enable='between(n,20,{last})'");
        let Some(found) = lavfi(24, 2, &filter) else {
            return;
        };
        assert!(cuts(&found).is_empty(), "a flash of {name}: {:?}", cuts(&found));
    }
}

/// Three scenes, the second in strong motion, joined at frames 20 and 36.
fn three_scenes() -> String {
    let checks = "geq=lum='128+100*(2*mod(floor((X+9*N)/24)+floor(Y/18),2)-1)':cb=100:cr=150";
    let waves = "geq=lum='90+60*sin((X+Y)/13+N/5)':cb=150:cr=100";
    let scene = |filter: &str, frames: u32, name: &str| {
        format!(
            "color=gray:size=192x108:rate=24,format=yuv444p,{filter},trim=end_frame={frames},setpts=N/24/TB[{name}]"
        )
    };
    format!(
        "{};{};{};[a][b][c]concat=n=3",
        scene(MOVING, 20, "a"),
        scene(checks, 16, "b"),
        scene(waves, 14, "c")
    )
}

#[test]
fn cuts_are_found_where_they_are_and_written_lists_read() {
    let graph = three_scenes();
    let words = ["-f", "lavfi", "-i", &graph];
    let Some(found) = verdicts(&words, CutRule::default()) else {
        return;
    };
    let similarities: Vec<f32> = found.iter().map(|v| v.similarity).collect();
    assert_eq!(cuts(&found), [20, 36], "{similarities:.2?}");
    let list = CutList::parse("20\n1.5 # seconds: frame 36\n").unwrap();
    let listed = verdicts(&words, CutRule::Listed(list)).unwrap();
    assert_eq!(cuts(&listed), [20, 36]);
    let none = verdicts(&words, CutRule::Detect(0.0)).unwrap();
    assert!(cuts(&none).is_empty());
}

/// Two shots of 12 drawings each, whose pans are as wide at every step as unrelated pictures, each drawing shown for
/// 24/`rate` frames.
fn two_pans(rate: &str) -> String {
    let shot = |lum: &str, name: &str| {
        format!(
            "color=gray:size=192x108:rate=24,format=yuv444p,geq=lum='{lum}':cb=128:cr=128,trim=end_frame=12,\
             setpts=N/({rate})/TB[{name}]"
        )
    };
    let across = "30+mod(floor((X+31*N)/13)*57+floor(Y/11)*91+floor((X+31*N)/13)*floor(Y/11)*37,80)";
    let down = "140+mod(floor((Y+23*N)/17)*83+floor(X/19)*41+floor((Y+23*N)/17)*floor(X/19)*53,80)";
    format!(
        "{};{};[a][b]concat=n=2,fps=24",
        shot(across, "a"),
        shot(down, "b")
    )
}

#[test]
fn a_pan_whose_drawings_are_shown_for_several_frames_is_no_chain_of_cuts() {
    for (name, rate, cut) in [
        ("ones", "24", 12),
        ("twos", "12", 24),
        ("threes", "8", 36),
        ("twos and threes in turn", "48/5", 29),
        ("fours", "6", 48),
        ("fives", "24/5", 60),
    ] {
        let graph = two_pans(rate);
        let Some(found) = verdicts(&["-f", "lavfi", "-i", &graph], CutRule::default()) else {
            return;
        };
        assert_eq!(cuts(&found), [cut], "on {name}: the one real cut, and no other");
    }
}

#[test]
fn a_repeat_beside_a_pause_stands_for_no_lost_frame() {
    // A square that moves in bursts of five frames at 60 a second, with a pause between; the first frame of each burst is
    // the last of the one before.
    for pause in [9, 12, 60, 240] {
        let graph = format!(
            "color=gray:size=192x108:rate=60:duration=0.75[g];color=white:size=24x24:rate=60:duration=0.75[w];\
             [g][w]overlay=x='6*(n-floor(n/5))':y=40,setpts=(N+{pause}*floor(N/5))/60/TB"
        );
        let words = ["-f", "lavfi", "-i", &graph, "-fps_mode", "passthrough"];
        let Some(found) = verdicts(&words, CutRule::default()) else {
            return;
        };
        let long = |k: &usize| found[*k].pts - found[*k - 1].pts > Ratio::new(1, 10);
        let late: Vec<usize> = held(&found).into_iter().filter(|k| long(k)).collect();
        assert_eq!(late, [0; 0], "a pause of {pause} frames at 60 a second");
    }
}
