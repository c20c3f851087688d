// One Sinkhorn iteration over a run of rows as transport_sweep.wgsl makes it, for at most 4,096 columns: every cosine is
// read once and every exponential taken once, four rows at a time, and both stay in registers until the rows' new f is
// known.
//
// Include: transport.wgsl
// Bindings (group 0): those of transport_sweep.wgsl
// Shapes: workgroup 256 threads and 64 rows; two octets of columns a thread; 2-D grid past 65,535 workgroups.
// A row's entries at its new f are those at the old one over the row's sum. Where that sum is far from 1 (the first
// sweep, a jump of the potentials), the exponentials of the four rows are taken again over their largest term.
// Limits: 11 KiB of workgroup memory. No float atomics: sums have one order.

override PACKED: bool = false;

struct Slice {
    // First row among all, how many, and its place in the chunk.
    first: u32,
    rows: u32,
    chunk_row: u32,
    // 1 for the first slice of a sweep.
    fresh: u32,
    // Workgroup of the whole sweep that the first one here is.
    group: u32,
    groups: u32,
    padding: vec2<u32>,
}

@group(0) @binding(0) var<uniform> problem: Problem;
@group(0) @binding(1) var<uniform> slice: Slice;
@group(0) @binding(2) var<storage, read> cosines: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> columns: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> potentials: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read> logs: array<f32>;
@group(0) @binding(6) var<storage, read_write> scores: array<f32>;
@group(0) @binding(7) var<storage, read_write> raws: array<f32>;
@group(0) @binding(8) var<storage, read_write> partials: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read> control: Control;

const ROWS: u32 = 64u;
const THREADS: u32 = 256u;
// Sums of a row outside of this are taken again: entries that were lost could matter to a column.
const NEAREST: f32 = 1e-6;
const FARTHEST: f32 = 1e6;
// Sums of a column below this have lost entries.
const LEAST: f32 = 1e-30;
const UNREACHABLE: f32 = -1e19;

// f that the exponents of a row are taken at, then its new f.
var<workgroup> base: array<vec2<f32>, 64>;
// log2 of the unnormalised new weight of a row.
var<workgroup> numerator: array<f32, 64>;
// Of four rows and both references: the weight over the row's sum.
var<workgroup> factor: array<vec2<f32>, 4>;
// Eight values (a row and a reference each) of 256 threads, then of 32 lanes, then of 8.
var<workgroup> parts: array<f32, 2048>;
var<workgroup> lanes: array<f32, 256>;
var<workgroup> ends: array<f32, 64>;
var<workgroup> again: u32;

// Eight columns: 4a.. and 4a+16.. of a group of 32.
struct Octet {
    low: vec4<f32>,
    high: vec4<f32>,
}

// An octet of columns, as a thread sees it.
struct Place {
    octet: u32,
    side: u32,
    centre: f32,
    rate: f32,
    g: Octet,
}

// First quad of an octet; the second is 4 further.
fn quad_of(octet: u32) -> u32 {
    return (octet / 4u) * 8u + octet % 4u;
}

fn place_of(octet: u32) -> Place {
    let last = problem.columns / 8u - 1u;
    let here = min(octet, last);
    let side = select(0u, 1u, here * 8u >= problem.split);
    let quad = quad_of(here);
    var g = Octet(columns[quad], columns[quad + 4u]);
    if octet > last {
        g = Octet(vec4<f32>(-1e20), vec4<f32>(-1e20));
    }
    return Place(here, side, problem.centre[side], problem.rate[side], g);
}

fn load(row: u32, octet: u32) -> Octet {
    if PACKED {
        let words = cosines[row * (problem.columns / 8u) + octet];
        let unit = 2.0 / 65535.0;
        return Octet(
            fma(vec4<f32>(words & vec4<u32>(0xffffu)), vec4<f32>(unit), vec4<f32>(-1.0)),
            fma(vec4<f32>(words >> vec4<u32>(16u)), vec4<f32>(unit), vec4<f32>(-1.0)),
        );
    }
    let quad = row * (problem.columns / 4u) + quad_of(octet);
    return Octet(bitcast<vec4<f32>>(cosines[quad]), bitcast<vec4<f32>>(cosines[quad + 4u]));
}

