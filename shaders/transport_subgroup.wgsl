// Sums and maxima over a workgroup of 256 threads, by subgroups of any size from 4 on.
//
// Bindings: none. Takes the place of transport_tree.wgsl, which tells what the names mean, where the adapter has subgroups.
// Shapes: as there. Which threads a subgroup has does not matter.
// Limits: 2 KiB of workgroup memory; at most 64 subgroups, which all are full: their number is 256 over their size. The order of additions is the adapter's.

struct Thread {
    @builtin(local_invocation_index) index: u32,
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
}

struct Pair {
    low: vec4<f32>,
    high: vec4<f32>,
}

const MOST: u32 = 64u;

// One a subgroup.
var<workgroup> parts: array<Pair, MOST>;
var<workgroup> whole: Pair;

fn sum4(value: vec4<f32>, at: Thread) -> vec4<f32> {
    return sum_pair(Pair(value, vec4<f32>()), at).low;
}

fn max4(value: vec4<f32>, at: Thread) -> vec4<f32> {
    return max_pair(Pair(value, vec4<f32>()), at).low;
}

fn sum_pair(value: Pair, at: Thread) -> Pair {
    let part = Pair(subgroupAdd(value.low), subgroupAdd(value.high));
    if at.lane == 0u && at.subgroup < MOST {
        parts[at.subgroup] = part;
    }
    workgroupBarrier();
    if at.index == 0u {
        var held = parts[0];
        for (var k = 1u; k < min(at.subgroups, MOST); k++) {
            held = Pair(held.low + parts[k].low, held.high + parts[k].high);
        }
        whole = held;
    }
    return workgroupUniformLoad(&whole);
}

fn max_pair(value: Pair, at: Thread) -> Pair {
    let part = Pair(subgroupMax(value.low), subgroupMax(value.high));
    if at.lane == 0u && at.subgroup < MOST {
        parts[at.subgroup] = part;
    }
    workgroupBarrier();
    if at.index == 0u {
        var held = parts[0];
        for (var k = 1u; k < min(at.subgroups, MOST); k++) {
            held = Pair(max(held.low, parts[k].low), max(held.high, parts[k].high));
        }
        whole = held;
    }
    return workgroupUniformLoad(&whole);
}
