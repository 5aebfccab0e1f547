// Gauss-Newton steps of every patch from the coarser level's velocity, with zero_start also from zero: writes the velocity of
// the lowest cost and that cost.

// The coarser level's velocities: direction 0 in x and y, direction 1 in z and w.
@group(0) @binding(3) var<storage, read> coarser: array<vec4<f32>>;

// The mean over a cell of the coarser level's field, upsampled by 2, in this level's pixels.
fn initial(direction: i32, patch_at: vec2<i32>) -> vec2<f32> {
    if (p.size.z == 0) {
        return vec2<f32>();
    }
    var weights = array<f32, 4>(0.0625, 0.4375, 0.4375, 0.0625);
    var sum = vec4<f32>();
    for (var row = 0; row < 4; row++) {
        for (var column = 0; column < 4; column++) {
            let at = clamp(2 * patch_at + vec2<i32>(column, row) - 1, vec2<i32>(), p.size.zw - 1);
            sum += weights[row] * weights[column] * coarser[at.y * p.size.z + at.x];
        }
    }
    return 2.0 * select(sum.xy, sum.zw, direction == 1);
}

fn bounded(step: f32) -> f32 {
    let largest = p.options.z;
    return select(-largest, min(step, largest), step > -largest);
}

// The Gauss-Newton steps of a patch from a velocity; returns the visited velocity of the lowest cost and that cost. `mean` is
// the mean gradient, `inverse` has the elements xx, yy and xy of the Hessian divided by its determinant.
fn descended(direction: i32, patch_at: vec2<i32>, mean: vec2<f32>, inverse: vec3<f32>, start: vec2<f32>) -> vec3<f32> {
    let origin = patch_at * STRIDE - STRIDE / 2;
    var velocity = start;
    var best = vec3<f32>(velocity, LARGEST);
    for (var step = 0; step < p.steps.x; step++) {
        let to = displaced(patch_at, velocity);
        let first = vec2<i32>(floor(to));
        let fraction = to - floor(to);
        var sum = 0.0;
        var squares = 0.0;
        var by = vec2<f32>();
        for (var row = 0; row < SIDE; row++) {
            var left = between_rows(1 - direction, first + vec2<i32>(0, row), fraction.y);
            for (var column = 0; column < SIDE; column++) {
                let here = vec2<i32>(column, row);
                let right = between_rows(1 - direction, first + here + vec2<i32>(1, 0), fraction.y);
                let difference = mix(left, right, fraction.x) - pixel(direction, origin + here);
                sum += difference;
                squares += difference * difference;
                by += difference * (gradient(direction, origin + here) - mean);
                left = right;
            }
        }
        let found = squares - sum * sum / PIXELS;
        if (found < best.z) {
            best = vec3<f32>(velocity, found);
        }
        velocity += vec2<f32>(
            bounded(inverse.z * by.y - inverse.y * by.x),
            bounded(inverse.z * by.x - inverse.x * by.y),
        );
    }
    let last = cost(direction, patch_at, velocity);
    if (last < best.z) {
        best = vec3<f32>(velocity, last);
    }
    return best;
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let patch_at = vec2<i32>(id.xy);
    let direction = i32(id.z);
    let patches = p.size.xy / STRIDE;
    if (any(patch_at >= patches)) {
        return;
    }
    let origin = patch_at * STRIDE - STRIDE / 2;
    var mean = vec2<f32>();
    for (var i = 0; i < SIDE * SIDE; i++) {
        mean += gradient(direction, origin + vec2<i32>(i % SIDE, i / SIDE)) / PIXELS;
    }
    // Elements xx, yy and xy of the Hessian.
    var hessian = vec3<f32>(p.options.x, p.options.x, 0.0) * PIXELS;
    for (var i = 0; i < SIDE * SIDE; i++) {
        let slope = gradient(direction, origin + vec2<i32>(i % SIDE, i / SIDE)) - mean;
        hessian += slope.xyx * slope.xyy;
    }
    let inverse = hessian / (hessian.x * hessian.y - hessian.z * hessian.z);

    var best = descended(direction, patch_at, mean, inverse, initial(direction, patch_at));
    if (p.options.w > 0.0) {
        let other = descended(direction, patch_at, mean, inverse, vec2<f32>());
        if (other.z < p.options.w * best.z) {
            best = other;
        }
    }
    result[(direction * patches.y + patch_at.y) * patches.x + patch_at.x] = vec4<f32>(best, 0.0);
}
