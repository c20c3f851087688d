// Sums over all rows after a sweep: the mass of the new weights, the temperature that meets the asked share, the
// residual of the Gibbs weights, and the new weights themselves.
//
// Include: transport.wgsl
// Bindings (group 0), four rows a vec4, padded with rows of no weight (G = 3e38, ln w = -3e38)
//   0  uniform  Problem
//   1  storage  vec4<f32>    read, G
//   2  storage  vec4<f32>    read and write, ln w
//   3  storage  vec4<f32>    read, ln of the unnormalised new w
//   4  storage  Control      read and write
// Shapes: one workgroup of THREADS threads (a power of two); `gibbs` after the sweep, `lift` before a scaling sweep.
// Limits: 16 bytes of workgroup memory a thread; a pass over the rows a Newton step, at most 60.

@group(0) @binding(0) var<uniform> problem: Problem;
@group(0) @binding(1) var<storage, read> scores: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> logs: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> raws: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> control: Control;

override THREADS: u32 = 256u;
// A spread of the scores below this multiple of the costs is rounding.
const TIED: f32 = 2e-6;
const NEWTON_STEPS: u32 = 60u;
const NEWTON_END: f32 = 5e-7;
const FAR: f32 = 3e38;

var<workgroup> shared_values: array<vec4<f32>, THREADS>;
var<workgroup> answer: vec4<f32>;
var<workgroup> running: u32;

fn sum4(value: vec4<f32>, thread: u32) -> vec4<f32> {
    shared_values[thread] = value;
    workgroupBarrier();
    for (var width = THREADS / 2u; width > 0u; width /= 2u) {
        if thread < width {
            shared_values[thread] += shared_values[thread + width];
        }
        workgroupBarrier();
    }
    if thread == 0u {
        answer = shared_values[0];
    }
    return workgroupUniformLoad(&answer);
}

fn max4(value: vec4<f32>, thread: u32) -> vec4<f32> {
    shared_values[thread] = value;
    workgroupBarrier();
    for (var width = THREADS / 2u; width > 0u; width /= 2u) {
        if thread < width {
            shared_values[thread] = max(shared_values[thread], shared_values[thread + width]);
        }
        workgroupBarrier();
    }
    if thread == 0u {
        answer = shared_values[0];
    }
    return workgroupUniformLoad(&answer);
}

fn total(v: vec4<f32>) -> f32 {
    return (v.x + v.y) + (v.z + v.w);
}

fn quads() -> u32 {
    return (problem.rows + 3u) / 4u;
}

// Which of four rows exist.
fn exist(quad: u32) -> vec4<bool> {
    return vec4<u32>(4u * quad) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(problem.rows);
}

