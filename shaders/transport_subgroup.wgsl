// Sums and maxima over a workgroup of 256 threads, by subgroups of any size from 8 on.
//
// Bindings: none. Takes the place of transport_tree.wgsl, which tells what the names mean, where the adapter has subgroups.
// Shapes: as there. Which threads a subgroup has does not matter.
// Limits: 1 KiB of workgroup memory. The order of additions is the adapter's.

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

// One a subgroup.
var<workgroup> parts: array<Pair, 32>;
var<workgroup> whole: Pair;

fn sum4(value: vec4<f32>, at: Thread) -> vec4<f32> {
    return sum_pair(Pair(value, vec4<f32>()), at).low;
}

fn max4(value: vec4<f32>, at: Thread) -> vec4<f32> {
    return max_pair(Pair(value, vec4<f32>()), at).low;
}

fn sum_pair(value: Pair, at: Thread) -> Pair {
    let part = Pair(subgroupAdd(value.low), subgroupAdd(value.high));
    if at.lane == 0u {
        parts[at.subgroup] = part;
    }
    workgroupBarrier();
    if at.index == 0u {
        var held = parts[0];
        for (var k = 1u; k < min(at.subgroups, 32u); k++) {
            held = Pair(held.low + parts[k].low, held.high + parts[k].high);
        }
        whole = held;
    }
    return workgroupUniformLoad(&whole);
}

fn max_pair(value: Pair, at: Thread) -> Pair {
    let part = Pair(subgroupMax(value.low), subgroupMax(value.high));
    if at.lane == 0u {
        parts[at.subgroup] = part;
    }
    workgroupBarrier();
    if at.index == 0u {
        var held = parts[0];
        for (var k = 1u; k < min(at.subgroups, 32u); k++) {
            held = Pair(max(held.low, parts[k].low), max(held.high, parts[k].high));
        }
        whole = held;
    }
    return workgroupUniformLoad(&whole);
}
