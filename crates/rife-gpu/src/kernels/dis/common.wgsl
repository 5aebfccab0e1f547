// Dense inverse search on one level of the pyramid: what its kernels share. Both directions are searched: direction 0 from the
// first frame to the second, direction 1 back.
//
// Candidates that are as good as each other are common, and rounding decides between them. So sums, products and positions are
// computed in the order of the CPU engine, with fused multiply-add where it has it.

struct Parameters {
    // Columns and rows of the level's images, multiples of 4; columns and rows of the coarser level's field, or 0.
    size: vec4<i32>,
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
const PIXEL_WEIGHT = 1.0 / 64.0;
const LARGEST = 3.4e38;
// A patch displaced further beyond the border sees the same pixels.
const BORDER = SIDE + 2;

// Eight values of a row of a patch.
alias Eight = mat2x4<f32>;

// A pixel of a frame, the nearest one beyond the border.
fn pixel(frame: i32, at: vec2<i32>) -> f32 {
    let inside = clamp(at, vec2<i32>(), p.size.xy - 1);
    return luma[(frame * p.size.y + inside.y) * p.size.x + inside.x];
}

fn splat(value: f32) -> Eight {
    return Eight(vec4<f32>(value), vec4<f32>(value));
}

// sum + a * b
fn add_product(sum: Eight, a: Eight, b: Eight) -> Eight {
    return Eight(fma(a[0], b[0], sum[0]), fma(a[1], b[1], sum[1]));
}

fn total(values: Eight) -> f32 {
    let pairs = values[0] + values[1];
    return (pairs.x + pairs.y) + (pairs.z + pairs.w);
}

// Eight pixels of a row of a frame.
fn pixels(frame: i32, at: vec2<i32>) -> Eight {
    let row = (frame * p.size.y + clamp(at.y, 0, p.size.y - 1)) * p.size.x;
    let last = vec4<i32>(p.size.x - 1);
    let a = row + clamp(at.x + vec4<i32>(0, 1, 2, 3), vec4<i32>(), last);
    let b = row + clamp(at.x + vec4<i32>(4, 5, 6, 7), vec4<i32>(), last);
    return Eight(
        vec4<f32>(luma[a.x], luma[a.y], luma[a.z], luma[a.w]),
        vec4<f32>(luma[b.x], luma[b.y], luma[b.z], luma[b.w]),
    );
}

// Upper left corner of a patch.
fn corner(patch_at: vec2<i32>) -> vec2<i32> {
    return patch_at * STRIDE - STRIDE / 2;
}

// Where the corner of a displaced patch lies: the pixel above and left of it, and how far it is below and to the right of that.
struct Position {
    first: vec2<i32>,
    fraction: vec2<f32>,
}

// A position limited to where anything but the border's pixels is seen; a position that is no number is the lowest.
fn limited(at: f32, size: i32) -> f32 {
    let low = f32(1 - BORDER);
    return select(low, min(at, f32(size)), at > low);
}

fn displaced(patch_at: vec2<i32>, velocity: vec2<f32>) -> Position {
    let at = vec2<f32>(corner(patch_at)) + velocity;
    let inside = vec2<f32>(limited(at.x, p.size.x), limited(at.y, p.size.y)) + f32(BORDER);
    let whole = floor(inside);
    return Position(vec2<i32>(whole) - BORDER, inside - whole);
}

// Eight samples between the columns of a row of a frame.
fn between_columns(frame: i32, at: vec2<i32>, right: f32) -> Eight {
    let left = pixels(frame, at);
    let next = Eight(vec4<f32>(left[0].yzw, left[1].x), vec4<f32>(left[1].yzw, pixel(frame, at + vec2<i32>(8, 0))));
    return add_product(left, next - left, splat(right));
}

// A row's differences between a displaced patch and the patch: `upper` and `lower` are samples of this row and the next.
fn differences(upper: Eight, lower: Eight, below: f32, here: Eight) -> Eight {
    return add_product(upper, lower - upper, splat(below)) - here;
}

// The cost of a patch by the sums of its differences and of their squares: their variance times the number of pixels.
fn cost_of(sums: Eight, squares: Eight) -> f32 {
    let sum = total(sums);
    return total(squares) - sum * sum * PIXEL_WEIGHT;
}

// The cost of a displaced patch.
fn cost(direction: i32, patch_at: vec2<i32>, velocity: vec2<f32>) -> f32 {
    let to = displaced(patch_at, velocity);
    var sums = Eight();
    var squares = Eight();
    var upper = between_columns(1 - direction, to.first, to.fraction.x);
    for (var row = 0; row < SIDE; row++) {
        let lower = between_columns(1 - direction, to.first + vec2<i32>(0, row + 1), to.fraction.x);
        let here = pixels(direction, corner(patch_at) + vec2<i32>(0, row));
        let difference = differences(upper, lower, to.fraction.y, here);
        sums += difference;
        squares = add_product(squares, difference, difference);
        upper = lower;
    }
    return cost_of(sums, squares);
}
