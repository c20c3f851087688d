// Sums over all rows after a sweep: the mass of the new weights, the temperature that meets the asked share, the
// residual of the Gibbs weights, and the new weights themselves.
//
// Include: transport.wgsl transport_tree.wgsl
// Bindings (group 0), four rows a vec4, padded with rows of no weight (G = 3e38, ln w = -3e38)
//   0  uniform  Problem
//   1  uniform  Turn         moving
//   2  storage  vec4<f32>    read, G
//   3  storage  vec4<f32>    read and write, ln w
//   4  storage  vec4<f32>    read, ln of the unnormalised new w
//   5  storage  Control      read and write
//   6  storage  vec4<f32>    read and write, slots of WIDTH
// Shapes: G workgroups of THREADS threads, G <= GROUPS, the same for every dispatch of a sweep. A slot is one vec4 a
// workgroup of sums, one a workgroup of extremes, and two of the search's state. A dispatch puts together what the slot
// before holds, each workgroup for itself and with the same result, and writes the next slot; no dispatch reads what it
// writes. After a sweep: `survey`, some `seek`, `normalise`, `weigh`, and `close` by one workgroup; where neither
// temperature nor residual is asked for, `survey` and one `seek`. Before a scaling sweep: `lift`, and `lift_close` by one.
// Limits: workgroup memory of the sums over a workgroup.

@group(0) @binding(0) var<uniform> problem: Problem;
@group(0) @binding(1) var<uniform> turn: Turn;
@group(0) @binding(2) var<storage, read> scores: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> logs: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> raws: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> control: Control;
@group(0) @binding(6) var<storage, read_write> slots: array<vec4<f32>>;

struct Turn {
    // The slot this dispatch reads; `survey` and `lift` write it.
    slot: u32,
    // Which `seek` it is.
    step: u32,
    // Workgroups of the other dispatches.
    groups: u32,
    padding: u32,
}

const THREADS: u32 = 256u;
const GROUPS: u32 = 128u;
const WIDTH: u32 = 258u;
// A spread of the scores below this multiple of the costs is rounding.
const TIED: f32 = 2e-6;
const NEWTON_STEPS: u32 = 60u;
// Steps of ln beta below the first are the end; below the second they are rounding as soon as they no longer shrink.
const NEWTON_END: f32 = 1e-6;
const NEWTON_NOISE: f32 = 3e-5;
const FAR: f32 = 3e38;

// How far the search for the temperature is.
const SEEKING: u32 = 0u;
const FOUND: u32 = 1u;
// The sweep ends here: the solver is halted, or nobody asks.
const OVER: u32 = 2u;

struct Search {
    // ln beta, and what it lies between.
    x: f32,
    low: f32,
    high: f32,
    // The last step of x.
    step: f32,
    smallest: f32,
    spread: f32,
    tau: f32,
    phase: u32,
}

var<workgroup> search: Search;
var<workgroup> halted: u32;

fn total(v: vec4<f32>) -> f32 {
    return (v.x + v.y) + (v.z + v.w);
}

fn greatest(v: vec4<f32>) -> f32 {
    return max(max(v.x, v.y), max(v.z, v.w));
}

fn quads() -> u32 {
    return (problem.rows + 3u) / 4u;
}

// Which of four rows exist.
fn exist(quad: u32) -> vec4<bool> {
    return vec4<u32>(4u * quad) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(problem.rows);
}

// The workgroups' sums and extremes in a slot, put together.
fn sums_of(slot: u32, groups: u32, at: Thread) -> vec4<f32> {
    var part = vec4<f32>();
    if at.index < groups {
        part = slots[slot * WIDTH + at.index];
    }
    return sum4(part, at);
}

fn extremes_of(slot: u32, groups: u32, at: Thread) -> vec4<f32> {
    var part = vec4<f32>(-FAR);
    if at.index < groups {
        part = slots[slot * WIDTH + GROUPS + at.index];
    }
    return max4(part, at);
}

fn read_search(at: u32) -> Search {
    let place = at * WIDTH + 2u * GROUPS;
    let a = slots[place];
    let b = slots[place + 1u];
    return Search(a.x, a.y, a.z, a.w, b.x, b.y, b.z, u32(b.w));
}

fn write_search(at: u32, s: Search) {
    let place = at * WIDTH + 2u * GROUPS;
    slots[place] = vec4<f32>(s.x, s.low, s.high, s.step);
    slots[place + 1u] = vec4<f32>(s.smallest, s.spread, s.tau, f32(s.phase));
}

fn is_halted(thread: u32) -> bool {
    if thread == 0u {
        halted = control.halted;
    }
    return workgroupUniformLoad(&halted) != RUNNING;
}

