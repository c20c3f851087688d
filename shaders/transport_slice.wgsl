// What both sweeps read: a run of rows, their cosines, and what they write.
//
// Include: transport.wgsl
// Bindings (group 0): those of transport_sweep.wgsl, which names this file in an `Include` line.

override PACKED: bool = false;

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

// Sums of a column below this have lost entries.
const LEAST: f32 = 1e-30;
const UNREACHABLE: f32 = -1e19;

// Eight columns: 4a.. and 4a+16.. of a group of 32.
struct Octet {
    low: vec4<f32>,
    high: vec4<f32>,
}

// First quad of an octet; the second is 4 further.
fn quad_of(octet: u32) -> u32 {
    return (octet / 4u) * 8u + octet % 4u;
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

fn total(v: vec4<f32>) -> f32 {
    return (v.x + v.y) + (v.z + v.w);
}

fn greatest(v: vec4<f32>) -> f32 {
    return max(max(v.x, v.y), max(v.z, v.w));
}
