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

fn joined(a: Pair, b: Pair, extreme: bool) -> Pair {
    if extreme {
        return Pair(max(a.low, b.low), max(a.high, b.high));
    }
    return Pair(a.low + b.low, a.high + b.high);
}

fn reduced(value: Pair, at: Thread, extreme: bool) -> Pair {
    var part: Pair;
    if extreme {
        part = Pair(subgroupMax(value.low), subgroupMax(value.high));
    } else {
        part = Pair(subgroupAdd(value.low), subgroupAdd(value.high));
    }
    if at.lane == 0u && at.subgroup < MOST {
        parts[at.subgroup] = part;
    }
    workgroupBarrier();
    if at.index == 0u {
        var held = parts[0];
        for (var k = 1u; k < min(at.subgroups, MOST); k++) {
            held = joined(held, parts[k], extreme);
        }
        whole = held;
    }
    return workgroupUniformLoad(&whole);
}

fn sum4(value: vec4<f32>, at: Thread) -> vec4<f32> {
    return reduced(Pair(value, vec4<f32>()), at, false).low;
}

fn max4(value: vec4<f32>, at: Thread) -> vec4<f32> {
    return reduced(Pair(value, vec4<f32>()), at, true).low;
}

fn sum_pair(value: Pair, at: Thread) -> Pair {
    return reduced(value, at, false);
}

fn max_pair(value: Pair, at: Thread) -> Pair {
    return reduced(value, at, true);
}