fn exponents(row: u32, at: Place, f: vec2<f32>) -> Octet {
    let c = load(row, at.octet);
    let here = f[at.side];
    return Octet(((c.low - at.centre) + (at.g.low + here)) * at.rate, ((c.high - at.centre) + (at.g.high + here)) * at.rate);
}

fn entries(row: u32, at: Place, f: vec2<f32>) -> Octet {
    let x = exponents(row, at, f);
    return Octet(power2(x.low), power2(x.high));
}

fn sum(v: Octet) -> f32 {
    let both = v.low + v.high;
    return (both.x + both.y) + (both.z + both.w);
}

fn largest(row: u32, at: Place) -> f32 {
    let c = load(row, at.octet);
    let v = max((c.low - at.centre) + at.g.low, (c.high - at.centre) + at.g.high);
    return max(max(v.x, v.y), max(v.z, v.w));
}

// A value of a thread at a row and a side.
fn put(thread: u32, row: u32, first: Place, a: f32, second: Place, b: f32, neutral: f32, extreme: bool) {
    let both = select(a + b, max(a, b), extreme);
    let same = first.side == second.side;
    parts[(2u * row + first.side) * THREADS + thread] = select(a, both, same);
    parts[(2u * row + 1u - first.side) * THREADS + thread] = select(b, neutral, same);
}

// Folds the parts of 256 threads into `ends`, eight for each of the eight values.
fn fold(thread: u32, extreme: bool) {
    workgroupBarrier();
    let value = thread / 32u;
    var at = value * THREADS + thread % 32u;
    var held = parts[at];
    for (var k = 1u; k < 8u; k++) {
        at += 32u;
        held = select(held + parts[at], max(held, parts[at]), extreme);
    }
    lanes[thread] = held;
    workgroupBarrier();
    if thread < 64u {
        let start = (thread / 8u) * 32u + thread % 8u;
        var folded = lanes[start];
        for (var k = 1u; k < 4u; k++) {
            let next = lanes[start + 8u * k];
            folded = select(folded + next, max(folded, next), extreme);
        }
        ends[thread] = folded;
    }
    workgroupBarrier();
}

// The whole of a value: 2 row + side.
fn whole(value: u32, extreme: bool) -> f32 {
    var held = ends[8u * value];
    for (var k = 1u; k < 8u; k++) {
        let next = ends[8u * value + k];
        held = select(held + next, max(held, next), extreme);
    }
    return held;
}

fn added(sum: Octet, entry: Octet, weight: f32) -> Octet {
    return Octet(fma(entry.low, vec4<f32>(weight), sum.low), fma(entry.high, vec4<f32>(weight), sum.high));
}