// Sums of p, p p, p gap, p p gap over rows of this workgroup at beta = 1/tau, p = exp(-beta gap).
fn moments(beta: f32, smallest: f32, first: u32, stride: u32, at: Thread) -> vec4<f32> {
    var outer = vec4<f32>();
    var inner = vec4<f32>();
    var since = 0u;
    for (var quad = first; quad < quads(); quad += stride) {
        let gap = scores[quad] - smallest;
        let p = power2((-beta * LOG2E) * gap);
        // Padding has an infinite gap at worst, and no part in anything.
        let part = select(vec4<f32>(), p * gap, p > vec4<f32>());
        inner += vec4<f32>(total(p), dot(p, p), total(part), dot(p, part));
        since++;
        // Short sums of short sums lose less to rounding than one long one.
        if since == 16u {
            outer += inner;
            inner = vec4<f32>();
            since = 0u;
        }
    }
    return sum4(outer + inner, at);
}

// The search after the moments at its x.
fn newton(before: Search, s: vec4<f32>) -> Search {
    var after = before;
    let target_log = natural_log(problem.share) + natural_log(f32(problem.rows));
    let beta = exponential(before.x);
    let value = 2.0 * natural_log(s.x) - natural_log(max(s.y, 1e-37)) - target_log;
    let slope = 2.0 * beta * (s.w / max(s.y, 1e-37) - s.z / s.x);
    if value > 0.0 {
        after.low = before.x;
    } else {
        after.high = before.x;
    }
    let next = before.x - value / min(slope, -1e-30);
    after.x = select(0.5 * (after.low + after.high), next, next > after.low && next < after.high);
    after.step = abs(after.x - before.x);
    let rounding = after.step < NEWTON_NOISE && after.step >= 0.5 * before.step;
    if after.step <= NEWTON_END || rounding || after.high - after.low <= NEWTON_END {
        after.phase = FOUND;
        after.tau = exponential(-after.x);
    }
    return after;
}

// The search from the sums of `survey`: (mass, scores not finite, scores, their squares), and (largest, -smallest).
fn begin(found: vec4<f32>, extent: vec4<f32>, is_first: bool) -> Search {
    var s = Search(0.0, 0.0, 0.0, FAR, -extent.y, extent.x + extent.y, 0.0, OVER);
    if !(found.x > 0.0) || !is_finite(found.x) || found.y > 0.0 {
        if is_first {
            control.bad = 1u;
            control.halted = BROKEN;
        }
        return s;
    }
    if is_first {
        control.log_mass = natural_log(found.x);
    }
    if control.mode == QUIET {
        return s;
    }
    if problem.share <= 0.0 || s.spread <= TIED * problem.scale {
        // Tied scores are uniform whatever tau is.
        s.tau = select(problem.scale, problem.tau, problem.share <= 0.0);
        s.phase = FOUND;
        return s;
    }
    s.phase = SEEKING;
    s.low = natural_log(1e-9 / s.spread);
    s.high = natural_log(1e6 / s.spread);
    s.x = -natural_log(control.tau);
    if !(control.tau > 0.0) {
        let mean = found.zw / f32(problem.rows);
        // For normal scores the share is exp(-beta^2 variance).
        let variance = max(mean.y - mean.x * mean.x, 1e-4 * s.spread * s.spread);
        s.x = 0.5 * natural_log(-natural_log(problem.share) / variance);
    }
    s.x = clamp(s.x, s.low, s.high);
    return s;
}

@compute @workgroup_size(THREADS)
fn survey(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    at: Thread,
) {
    let thread = at.index;
    var ends = vec4<f32>(-FAR);
    var part = vec4<f32>();
    for (var quad = group.x * THREADS + thread; quad < quads(); quad += groups.x * THREADS) {
        let score = scores[quad];
        let here = exist(quad);
        let high = greatest(select(vec4<f32>(-FAR), score, here));
        let low = greatest(select(vec4<f32>(-FAR), -score, here));
        ends = max(ends, vec4<f32>(high, low, -FAR, -FAR));
        let fine = is_finite(score.x) && is_finite(score.y) && is_finite(score.z) && is_finite(score.w);
        let real = select(vec4<f32>(), score, here);
        part += vec4<f32>(total(power2(LOG2E * raws[quad])), select(1.0, 0.0, fine), total(real), dot(real, real));
    }
    let sums = sum4(part, at);
    let extremes = max4(ends, at);
    if thread == 0u {
        slots[turn.slot * WIDTH + group.x] = sums;
        slots[turn.slot * WIDTH + GROUPS + group.x] = extremes;
    }
}

