// One Sinkhorn iteration over a run of rows as transport_sweep.wgsl makes it, for at most 4,096 columns: every cosine is
// read once and every exponential taken once, four rows at a time, and both stay in registers until the rows' new f is
// known.
//
// Include: transport.wgsl transport_slice.wgsl transport_tree.wgsl
// Bindings (group 0): those of transport_sweep.wgsl
// Shapes: workgroup 256 threads and 64 rows; two octets of columns a thread; 2-D grid past 65,535 workgroups.
// A row's entries at its new f are those at the old one over the row's sum. Where that sum is far from 1 (the first
// sweep, a jump of the potentials), the exponentials of the four rows are taken again over their largest term.
// Limits: 1 KiB of workgroup memory beside that of the sums over the workgroup. No float atomics.

const ROWS: u32 = 64u;
const THREADS: u32 = 256u;
// Sums of a row outside of this are taken again: entries that were lost could matter to a column.
const NEAREST: f32 = 1e-6;
const FARTHEST: f32 = 1e6;

// f that the exponents of a row are taken at, then its new f.
var<workgroup> base: array<vec2<f32>, 64>;
// log2 of the unnormalised new weight of a row.
var<workgroup> numerator: array<f32, 64>;
// Of four rows and both references: the weight over the row's sum.
var<workgroup> factor: array<vec2<f32>, 4>;

// An octet of columns, as a thread sees it.
struct Place {
    octet: u32,
    side: u32,
    centre: f32,
    rate: f32,
    g: Octet,
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
    return total(v.low + v.high);
}

fn largest(row: u32, at: Place) -> f32 {
    let c = load(row, at.octet);
    return greatest(max((c.low - at.centre) + at.g.low, (c.high - at.centre) + at.g.high));
}

// What a thread's two octets give to the sums (or with `extreme` the largest) of four rows: `low` over the safe, `high`
// over the harmful reference.
fn parts_of(first: u32, a: vec4<f32>, second: u32, b: vec4<f32>, extreme: bool) -> Pair {
    let neutral = vec4<f32>(select(0.0, -3e38, extreme));
    if first != second {
        // References lie side by side: the first octet belongs to the safe one.
        return Pair(a, b);
    }
    let both = select(a + b, max(a, b), extreme);
    if first == 0u {
        return Pair(both, neutral);
    }
    return Pair(neutral, both);
}

fn is_near(sums: vec4<f32>) -> bool {
    return all(sums >= vec4<f32>(NEAREST)) && all(sums <= vec4<f32>(FARTHEST));
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
    at: Thread,
) {
    let thread = at.index;
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
        var sums = Pair();
        for (var attempt = 0u; attempt < 2u; attempt++) {
            let a = vec4<f32>(sum(a0), sum(a1), sum(a2), sum(a3));
            let b = vec4<f32>(sum(b0), sum(b1), sum(b2), sum(b3));
            sums = sum_pair(parts_of(left.side, a, right.side, b, false), at);
            if attempt == 1u || is_near(sums.low) && is_near(sums.high) {
                break;
            }
            // Over their largest terms.
            let c = vec4<f32>(
                largest(row + batch, left),
                largest(row + r1, left),
                largest(row + r2, left),
                largest(row + r3, left),
            );
            let d = vec4<f32>(
                largest(row + batch, right),
                largest(row + r1, right),
                largest(row + r2, right),
                largest(row + r3, right),
            );
            let tops = max_pair(parts_of(left.side, c, right.side, d, true), at);
            if thread < 4u && batch + thread < count {
                base[batch + thread] = -vec2<f32>(tops.low[thread], tops.high[thread]);
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
                let mean = vec2<f32>(sums.low[thread], sums.high[thread]) * problem.inverse;
                let f = base[local] - problem.epsilon * vec2<f32>(natural_log(mean.x), natural_log(mean.y));
                let place = slice.first + first + local;
                let score = (1.0 - problem.lambda) * f.x - problem.lambda * f.y;
                var raw = logs[place];
                if control.mode == SCALING {
                    // The damped rule of the weights; the shift keeps numerators near 1.
                    raw = (1.0 - control.alpha) * raw - control.alpha * (score / control.tau) - control.shift;
                }
                base[local] = f;
                numerator[local] = raw * LOG2E;
                factor[thread] = exponential(raw) / mean;
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
