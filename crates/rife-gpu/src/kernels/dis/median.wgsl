// 3x3 median filter of either component of both directions. With each column sorted, the median is that of the largest minimum,
// the median of the middle values and the smallest maximum.

// Velocities: direction 0 in x and y, direction 1 in z and w.
@group(0) @binding(3) var<storage, read> field: array<vec4<f32>>;

fn at_border(at: vec2<i32>) -> vec4<f32> {
    let inside = clamp(at, vec2<i32>(), p.size.xy - 1);
    return field[inside.y * p.size.x + inside.x];
}

fn median(a: vec4<f32>, b: vec4<f32>, c: vec4<f32>) -> vec4<f32> {
    return max(min(a, b), min(max(a, b), c));
}

@compute @workgroup_size(16, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let at = vec2<i32>(id.xy);
    if (any(at >= p.size.xy)) {
        return;
    }
    var low: array<vec4<f32>, 3>;
    var middle: array<vec4<f32>, 3>;
    var high: array<vec4<f32>, 3>;
    for (var i = 0; i < 3; i++) {
        let a = at_border(at + vec2<i32>(i - 1, -1));
        let b = at_border(at + vec2<i32>(i - 1, 0));
        let c = at_border(at + vec2<i32>(i - 1, 1));
        low[i] = min(min(a, b), c);
        middle[i] = median(a, b, c);
        high[i] = max(max(a, b), c);
    }
    let largest_low = max(max(low[0], low[1]), low[2]);
    let middle_of_middles = median(middle[0], middle[1], middle[2]);
    let smallest_high = min(min(high[0], high[1]), high[2]);
    result[at.y * p.size.x + at.x] = median(largest_low, middle_of_middles, smallest_high);
}
