// What every stage of the transport engine shares: the problem, the state of the solver, and exact-enough numbers.
//
// Bindings: none. Other stages name this file in an `Include` line and it is put before them.
// Limits: power2 and natural_log err by at most about 2e-7 (relative; natural_log absolute near 1), whatever the adapter's
// own exp and log do: WGSL allows those to be off by far more.

// Constants of a solve. [0] is the safe, [1] the harmful reference.
struct Problem {
    // 1/m.
    inverse: vec2<f32>,
    epsilon: vec2<f32>,
    // log2(e)/epsilon.
    rate: vec2<f32>,
    // 1 - median cost: exponents are of cosine - centre, so that potentials stay small numbers.
    centre: vec2<f32>,
    lambda: f32,
    // Asked ESS/n; 0 where tau is given.
    share: f32,
    tau: f32,
    // Sum of the median costs.
    scale: f32,
    // n.
    rows: u32,
    // Padded columns of the safe reference, and of both; multiples of 32.
    split: u32,
    columns: u32,
    // Dimension in vec4, a multiple of 4.
    quads: u32,
    // Columns of each reference.
    real: vec2<u32>,
    smallest_alpha: f32,
    padding: u32,
}

// Mode of a sweep.
const FIXED: u32 = 0u;
const SCALING: u32 = 1u;
// Fixed weights, and neither temperature nor residual is asked for.
const QUIET: u32 = 2u;
// Why the device stopped by itself.
const RUNNING: u32 = 0u;
const FROZEN: u32 = 1u;
const STALLED: u32 = 2u;
const SETTLED: u32 = 3u;
const BROKEN: u32 = 4u;

// State of the solver between sweeps; the host writes the first four words and reads the rest.
struct Control {
    mode: u32,
    halted: u32,
    // Points in the trace of this batch.
    steps: u32,
    // Sweeps without progress after which fixed weights count as settled.
    patience: u32,
    alpha: f32,
    tau: f32,
    // Largest exponent of the weights' rule, so that numerators stay near 1.
    shift: f32,
    log_mass: f32,
    residual: f32,
    // Sum of w G, of w w, of w ln w.
    score: f32,
    square: f32,
    entropy: f32,
    // L1 marginal error below which fixed weights are settled.
    tolerance: f32,
    best: f32,
    since: u32,
    // 1: mass or scores, 2: safe columns, 4: harmful columns are not finite.
    bad: u32,
    marginal: vec2<f32>,
    // Root mean square change of g.
    change: vec2<f32>,
    // Factor by which the change shrank per sweep; 0 where it was not seen.
    contraction: vec2<f32>,
    mean: vec2<f32>,
}

// A run of rows of a sweep.
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

const LN2: f32 = 0.6931471805599453;
const LOG2E: f32 = 1.4426950408889634;

// 2^x; 0 below 2^-126.
fn power2(x: vec4<f32>) -> vec4<f32> {
    let clamped = clamp(x, vec4<f32>(-127.0), vec4<f32>(127.0));
    let whole = floor(clamped + 0.5);
    let r = clamped - whole;
    var p = fma(r, vec4<f32>(0.0001546144485), vec4<f32>(0.0013400428));
    p = fma(p, r, vec4<f32>(0.009618056938));
    p = fma(p, r, vec4<f32>(0.05550327152));
    p = fma(p, r, vec4<f32>(0.2402265072));
    p = fma(p, r, vec4<f32>(0.6931471825));
    p = fma(p, r, vec4<f32>(1.0));
    return p * bitcast<vec4<f32>>(vec4<u32>(vec4<i32>(whole) + 127) << vec4<u32>(23u));
}

fn exponential(x: f32) -> f32 {
    return power2(vec4<f32>(x * LOG2E)).x;
}

// ln x of a positive normal number, by the series of artanh.
fn natural_log(x: f32) -> f32 {
    let bits = bitcast<u32>(x) - 0x3f3504f3u;
    let whole = f32(bitcast<i32>(bits) >> 23u);
    let f = bitcast<f32>((bits & 0x007fffffu) + 0x3f3504f3u) - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let series = fma(fma(fma(fma(z, 0.11111111, 0.14285715), z, 0.2), z, 0.33333334), z, 1.0);
    return fma(whole, LN2, 2.0 * s * series);
}

fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}
