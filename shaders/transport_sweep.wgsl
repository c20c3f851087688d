// One Sinkhorn iteration over a run of rows, in one read of their cosines from memory: f of both references, the new
// weights by their rule, and the run's share of the column sums.
//
// Include: transport.wgsl transport_slice.wgsl
// Bindings (group 0)
//   0  uniform  Problem
//   1  uniform  Slice        dynamic offset
//   2  storage  vec4<u32>    read, cosines of the chunk as transport_cosine.wgsl writes them
//   3  storage  vec4<f32>    read, g of all padded columns, -1e20 as padding
//   4  storage  vec2<f32>    read and write, f of every row
//   5  storage  f32          read, ln w of every row
//   6  storage  f32          write, G of every row
//   7  storage  f32          write, ln of the unnormalised new w of every row
//   8  storage  vec4<f32>    write, a workgroup's column sums, then the exponents they are over, columns/4 vec4 each
//   9  storage  Control      read
// Shapes: workgroup 256 threads and 32 rows; 2-D grid past 65,535 workgroups.
// Exponents are taken at the potentials of the sweep before, so that sums are near 1. Where they are not (the first
// sweep, a jump of the potentials), the workgroup itself takes the sums again over their largest term.
// Limits: 9 KiB of workgroup memory. No float atomics: sums have one order.

const ROWS: u32 = 32u;
const LANES: u32 = 32u;
// Sums of a row outside of LEAST and this have lost entries.
const MOST: f32 = 1e30;

// Of both references, a row and a lane.
var<workgroup> lanes: array<vec2<f32>, 1024>;
// f that the exponents of a row are taken at; its new f; ln of its new weight; the weight.
var<workgroup> base: array<vec2<f32>, 32>;
var<workgroup> numerator: array<vec2<f32>, 32>;
var<workgroup> unsound: array<u32, 32>;
var<workgroup> again: u32;

// Sums (or with `extreme` the largest exponent at f = 0) of four rows of this lane, over one reference.
fn row_part(row: u32, first_local: u32, side: u32, lane: u32, extreme: bool) -> vec4<f32> {
    let start = select(0u, problem.split, side == 1u) / 8u;
    let end = select(problem.split, problem.columns, side == 1u) / 8u;
    let centre = problem.centre[side];
    let rate = problem.rate[side];
    var out = vec4<f32>(select(0.0, -3e38, extreme));
    for (var octet = start + lane; octet < end; octet += LANES) {
        let quad = quad_of(octet);
        let g0 = columns[quad];
        let g1 = columns[quad + 4u];
        for (var k = 0u; k < 4u; k++) {
            let c = load(min(row + k, slice.chunk_row + slice.rows - 1u), octet);
            if extreme {
                let x = max((c.low - centre) + g0, (c.high - centre) + g1);
                out[k] = max(out[k], greatest(x));
            } else {
                let f = base[first_local + k][side];
                let x0 = ((c.low - centre) + (g0 + f)) * rate;
                let x1 = ((c.high - centre) + (g1 + f)) * rate;
                out[k] += total(power2(x0) + power2(x1));
            }
        }
    }
    return out;
}

fn is_sound(sums: vec2<f32>) -> bool {
    return all(sums >= vec2<f32>(LEAST)) && all(sums <= vec2<f32>(MOST));
}