// Column sums and the exponents they are over, written for one octet of a workgroup.
fn finish(group: u32, octet: u32, at: Place, plain: Octet, row: u32, count: u32) {
    if octet != at.octet {
        return;
    }
    var sums = plain;
    var over = Octet(vec4<f32>(), vec4<f32>());
    let lost = ((sums.low < vec4<f32>(LEAST)) & (at.g.low > vec4<f32>(UNREACHABLE)))
        | ((sums.high < vec4<f32>(LEAST)) & (at.g.high > vec4<f32>(UNREACHABLE)));
    if any(lost) {
        over = Octet(vec4<f32>(-3e38), vec4<f32>(-3e38));
        for (var r = 0u; r < count; r++) {
            let x = exponents(row + r, at, base[r]);
            over = Octet(max(over.low, x.low + numerator[r]), max(over.high, x.high + numerator[r]));
        }
        sums = Octet(vec4<f32>(), vec4<f32>());
        for (var r = 0u; r < count; r++) {
            let x = exponents(row + r, at, base[r]);
            sums.low += power2(x.low + numerator[r] - over.low);
            sums.high += power2(x.high + numerator[r] - over.high);
        }
    }
    let width = problem.columns / 4u;
    let quad = group * 2u * width + quad_of(octet);
    partials[quad] = sums.low;
    partials[quad + 4u] = sums.high;
    partials[quad + width] = over.low;
    partials[quad + width + 4u] = over.high;
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
    let row = slice.chunk_row + first;
    if thread < ROWS {
        base[thread] = potentials[slice.first + min(first + thread, slice.rows - 1u)];
    }
    let left = place_of(thread);
    let right = place_of(thread + THREADS);
    var left_sum = Octet(vec4<f32>(), vec4<f32>());
    var right_sum = left_sum;
    workgroupBarrier();
    for (var batch = 0u; batch < count; batch += 4u) {
        let r1 = min(batch + 1u, count - 1u);
        let r2 = min(batch + 2u, count - 1u);
        let r3 = min(batch + 3u, count - 1u);
        var a0 = entries(row + batch, left, base[batch]);
        var b0 = entries(row + batch, right, base[batch]);
        var a1 = entries(row + r1, left, base[r1]);
        var b1 = entries(row + r1, right, base[r1]);
        var a2 = entries(row + r2, left, base[r2]);
        var b2 = entries(row + r2, right, base[r2]);
        var a3 = entries(row + r3, left, base[r3]);
        var b3 = entries(row + r3, right, base[r3]);
        for (var attempt = 0u; attempt < 2u; attempt++) {
            put(thread, 0u, left, sum(a0), right, sum(b0), 0.0, false);
            put(thread, 1u, left, sum(a1), right, sum(b1), 0.0, false);
            put(thread, 2u, left, sum(a2), right, sum(b2), 0.0, false);
            put(thread, 3u, left, sum(a3), right, sum(b3), 0.0, false);
            if thread == 0u {
                again = 0u;
            }
            fold(thread, false);
            if thread < 8u {
                let total = whole(thread, false);
                ends[8u * thread] = total;
                if attempt == 0u && !(total >= NEAREST && total <= FARTHEST) {
                    again = 1u;
                }
            }
            if workgroupUniformLoad(&again) == 0u {
                break;
            }
            // Over their largest terms.
            put(thread, 0u, left, largest(row + batch, left), right, largest(row + batch, right), -3e38, true);
            put(thread, 1u, left, largest(row + r1, left), right, largest(row + r1, right), -3e38, true);
            put(thread, 2u, left, largest(row + r2, left), right, largest(row + r2, right), -3e38, true);
            put(thread, 3u, left, largest(row + r3, left), right, largest(row + r3, right), -3e38, true);
            fold(thread, true);
            if thread < 4u && batch + thread < count {
                base[batch + thread] = -vec2<f32>(whole(2u * thread, true), whole(2u * thread + 1u, true));
            }
            workgroupBarrier();
            a0 = entries(row + batch, left, base[batch]);
            b0 = entries(row + batch, right, base[batch]);
            a1 = entries(row + r1, left, base[r1]);
            b1 = entries(row + r1, right, base[r1]);
            a2 = entries(row + r2, left, base[r2]);
            b2 = entries(row + r2, right, base[r2]);
            a3 = entries(row + r3, left, base[r3]);
            b3 = entries(row + r3, right, base[r3]);
        }
        if thread < 4u {
            factor[thread] = vec2<f32>();
            let local = batch + thread;
            if local < count {
                let sums = vec2<f32>(ends[16u * thread], ends[16u * thread + 8u]) * problem.inverse;
                let f = base[local] - problem.epsilon * vec2<f32>(natural_log(sums.x), natural_log(sums.y));
                let place = slice.first + first + local;
                let score = (1.0 - problem.lambda) * f.x - problem.lambda * f.y;
                var raw = logs[place];
                if control.mode == SCALING {
                    // The damped rule of the weights; the shift keeps numerators near 1.
                    raw = (1.0 - control.alpha) * raw - control.alpha * (score / control.tau) - control.shift;
                }
                base[local] = f;
                numerator[local] = raw * LOG2E;
                factor[thread] = exponential(raw) / sums;
                potentials[place] = f;
                scores[place] = score;
                raws[place] = raw;
            }
        }
        workgroupBarrier();
        left_sum = added(added(added(added(left_sum, a0, factor[0][left.side]), a1, factor[1][left.side]), a2, factor[2][left.side]), a3, factor[3][left.side]);
        right_sum = added(added(added(added(right_sum, b0, factor[0][right.side]), b1, factor[1][right.side]), b2, factor[2][right.side]), b3, factor[3][right.side]);
    }
    finish(group, thread, left, left_sum, row, count);
    finish(group, thread + THREADS, right, right_sum, row, count);
}
