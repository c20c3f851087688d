// Cosines of a run of custom rows with a run of reference columns: X Y', both of unit rows.
//
// Include: transport.wgsl
// Bindings (group 0)
//   0  uniform  Problem
//   1  uniform  Product      dynamic offset
//   2  storage  vec4<f32>    read, X: rows of the chunk, quads vec4 each
//   3  storage  vec4<f32>    read, Y: columns of the tile, quads vec4 each
//   4  storage  u32          write, cosines of the chunk, row-major, a word a cosine or two (PACKED)
// Shapes: workgroup 256 threads, tile 128 rows x 64 columns, 8 x 4 cosines a thread; grid (column tiles, row tiles).
// PACKED: a group of 32 columns is 16 words; word k has column k in its low and column 16 + k in its high half, each
// (cosine + 1)/2 in 65,535 steps. Otherwise word k is the float32 of column k.
// Limits: 15 KiB of workgroup memory; rows and columns past the end read the last one and write nothing.

override PACKED: bool = false;

struct Product {
    // First row in X and how many.
    x_first: u32,
    rows: u32,
    // First column in Y's tile, how many (a multiple of 32), and the place of that first column among all.
    y_first: u32,
    columns: u32,
    column: u32,
    // Row of the output that the first row goes to.
    out_first: u32,
    padding: vec2<u32>,
}

@group(0) @binding(0) var<uniform> problem: Problem;
@group(0) @binding(1) var<uniform> product: Product;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> y: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> cosines: array<u32>;

const HEIGHT: u32 = 128u;
const WIDTH: u32 = 64u;
// Four vec4 of each row, and one more that keeps neighbours out of each other's banks.
const STRIDE: u32 = 5u;

var<workgroup> xs: array<vec4<f32>, 640>;
var<workgroup> ys: array<vec4<f32>, 320>;

fn store(row: u32, tile: u32, lane: u32, value: vec4<f32>) {
    if row >= product.rows {
        return;
    }
    let out_row = product.out_first + row;
    // Columns lane, 16 + lane, 32 + lane, 48 + lane of the tile: two groups of 32.
    for (var half = 0u; half < 2u; half++) {
        let local = tile * WIDTH + half * 32u;
        if local >= product.columns {
            return;
        }
        let pair = select(value.xy, value.zw, half == 1u);
        let place = out_row * problem.columns + product.column + local;
        if PACKED {
            cosines[place / 2u + lane] = pack2x16unorm(pair * 0.5 + 0.5);
        } else {
            cosines[place + lane] = bitcast<u32>(pair.x);
            cosines[place + 16u + lane] = bitcast<u32>(pair.y);
        }
    }
}

@compute @workgroup_size(256)
fn multiply(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let tx = thread % 16u;
    let ty = thread / 16u;
    let part = thread % 4u;
    let line = thread / 4u;
    let last_row = product.rows - 1u;
    let last_column = product.columns - 1u;
    let row_a = (product.x_first + min(group.y * HEIGHT + line, last_row)) * problem.quads + part;
    let row_b = (product.x_first + min(group.y * HEIGHT + line + 64u, last_row)) * problem.quads + part;
    let column = (product.y_first + min(group.x * WIDTH + line, last_column)) * problem.quads + part;
    var a0 = vec4<f32>();
    var a1 = vec4<f32>();
    var a2 = vec4<f32>();
    var a3 = vec4<f32>();
    var a4 = vec4<f32>();
    var a5 = vec4<f32>();
    var a6 = vec4<f32>();
    var a7 = vec4<f32>();
    for (var k = 0u; k < problem.quads; k += 4u) {
        workgroupBarrier();
        xs[line * STRIDE + part] = x[row_a + k];
        xs[(line + 64u) * STRIDE + part] = x[row_b + k];
        ys[line * STRIDE + part] = y[column + k];
        workgroupBarrier();
        for (var q = 0u; q < 4u; q++) {
            let y0 = ys[tx * STRIDE + q];
            let y1 = ys[(tx + 16u) * STRIDE + q];
            let y2 = ys[(tx + 32u) * STRIDE + q];
            let y3 = ys[(tx + 48u) * STRIDE + q];
            var v = xs[ty * STRIDE + q];
            a0 += vec4<f32>(dot(v, y0), dot(v, y1), dot(v, y2), dot(v, y3));
            v = xs[(ty + 16u) * STRIDE + q];
            a1 += vec4<f32>(dot(v, y0), dot(v, y1), dot(v, y2), dot(v, y3));
            v = xs[(ty + 32u) * STRIDE + q];
            a2 += vec4<f32>(dot(v, y0), dot(v, y1), dot(v, y2), dot(v, y3));
            v = xs[(ty + 48u) * STRIDE + q];
            a3 += vec4<f32>(dot(v, y0), dot(v, y1), dot(v, y2), dot(v, y3));
            v = xs[(ty + 64u) * STRIDE + q];
            a4 += vec4<f32>(dot(v, y0), dot(v, y1), dot(v, y2), dot(v, y3));
            v = xs[(ty + 80u) * STRIDE + q];
            a5 += vec4<f32>(dot(v, y0), dot(v, y1), dot(v, y2), dot(v, y3));
            v = xs[(ty + 96u) * STRIDE + q];
            a6 += vec4<f32>(dot(v, y0), dot(v, y1), dot(v, y2), dot(v, y3));
            v = xs[(ty + 112u) * STRIDE + q];
            a7 += vec4<f32>(dot(v, y0), dot(v, y1), dot(v, y2), dot(v, y3));
        }
    }
    let row = group.y * HEIGHT + ty;
    store(row, group.x, tx, a0);
    store(row + 16u, group.x, tx, a1);
    store(row + 32u, group.x, tx, a2);
    store(row + 48u, group.x, tx, a3);
    store(row + 64u, group.x, tx, a4);
    store(row + 80u, group.x, tx, a5);
    store(row + 96u, group.x, tx, a6);
    store(row + 112u, group.x, tx, a7);
}
