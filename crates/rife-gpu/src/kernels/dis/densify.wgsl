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

fn sampled(frame: i32, at: vec2<f32>) -> f32 {
    let inside = vec2<f32>(limited(at.x, p.size.x), limited(at.y, p.size.y));
    let first = vec2<i32>(floor(inside));
    let fraction = inside - floor(inside);
    let left = between_rows(frame, first, fraction.y);
    return mix(left, between_rows(frame, first + vec2<i32>(1, 0), fraction.y), fraction.x);
}

fn velocity(direction: i32, at: vec2<i32>) -> vec2<f32> {
    let count = p.size.xy / STRIDE;
    let here = pixel(direction, at);
    var sum = vec3<f32>();
    for (var i = 0; i < 4; i++) {
        let offset = vec2<i32>(i % 2, i / 2) * STRIDE - STRIDE / 2;
        let cell = clamp(at + offset, vec2<i32>(), p.size.xy - 1) / STRIDE;
        let candidate = patches[(direction * count.y + cell.y) * count.x + cell.x].xy;
        let difference = abs(sampled(1 - direction, vec2<f32>(at) + candidate) - here);
        // A difference that is no number counts as the largest.
        let residual = select(1.0, max(difference, p.options.y), difference < 1.0);
        sum += vec3<f32>(candidate, 1.0) / residual;
    }
    return sum.xy / sum.z;
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
