// One propagation round: every patch keeps its velocity, or takes that of the patch above, below, left or right of it where its
// cost is lower.

// Velocity and cost of the patches of direction 0, then of direction 1.
@group(0) @binding(3) var<storage, read> before: array<vec4<f32>>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let patch_at = vec2<i32>(id.xy);
    let direction = i32(id.z);
    let patches = p.size.xy / STRIDE;
    if (any(patch_at >= patches)) {
        return;
    }
    var steps = array<vec2<i32>, 4>(vec2<i32>(0, -1), vec2<i32>(0, 1), vec2<i32>(-1, 0), vec2<i32>(1, 0));
    var best = before[(direction * patches.y + patch_at.y) * patches.x + patch_at.x];
    for (var i = 0; i < 4; i++) {
        let at = clamp(patch_at + steps[i], vec2<i32>(), patches - 1);
        let candidate = before[(direction * patches.y + at.y) * patches.x + at.x].xy;
        let found = cost(direction, patch_at, candidate);
        if (found < best.z) {
            best = vec4<f32>(candidate, found, 0.0);
        }
    }
    result[(direction * patches.y + patch_at.y) * patches.x + patch_at.x] = best;
}
