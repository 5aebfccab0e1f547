// Densification: a pixel's velocity is the mean over the patches that cover it, weighted by the inverse of the absolute
// difference that each velocity leaves there. Writes direction 0 to x and y, direction 1 to z and w.

// Velocity and cost of the patches of direction 0, then of direction 1.
@group(0) @binding(3) var<storage, read> patches: array<vec4<f32>>;

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

@compute @workgroup_size(16, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let at = vec2<i32>(id.xy);
    if (any(at >= p.size.xy)) {
        return;
    }
    result[at.y * p.size.x + at.x] = vec4<f32>(velocity(0, at), velocity(1, at));
}
