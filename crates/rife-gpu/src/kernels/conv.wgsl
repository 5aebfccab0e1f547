// A convolution as an implicit matrix product: a workgroup computes TILE_WIDTH x TILE_HEIGHT positions of QUADS quads (four
// output channels each). CHUNK quads of input channels at a time, the input's patch and the weights lie in workgroup memory.
//
// What precedes this text: the type Feature, four stored channels of the output or weights (sums are f32); the constants VALUES
// (quads of the input's own parameters), KERNEL (taps along an axis), STRIDE, CHUNK, CHUNKS (of a group's input), QUADS, TRANSPOSED,
// RESIDUAL; and the function read_input, which returns a quad of the input at a pixel within it, from one or more buffers with bindings from 4 on.
// A transposed convolution is four convolutions (phases) of 2x2 taps, one for each parity of the output's row and column.

struct Parameters {
    // Input: columns, rows, quads of all groups.
    input: vec4<u32>,
    // Positions along x and y (the output's size; the input's size where TRANSPOSED), quads of all groups of the output.
    output: vec4<u32>,
    // Quads of input and output of one group, blocks of QUADS output quads of one group, groups.
    groups: vec4<u32>,
    // Parameters of read_input.
    values: array<vec4<i32>, VALUES>,
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> result: array<Feature>;
// By phase, group, block, chunk, tap, input channel of the chunk, output quad of the block.
@group(0) @binding(2) var<storage, read> weights: array<Feature>;
// Bias, slope below zero and residual factor of every output quad, groups padded to whole blocks.
@group(0) @binding(3) var<storage, read> epilogue: array<vec4<f32>>;

const TILE_WIDTH = 16u;
const TILE_HEIGHT = 8u;
// Neighbouring positions of a thread.
const STRIP = 4u;
const THREADS = TILE_WIDTH * TILE_HEIGHT / STRIP * QUADS;
const PATCH_WIDTH = (TILE_WIDTH - 1u) * STRIDE + KERNEL;
const PATCH_HEIGHT = (TILE_HEIGHT - 1u) * STRIDE + KERNEL;
const PATCH = PATCH_WIDTH * PATCH_HEIGHT * CHUNK;
const WEIGHTS = KERNEL * KERNEL * CHUNK * 4u * QUADS;

var<workgroup> patch_values: array<Feature, PATCH>;
var<workgroup> chunk_weights: array<Feature, WEIGHTS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let block = id.z % p.groups.z;
    let group = id.z / p.groups.z % p.groups.w;
    let phase = id.z / (p.groups.z * p.groups.w);
    let shift = vec2<i32>(i32(phase % 2u), i32(phase / 2u));
    let tile = vec2<u32>(id.x * TILE_WIDTH, id.y * TILE_HEIGHT);
    // The patch begins one pixel above and left of the first position, or at it in the odd phases.
    let corner = vec2<i32>(tile * STRIDE) - 1 + shift;

    let quad = local % QUADS;
    let column = local / QUADS % (TILE_WIDTH / STRIP) * STRIP;
    let row = local / QUADS / (TILE_WIDTH / STRIP);
    var sums: array<vec4<f32>, STRIP>;
    for (var i = 0u; i < STRIP; i++) {
        sums[i] = vec4<f32>();
    }
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
        workgroupBarrier();
        for (var i = local; i < PATCH; i += THREADS) {
            let k = chunk * CHUNK + i % CHUNK;
            let pixel = i / CHUNK;
            let at = corner + vec2<i32>(i32(pixel % PATCH_WIDTH), i32(pixel / PATCH_WIDTH));
            var value = Feature();
            if (all(at >= vec2<i32>()) && all(at < vec2<i32>(p.input.xy)) && k < p.groups.x) {
                value = Feature(read_input(at, group * p.groups.x + k));
            }
            patch_values[i] = value;
        }
        let first = (((phase * p.groups.w + group) * p.groups.z + block) * CHUNKS + chunk) * WEIGHTS;
        for (var i = local; i < WEIGHTS; i += THREADS) {
            chunk_weights[i] = weights[first + i];
        }
        workgroupBarrier();
        for (var tap = 0u; tap < KERNEL * KERNEL; tap++) {
            let first_value = (row * STRIDE + tap / KERNEL) * PATCH_WIDTH + column * STRIDE + tap % KERNEL;
            for (var k = 0u; k < CHUNK; k++) {
                let w = (tap * CHUNK + k) * 4u * QUADS + quad;
                let w0 = vec4<f32>(chunk_weights[w]);
                let w1 = vec4<f32>(chunk_weights[w + QUADS]);
                let w2 = vec4<f32>(chunk_weights[w + 2u * QUADS]);
                let w3 = vec4<f32>(chunk_weights[w + 3u * QUADS]);
                for (var i = 0u; i < STRIP; i++) {
                    let value = vec4<f32>(patch_values[(first_value + i * STRIDE) * CHUNK + k]);
                    sums[i] += value.x * w0 + value.y * w1 + value.z * w2 + value.w * w3;
                }
            }
        }
    }

    let of_group = block * QUADS + quad;
    if (of_group >= p.groups.y) {
        return;
    }
    let terms = ((group * p.groups.z + block) * QUADS + quad) * 3u;
    let bias = epilogue[terms];
    let slope = epilogue[terms + 1u];
    let factor = epilogue[terms + 2u];
    let to = group * p.groups.y + of_group;
    for (var i = 0u; i < STRIP; i++) {
        let at = tile + vec2<u32>(column + i, row);
        if (all(at < p.output.xy)) {
            var value = sums[i] + bias;
            if (RESIDUAL) {
                value = value * factor + read_input(vec2<i32>(at), to);
            }
            value = select(value * slope, value, value > vec4<f32>());
            var pixel = at.y * p.output.x + at.x;
            if (TRANSPOSED) {
                pixel = (2u * at.y + u32(shift.y)) * 2u * p.output.x + 2u * at.x + u32(shift.x);
            }
            result[pixel * p.output.z + to] = Feature(value);
        }
    }
}