@compute @workgroup_size(256)
fn sweep(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group = id.x + id.y * grid.x;
    if control.halted != RUNNING || group >= slice.groups {
        return;
    }
    let first = group * ROWS;
    let count = min(ROWS, slice.rows - first);
    let lane = thread % LANES;
    let mine = (thread / LANES) * 4u;
    if thread < ROWS {
        base[thread] = potentials[slice.first + min(first + thread, slice.rows - 1u)];
    }
    workgroupBarrier();
    for (var attempt = 0u; attempt < 2u; attempt++) {
        let safe = row_part(slice.chunk_row + first + mine, mine, 0u, lane, false);
        let harmful = row_part(slice.chunk_row + first + mine, mine, 1u, lane, false);
        for (var k = 0u; k < 4u; k++) {
            lanes[(mine + k) * LANES + lane] = vec2<f32>(safe[k], harmful[k]);
        }
        if thread == 0u {
            again = 0u;
        }
        workgroupBarrier();
        for (var width = 16u; width > 0u; width /= 2u) {
            // Eight threads a row fold 32 lanes.
            for (var at = thread; at < ROWS * width; at += 256u) {
                let place = (at / width) * LANES + at % width;
                lanes[place] += lanes[place + width];
            }
            workgroupBarrier();
        }
        if thread < ROWS {
            unsound[thread] = select(1u, 0u, is_sound(lanes[thread * LANES]));
        }
        workgroupBarrier();
        if thread == 0u {
            var any = 0u;
            for (var k = 0u; k < ROWS; k++) {
                any |= unsound[k];
            }
            again = any;
        }
        let redo = workgroupUniformLoad(&again);
        if redo == 0u || attempt == 1u {
            break;
        }
        let far_safe = row_part(slice.chunk_row + first + mine, mine, 0u, lane, true);
        let far_harmful = row_part(slice.chunk_row + first + mine, mine, 1u, lane, true);
        for (var k = 0u; k < 4u; k++) {
            lanes[(mine + k) * LANES + lane] = vec2<f32>(far_safe[k], far_harmful[k]);
        }
        workgroupBarrier();
        for (var width = 16u; width > 0u; width /= 2u) {
            for (var at = thread; at < ROWS * width; at += 256u) {
                let place = (at / width) * LANES + at % width;
                lanes[place] = max(lanes[place], lanes[place + width]);
            }
            workgroupBarrier();
        }
        if thread < ROWS && unsound[thread] == 1u {
            base[thread] = -lanes[thread * LANES];
        }
        workgroupBarrier();
    }
    if thread < ROWS {
        let sums = lanes[thread * LANES] * problem.inverse;
        let f = base[thread] - problem.epsilon * vec2<f32>(natural_log(sums.x), natural_log(sums.y));
        base[thread] = f;
        numerator[thread] = vec2<f32>(-3e38, 0.0);
        if thread < count {
            let row = slice.first + first + thread;
            let score = (1.0 - problem.lambda) * f.x - problem.lambda * f.y;
            var raw = logs[row];
            if control.mode == SCALING {
                // The damped rule of the weights; the shift keeps numerators near 1.
                raw = (1.0 - control.alpha) * raw - control.alpha * (score / control.tau) - control.shift;
            }
            potentials[row] = f;
            scores[row] = score;
            raws[row] = raw;
            numerator[thread] = vec2<f32>(raw * LOG2E, exponential(raw));
        }
    }
    workgroupBarrier();
    let width = problem.columns / 4u;
    for (var octet = thread; octet < problem.columns / 8u; octet += 256u) {
        let quad = quad_of(octet);
        let side = select(0u, 1u, octet * 8u >= problem.split);
        let centre = problem.centre[side];
        let rate = problem.rate[side];
        let g0 = columns[quad];
        let g1 = columns[quad + 4u];
        var sum0 = vec4<f32>();
        var sum1 = vec4<f32>();
        for (var r = 0u; r < count; r++) {
            let c = load(slice.chunk_row + first + r, octet);
            let f = base[r][side];
            let w = numerator[r].y;
            sum0 += w * power2(((c.low - centre) + (g0 + f)) * rate);
            sum1 += w * power2(((c.high - centre) + (g1 + f)) * rate);
        }
        var over0 = vec4<f32>();
        var over1 = vec4<f32>();
        let lost0 = (sum0 < vec4<f32>(LEAST)) & (g0 > vec4<f32>(UNREACHABLE));
        let lost1 = (sum1 < vec4<f32>(LEAST)) & (g1 > vec4<f32>(UNREACHABLE));
        if any(lost0 | lost1) {
            over0 = vec4<f32>(-3e38);
            over1 = vec4<f32>(-3e38);
            for (var r = 0u; r < count; r++) {
                let c = load(slice.chunk_row + first + r, octet);
                let f = base[r][side];
                over0 = max(over0, ((c.low - centre) + (g0 + f)) * rate + numerator[r].x);
                over1 = max(over1, ((c.high - centre) + (g1 + f)) * rate + numerator[r].x);
            }
            sum0 = vec4<f32>();
            sum1 = vec4<f32>();
            for (var r = 0u; r < count; r++) {
                let c = load(slice.chunk_row + first + r, octet);
                let f = base[r][side];
                sum0 += power2(((c.low - centre) + (g0 + f)) * rate + numerator[r].x - over0);
                sum1 += power2(((c.high - centre) + (g1 + f)) * rate + numerator[r].x - over1);
            }
        }
        let out = group * 2u * width;
        partials[out + quad] = sum0;
        partials[out + quad + 4u] = sum1;
        partials[out + width + quad] = over0;
        partials[out + width + quad + 4u] = over1;
    }
}
