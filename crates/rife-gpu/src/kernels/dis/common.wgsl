// Dense inverse search on one level of the pyramid: what its kernels share. Both directions are searched: direction 0 from the
// first frame to the second, direction 1 back.

struct Parameters {
    // Columns and rows of the level's images, multiples of 4; columns and rows of the coarser level's field, or 0.
    size: vec4<i32>,
    // Gauss-Newton steps.
    steps: vec4<i32>,
    // Damping, smallest residual, largest step, and the fraction of zero_start, 0 without it.
    options: vec4<f32>,
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> result: array<vec4<f32>>;
// Luma of the first frame, then of the second, row after row.
@group(0) @binding(2) var<storage, read> luma: array<f32>;

// Pixels from patch to patch, and pixels along the side of a patch.
const STRIDE = 4;
const SIDE = 8;
const PIXELS = 64.0;
const LARGEST = 3.4e38;

// A pixel of a frame, the nearest one beyond the border.
fn pixel(frame: i32, at: vec2<i32>) -> f32 {
    let inside = clamp(at, vec2<i32>(), p.size.xy - 1);
    return luma[(frame * p.size.y + inside.y) * p.size.x + inside.x];
}

// A position limited to where anything but the border's pixels is seen; a position that is no number is the lowest.
fn limited(at: f32, size: i32) -> f32 {
    let low = f32(1 - SIDE - 2);
    return select(low, min(at, f32(size)), at > low);
}

// Where a patch lies when displaced by a velocity.
fn displaced(patch_at: vec2<i32>, velocity: vec2<f32>) -> vec2<f32> {
    let at = vec2<f32>(patch_at * STRIDE - STRIDE / 2) + velocity;
    return vec2<f32>(limited(at.x, p.size.x), limited(at.y, p.size.y));
}

// Means between two rows of a frame.
fn between_rows(frame: i32, at: vec2<i32>, below: f32) -> f32 {
    return mix(pixel(frame, at), pixel(frame, at + vec2<i32>(0, 1)), below);
}

// Gradient of a frame by central differences.
fn gradient(frame: i32, at: vec2<i32>) -> vec2<f32> {
    let right = pixel(frame, at + vec2<i32>(1, 0)) - pixel(frame, at - vec2<i32>(1, 0));
    let down = pixel(frame, at + vec2<i32>(0, 1)) - pixel(frame, at - vec2<i32>(0, 1));
    return 0.5 * vec2<f32>(right, down);
}

// The cost of a displaced patch: the variance of its differences times the number of pixels.
fn cost(direction: i32, patch_at: vec2<i32>, velocity: vec2<f32>) -> f32 {
    let to = displaced(patch_at, velocity);
    let first = vec2<i32>(floor(to));
    let fraction = to - floor(to);
    let origin = patch_at * STRIDE - STRIDE / 2;
    var sum = 0.0;
    var squares = 0.0;
    for (var row = 0; row < SIDE; row++) {
        var left = between_rows(1 - direction, first + vec2<i32>(0, row), fraction.y);
        for (var column = 0; column < SIDE; column++) {
            let right = between_rows(1 - direction, first + vec2<i32>(column + 1, row), fraction.y);
            let difference = mix(left, right, fraction.x) - pixel(direction, origin + vec2<i32>(column, row));
            sum += difference;
            squares += difference * difference;
            left = right;
        }
    }
    return squares - sum * sum / PIXELS;
}
