// Sums and maxima over a workgroup of 256 threads, for adapters without subgroups.
//
// Bindings: none. Stages name this file in an `Include` line; where subgroups are known, transport_subgroup.wgsl takes its
// place and has the same names.
// Shapes: every thread of the workgroup calls, in uniform control flow, and gets the whole.
// Limits: 4 KiB of workgroup memory for one vec4 a thread, 9 KiB for two. One order of additions.

struct Thread {
    @builtin(local_invocation_index) index: u32,
}

// Eight values.
struct Pair {
    low: vec4<f32>,
    high: vec4<f32>,
}

var<workgroup> single_parts: array<vec4<f32>, 256>;
var<workgroup> pair_parts: array<vec4<f32>, 512>;
var<workgroup> pair_lanes: array<vec4<f32>, 64>;
var<workgroup> single_whole: vec4<f32>;
var<workgroup> pair_whole: Pair;

fn joined(a: vec4<f32>, b: vec4<f32>, extreme: bool) -> vec4<f32> {
    if extreme {
        return max(a, b);
    }
    return a + b;
}

fn reduced(value: vec4<f32>, at: Thread, extreme: bool) -> vec4<f32> {
    single_parts[at.index] = value;
    workgroupBarrier();
    for (var width = 128u; width > 0u; width /= 2u) {
        if at.index < width {
            single_parts[at.index] = joined(single_parts[at.index], single_parts[at.index + width], extreme);
        }
        workgroupBarrier();
    }
    if at.index == 0u {
        single_whole = single_parts[0];
    }
    return workgroupUniformLoad(&single_whole);
}

fn reduced_pair(value: Pair, at: Thread, extreme: bool) -> Pair {
    pair_parts[at.index] = value.low;
    pair_parts[256u + at.index] = value.high;
    workgroupBarrier();
    if at.index < 64u {
        var place = (at.index / 32u) * 256u + at.index % 32u;
        var held = pair_parts[place];
        for (var k = 1u; k < 8u; k++) {
            place += 32u;
            held = joined(held, pair_parts[place], extreme);
        }
        pair_lanes[at.index] = held;
    }
    workgroupBarrier();
    if at.index < 2u {
        var held = pair_lanes[32u * at.index];
        for (var k = 1u; k < 32u; k++) {
            held = joined(held, pair_lanes[32u * at.index + k], extreme);
        }
        if at.index == 0u {
            pair_whole.low = held;
        } else {
            pair_whole.high = held;
        }
    }
    return workgroupUniformLoad(&pair_whole);
}

fn sum4(value: vec4<f32>, at: Thread) -> vec4<f32> {
    return reduced(value, at, false);
}

fn max4(value: vec4<f32>, at: Thread) -> vec4<f32> {
    return reduced(value, at, true);
}

fn sum_pair(value: Pair, at: Thread) -> Pair {
    return reduced_pair(value, at, false);
}

fn max_pair(value: Pair, at: Thread) -> Pair {
    return reduced_pair(value, at, true);
}
