// Densification, then a 3x3 median filter of either component of both directions. A pixel's dense velocity is the mean over the
// patches that cover it, weighted by the inverse of the absolute difference that each velocity leaves there. A workgroup computes
// the dense velocities of its pixels and one pixel around them. Direction 0 is in x and y, direction 1 in z and w.

// Velocity and cost of the patches of direction 0, then of direction 1.
@group(0) @binding(3) var<storage, read> patches: array<vec4<f32>>;

const COLUMNS = 16;
const ROWS = 8;
// With one pixel around it.
const WIDE = COLUMNS + 2;
const CELLS = WIDE * (ROWS + 2);

var<workgroup> dense: array<vec4<f32>, CELLS>;

// The sample that a displaced patch has at a pixel of its own, counted from its corner.
fn sampled(frame: i32, to: Position, inner: vec2<i32>) -> f32 {
    let at = to.first + inner;
    let a = pixel(frame, at);
    let b = pixel(frame, at + vec2<i32>(1, 0));
    let c = pixel(frame, at + vec2<i32>(0, 1));
    let d = pixel(frame, at + vec2<i32>(1, 1));
    let upper = fma(b - a, to.fraction.x, a);
    let lower = fma(d - c, to.fraction.x, c);
    return fma(lower - upper, to.fraction.y, upper);
}

fn velocity(direction: i32, at: vec2<i32>) -> vec2<f32> {
    let count = p.size.xy / STRIDE;
    let here = pixel(direction, at);
    var weights = 0.0;
    var sum = vec2<f32>();
    for (var i = 0; i < 4; i++) {
        let inside = at + vec2<i32>(i % 2, i / 2) * STRIDE - STRIDE / 2;
        if (any(inside < vec2<i32>()) || any(inside >= p.size.xy)) {
            continue;
        }
        let patch_at = inside / STRIDE;
        let candidate = patches[(direction * count.y + patch_at.y) * count.x + patch_at.x].xy;
        let there = sampled(1 - direction, displaced(patch_at, candidate), at - corner(patch_at));
        let difference = abs(there - here);
        // A difference that is no number counts as the smallest.
        let weight = 1.0 / select(p.options.y, min(difference, 1.0), difference > p.options.y);
        weights += weight;
        sum = fma(vec2<f32>(weight), candidate, sum);
    }
    return sum * (1.0 / weights);
}

fn median(a: vec4<f32>, b: vec4<f32>, c: vec4<f32>) -> vec4<f32> {
    return max(min(a, b), min(max(a, b), c));
}

@compute @workgroup_size(16, 8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let corner = vec2<i32>(i32(group.x) * COLUMNS, i32(group.y) * ROWS);
    for (var i = i32(index); i < CELLS; i += COLUMNS * ROWS) {
        // Beyond the border, velocities are replicated.
        let cell = corner + vec2<i32>(i % WIDE, i / WIDE) - 1;
        let at = clamp(cell, vec2<i32>(), p.size.xy - 1);
        dense[i] = vec4<f32>(velocity(0, at), velocity(1, at));
    }
    workgroupBarrier();
    let at = corner + vec2<i32>(local.xy);
    if (any(at >= p.size.xy)) {
        return;
    }
    // With each column sorted, the median is that of the largest minimum, the median of the middle values and the smallest
    // maximum.
    let first = i32(local.y) * WIDE + i32(local.x);
    var low: array<vec4<f32>, 3>;
    var middle: array<vec4<f32>, 3>;
    var high: array<vec4<f32>, 3>;
    for (var i = 0; i < 3; i++) {
        let a = dense[first + i];
        let b = dense[first + i + WIDE];
        let c = dense[first + i + 2 * WIDE];
        low[i] = min(min(a, b), c);
        middle[i] = median(a, b, c);
        high[i] = max(max(a, b), c);
    }
    let largest_low = max(max(low[0], low[1]), low[2]);
    let middle_of_middles = median(middle[0], middle[1], middle[2]);
    let smallest_high = min(min(high[0], high[1]), high[2]);
    result[at.y * p.size.x + at.x] = median(largest_low, middle_of_middles, smallest_high);
}
