// Gauss-Newton steps of every patch from the coarser level's velocity, with zero_start also from zero: writes the velocity of
// the lowest cost and that cost.
//
// The constants STEPS (Gauss-Newton steps), HAS_COARSER (whether there is a coarser level) and HAS_ZERO_START precede this text.

// The coarser level's velocities: direction 0 in x and y, direction 1 in z and w.
@group(0) @binding(3) var<storage, read> coarser: array<vec4<f32>>;

// The value itself: between two sums, it keeps compilers from computing both in another order.
fn rounded(value: vec4<f32>) -> vec4<f32> {
    return max(value, vec4<f32>(-LARGEST));
}

// The mean over a cell of the coarser level's field, upsampled by 2, in this level's pixels.
fn initial(direction: i32, patch_at: vec2<i32>) -> vec2<f32> {
    if (!HAS_COARSER) {
        return vec2<f32>();
    }
    var sum = vec4<f32>();
    for (var row = 0; row < 4; row++) {
        let near = 2 * patch_at.y + row / 2;
        let rows = clamp(vec2<i32>(near, near + 2 * (row % 2) - 1), vec2<i32>(), vec2<i32>(p.size.w - 1)) * p.size.z;
        // Between the rows, twice the velocity: so many pixels of this level.
        var between: array<vec4<f32>, 4>;
        for (var column = 0; column < 4; column++) {
            let at = clamp(2 * patch_at.x + column - 1, 0, p.size.z - 1);
            between[column] = rounded(1.5 * coarser[rows.x + at] + 0.5 * coarser[rows.y + at]);
        }
        let left = 0.75 * between[1];
        let right = 0.75 * between[2];
        sum += (rounded(left + 0.25 * between[0]) + rounded(left + 0.25 * between[2]))
            + (rounded(right + 0.25 * between[1]) + rounded(right + 0.25 * between[3]));
    }
    return 0.0625 * select(sum.xy, sum.zw, direction == 1);
}

fn bounded(step: f32) -> f32 {
    let largest = p.options.z;
    return select(-largest, min(step, largest), step > -largest);
}

// Gradients of eight pixels of a row of a frame, by central differences: along x, and along y.
fn gradients(frame: i32, at: vec2<i32>) -> array<Eight, 2> {
    let right = pixels(frame, at + vec2<i32>(1, 0)) - pixels(frame, at - vec2<i32>(1, 0));
    let down = pixels(frame, at + vec2<i32>(0, 1)) - pixels(frame, at - vec2<i32>(0, 1));
    return array<Eight, 2>(0.5 * right, 0.5 * down);
}

// The Gauss-Newton steps of a patch from a velocity; returns the visited velocity of the lowest cost and that cost. `mean` is
// the mean gradient, `inverse` has the elements xx, yy and xy of the Hessian divided by its determinant.
fn descended(direction: i32, patch_at: vec2<i32>, mean: vec2<f32>, inverse: vec3<f32>, start: vec2<f32>) -> vec3<f32> {
    var velocity = start;
    var best = vec3<f32>(velocity, LARGEST);
    for (var step = 0; step < STEPS; step++) {
        let to = displaced(patch_at, velocity);
        var sums = Eight();
        var squares = Eight();
        var along_x = Eight();
        var along_y = Eight();
        var upper = between_columns(1 - direction, to.first, to.fraction.x);
        for (var row = 0; row < SIDE; row++) {
            let lower = between_columns(1 - direction, to.first + vec2<i32>(0, row + 1), to.fraction.x);
            let at = corner(patch_at) + vec2<i32>(0, row);
            let difference = differences(upper, lower, to.fraction.y, pixels(direction, at));
            let slopes = gradients(direction, at);
            sums += difference;
            squares = add_product(squares, difference, difference);
            along_x = add_product(along_x, difference, slopes[0] - splat(mean.x));
            along_y = add_product(along_y, difference, slopes[1] - splat(mean.y));
            upper = lower;
        }
        let found = cost_of(sums, squares);
        if (found < best.z) {
            best = vec3<f32>(velocity, found);
        }
        let by = vec2<f32>(total(along_x), total(along_y));
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
    var sum_x = Eight();
    var sum_y = Eight();
    for (var row = 0; row < SIDE; row++) {
        let slopes = gradients(direction, corner(patch_at) + vec2<i32>(0, row));
        sum_x += slopes[0];
        sum_y += slopes[1];
    }
    let mean = vec2<f32>(total(sum_x), total(sum_y)) * PIXEL_WEIGHT;
    var xx = Eight();
    var yy = Eight();
    var xy = Eight();
    for (var row = 0; row < SIDE; row++) {
        let slopes = gradients(direction, corner(patch_at) + vec2<i32>(0, row));
        let x = slopes[0] - splat(mean.x);
        let y = slopes[1] - splat(mean.y);
        xx = add_product(xx, x, x);
        yy = add_product(yy, y, y);
        xy = add_product(xy, x, y);
    }
    let damping = p.options.x / PIXEL_WEIGHT;
    let hessian = vec3<f32>(total(xx) + damping, total(yy) + damping, total(xy));
    let inverse = hessian * (1.0 / (hessian.x * hessian.y - hessian.z * hessian.z));

    var best = descended(direction, patch_at, mean, inverse, initial(direction, patch_at));
    if (HAS_ZERO_START) {
        let other = descended(direction, patch_at, mean, inverse, vec2<f32>());
        if (other.z < p.options.w * best.z) {
            best = other;
        }
    }
    result[(direction * patches.y + patch_at.y) * patches.x + patch_at.x] = vec4<f32>(best, 0.0);
}