// One step of the search: what the slot before holds, and the moments at the next x.
@compute @workgroup_size(THREADS)
fn seek(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    at: Thread,
) {
    let thread = at.index;
    if is_halted(thread) {
        if thread == 0u && group.x == 0u {
            write_search(turn.slot + 1u, Search(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, OVER));
        }
        return;
    }
    let sums = sums_of(turn.slot, groups.x, at);
    let extremes = extremes_of(turn.slot, groups.x, at);
    if thread == 0u {
        if turn.step == 0u {
            search = begin(sums, extremes, group.x == 0u);
        } else {
            search = read_search(turn.slot);
            if search.phase == SEEKING {
                search = newton(search, sums);
            }
        }
        if group.x == 0u {
            write_search(turn.slot + 1u, search);
        }
    }
    let now = workgroupUniformLoad(&search);
    if now.phase != SEEKING {
        return;
    }
    let found = moments(exponential(now.x), now.smallest, group.x * THREADS + thread, groups.x * THREADS, at);
    if thread == 0u {
        slots[(turn.slot + 1u) * WIDTH + group.x] = found;
    }
}

// Ends the search, if need be alone, and sums p at its temperature.
@compute @workgroup_size(THREADS)
fn normalise(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    at: Thread,
) {
    let thread = at.index;
    var sums = sums_of(turn.slot, groups.x, at);
    if thread == 0u {
        search = read_search(turn.slot);
    }
    var now = workgroupUniformLoad(&search);
    for (var step = 0u; step < NEWTON_STEPS && now.phase == SEEKING; step++) {
        if thread == 0u {
            search = newton(now, sums);
            if step + 1u == NEWTON_STEPS {
                search.phase = FOUND;
                search.tau = exponential(-search.x);
            }
        }
        now = workgroupUniformLoad(&search);
        if now.phase == SEEKING {
            sums = moments(exponential(now.x), now.smallest, thread, THREADS, at);
        }
    }
    if thread == 0u && group.x == 0u {
        write_search(turn.slot + 1u, now);
    }
    if now.phase == OVER {
        return;
    }
    let found = moments(1.0 / now.tau, now.smallest, group.x * THREADS + thread, groups.x * THREADS, at);
    if thread == 0u {
        slots[(turn.slot + 1u) * WIDTH + group.x] = found;
    }
}

// The new weights, and sums of the residual, w G, w w and w ln w.
@compute @workgroup_size(THREADS)
fn weigh(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    at: Thread,
) {
    let thread = at.index;
    let normaliser = sums_of(turn.slot, groups.x, at).x;
    if thread == 0u {
        search = read_search(turn.slot);
        if group.x == 0u {
            write_search(turn.slot + 1u, search);
        }
    }
    let now = workgroupUniformLoad(&search);
    if now.phase == OVER {
        return;
    }
    let is_scaling = control.mode == SCALING;
    var sums = vec4<f32>();
    for (var quad = group.x * THREADS + thread; quad < quads(); quad += groups.x * THREADS) {
        let score = scores[quad];
        let p = power2((-LOG2E / now.tau) * (score - now.smallest)) / normaliser;
        var log_weight = logs[quad];
        let residual = abs(p - power2(LOG2E * log_weight));
        if is_scaling {
            log_weight = raws[quad] - control.log_mass;
            logs[quad] = log_weight;
        }
        let w = power2(LOG2E * log_weight);
        let some = w > vec4<f32>();
        let entropy = select(vec4<f32>(), w * log_weight, some);
        sums += vec4<f32>(total(residual), total(select(vec4<f32>(), w * score, some)), dot(w, w), total(entropy));
    }
    let all = sum4(sums, at);
    if thread == 0u {
        slots[(turn.slot + 1u) * WIDTH + group.x] = all;
    }
}

@compute @workgroup_size(THREADS)
fn close(at: Thread) {
    let thread = at.index;
    let all = sums_of(turn.slot, turn.groups, at);
    if thread == 0u {
        let s = read_search(turn.slot);
        if s.phase != OVER {
            control.tau = s.tau;
            control.residual = all.x;
            control.score = all.y;
            control.square = all.z;
            control.entropy = all.w;
        }
    }
}

@compute @workgroup_size(THREADS)
fn lift(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    at: Thread,
) {
    let thread = at.index;
    var part = -FAR;
    for (var quad = group.x * THREADS + thread; quad < quads(); quad += groups.x * THREADS) {
        let exponent = (1.0 - control.alpha) * logs[quad] - control.alpha * (scores[quad] / control.tau);
        part = max(part, greatest(select(vec4<f32>(-FAR), exponent, exist(quad))));
    }
    let all = max4(vec4<f32>(part), at);
    if thread == 0u {
        slots[turn.slot * WIDTH + GROUPS + group.x] = all;
    }
}

@compute @workgroup_size(THREADS)
fn lift_close(at: Thread) {
    let thread = at.index;
    let all = extremes_of(turn.slot, turn.groups, at);
    if thread == 0u && control.halted == RUNNING {
        control.shift = all.x;
    }
}