// Sums of p, p p, p gap, p p gap at beta = 1/tau, p = exp(-beta gap).
fn moments(beta: f32, smallest: f32, thread: u32) -> vec4<f32> {
    var outer = vec4<f32>();
    var inner = vec4<f32>();
    var since = 0u;
    for (var quad = thread; quad < quads(); quad += THREADS) {
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
    return sum4(outer + inner, thread);
}

fn temperature(smallest: f32, spread: f32, thread: u32) -> f32 {
    let target_log = natural_log(problem.share) + natural_log(f32(problem.rows));
    var low = natural_log(1e-9 / spread);
    var high = natural_log(1e6 / spread);
    var x = 0.0;
    if control.tau > 0.0 {
        x = clamp(-natural_log(control.tau), low, high);
    } else {
        var part = vec4<f32>();
        for (var quad = thread; quad < quads(); quad += THREADS) {
            let gap = select(vec4<f32>(), scores[quad] - smallest, exist(quad));
            part += vec4<f32>(total(gap), dot(gap, gap), 0.0, 0.0);
        }
        let all = sum4(part, thread) / f32(problem.rows);
        // For normal scores the share is exp(-beta^2 variance).
        let variance = max(all.y - all.x * all.x, 1e-4 * spread * spread);
        x = clamp(0.5 * natural_log(-natural_log(problem.share) / variance), low, high);
    }
    for (var step = 0u; step < NEWTON_STEPS; step++) {
        let beta = exponential(x);
        let s = moments(beta, smallest, thread);
        let value = 2.0 * natural_log(s.x) - natural_log(max(s.y, 1e-37)) - target_log;
        let slope = 2.0 * beta * (s.w / max(s.y, 1e-37) - s.z / s.x);
        if value > 0.0 {
            low = x;
        } else {
            high = x;
        }
        let newton = x - value / min(slope, -1e-30);
        let next = select(0.5 * (low + high), newton, newton > low && newton < high);
        if thread == 0u {
            running = select(0u, 1u, abs(next - x) > NEWTON_END && high - low > NEWTON_END);
        }
        x = next;
        if workgroupUniformLoad(&running) == 0u {
            break;
        }
    }
    return exponential(-x);
}

@compute @workgroup_size(THREADS)
fn gibbs(@builtin(local_invocation_index) thread: u32) {
    if thread == 0u {
        running = control.halted;
    }
    if workgroupUniformLoad(&running) != RUNNING {
        return;
    }
    var ends = vec4<f32>(-FAR);
    var part = vec4<f32>();
    for (var quad = thread; quad < quads(); quad += THREADS) {
        let score = scores[quad];
        let here = exist(quad);
        let high = select(vec4<f32>(-FAR), score, here);
        let low = select(vec4<f32>(-FAR), -score, here);
        ends = max(ends, vec4<f32>(
            max(max(high.x, high.y), max(high.z, high.w)),
            max(max(low.x, low.y), max(low.z, low.w)),
            -FAR,
            -FAR,
        ));
        part.x += total(power2(LOG2E * raws[quad]));
        part.y += select(1.0, 0.0, is_finite(score.x) && is_finite(score.y) && is_finite(score.z) && is_finite(score.w));
    }
    let found = sum4(part, thread);
    let extent = max4(ends, thread);
    let mass = found.x;
    let smallest = -extent.y;
    let spread = extent.x - smallest;
    if !(mass > 0.0) || !is_finite(mass) || found.y > 0.0 {
        if thread == 0u {
            control.bad = 1u;
            control.halted = BROKEN;
        }
        return;
    }
    let log_mass = natural_log(mass);
    if thread == 0u {
        control.log_mass = log_mass;
        running = control.mode;
    }
    let mode = workgroupUniformLoad(&running);
    if mode == QUIET {
        return;
    }
    var tau = problem.tau;
    if problem.share > 0.0 {
        if spread <= TIED * problem.scale {
            // Uniform whatever tau is.
            tau = problem.scale;
        } else {
            tau = temperature(smallest, spread, thread);
        }
    }
    let normaliser = moments(1.0 / tau, smallest, thread).x;
    var sums = vec4<f32>();
    for (var quad = thread; quad < quads(); quad += THREADS) {
        let score = scores[quad];
        let p = power2((-LOG2E / tau) * (score - smallest)) / normaliser;
        var log_weight = logs[quad];
        let residual = abs(p - power2(LOG2E * log_weight));
        if mode == SCALING {
            log_weight = raws[quad] - log_mass;
            logs[quad] = log_weight;
        }
        let w = power2(LOG2E * log_weight);
        let some = w > vec4<f32>();
        let entropy = select(vec4<f32>(), w * log_weight, some);
        sums += vec4<f32>(total(residual), total(select(vec4<f32>(), w * score, some)), dot(w, w), total(entropy));
    }
    let all = sum4(sums, thread);
    if thread == 0u {
        control.tau = tau;
        control.residual = all.x;
        control.score = all.y;
        control.square = all.z;
        control.entropy = all.w;
    }
}

@compute @workgroup_size(THREADS)
fn lift(@builtin(local_invocation_index) thread: u32) {
    if thread == 0u {
        running = control.halted;
    }
    if workgroupUniformLoad(&running) != RUNNING {
        return;
    }
    var part = vec4<f32>(-FAR);
    for (var quad = thread; quad < quads(); quad += THREADS) {
        let exponent = (1.0 - control.alpha) * logs[quad] - control.alpha * (scores[quad] / control.tau);
        part = max(part, select(vec4<f32>(-FAR), exponent, exist(quad)));
    }
    let all = max4(part, thread);
    if thread == 0u {
        control.shift = max(max(all.x, all.y), max(all.z, all.w));
    }
}
