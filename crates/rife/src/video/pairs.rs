//! What lies between two source frames: motion, a cut, or a frame shown twice, and which picture stands for a
//! repeated frame. Only similarities are looked at here; nothing is run.

use std::sync::Arc;

use rife_media::scene::{Miniature, PairKind, SceneOptions};
use rife_media::{ColorTags, Frame, RgbImage};

/// A repeated frame is replaced only where the step after it is this much larger than the step before it: in a slow
/// pan all steps are small and alike, and its frames are left alone.
const STEP_RATIO: f32 = 4.0;

/// A source frame with what is needed of it.
#[derive(Debug, Clone)]
pub(super) struct Decoded {
    /// As it came.
    pub(super) frame: Arc<Frame>,
    /// As the network sees it.
    pub(super) image: Arc<RgbImage>,
    /// As the scene measure sees it.
    pub(super) miniature: Miniature,
}

impl Decoded {
    pub(super) fn new(frame: Frame, tags: &ColorTags) -> Self {
        let image = frame.to_rgb(tags);
        let miniature = Miniature::new(&image);
        Self {
            frame: Arc::new(frame),
            image: Arc::new(image),
            miniature,
        }
    }
}

/// What lies between `left` and `right`.
pub(super) fn kind(left: &Miniature, right: &Miniature, scene: &SceneOptions) -> PairKind {
    scene.classify(left.similarity(right))
}

/// Whether `held`, which is as good as `left`, is a pause in motion that goes on to `next`.
pub(super) fn is_pause(left: &Miniature, held: &Miniature, next: &Miniature, scene: &SceneOptions) -> bool {
    let (before, after) = (1.0 - left.similarity(held), 1.0 - held.similarity(next));
    kind(left, held, scene) == PairKind::Still
        && kind(left, next, scene) == PairKind::Motion
        && after > STEP_RATIO * before
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of soft bars, `shift` pixels to the right.
    fn bars(shift: f32) -> Miniature {
        let plane = |phase: f32| {
            (0..64 * 64).map(move |i| 0.5 + 0.4 * (((i % 64) as f32 - shift) * 0.3 + phase).sin())
        };
        let data = [0.0, 1.0, 2.0].into_iter().flat_map(plane).collect();
        Miniature::new(&RgbImage::new(64, 64, data))
    }

    #[test]
    fn a_repeat_amid_motion_is_a_pause_and_a_slow_pan_is_none() {
        let scene = SceneOptions::default();
        assert!(is_pause(&bars(0.0), &bars(0.0), &bars(2.0), &scene));
        assert!(
            !is_pause(&bars(0.0), &bars(0.05), &bars(0.1), &scene),
            "a slow pan"
        );
        assert!(
            !is_pause(&bars(0.0), &bars(0.0), &bars(0.0), &scene),
            "nothing moves at all"
        );
        assert!(
            !is_pause(&bars(0.0), &bars(1.0), &bars(2.0), &scene),
            "nothing is repeated"
        );
        assert!(
            !is_pause(
                &bars(0.0),
                &bars(0.0),
                &bars(10.5),
                &SceneOptions { cut: 0.5, ..scene }
            ),
            "a cut follows"
        );
    }
}
