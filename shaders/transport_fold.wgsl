// Adds the column sums of a slice's workgroups to 32 running totals a column.
//
// Include: transport.wgsl
// Bindings (group 0)
//   0  uniform  Problem
//   1  uniform  Slice        dynamic offset
//   2  storage  vec4<f32>    read, what transport_sweep.wgsl wrote
//   3  storage  vec4<f32>    read and write, 32 x (totals, exponents they are over), columns/4 vec4 each
//   4  storage  Control      read
// Shapes: workgroup 64 threads, a quad of columns each; grid (quads/64, 32). Total k takes every 32nd workgroup of the
// whole sweep, so that its order does not depend on how the sweep was sliced.

@group(0) @binding(0) var<uniform> problem: Problem;
@group(0) @binding(1) var<uniform> slice: Slice;
@group(0) @binding(2) var<storage, read> partials: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> totals: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> control: Control;

@compute @workgroup_size(64)
fn fold(@builtin(global_invocation_id) id: vec3<u32>) {
    let width = problem.columns / 4u;
    let quad = id.x;
    let lane = id.y;
    if control.halted != RUNNING || quad >= width {
        return;
    }
    let place = lane * 2u * width + quad;
    var sum = vec4<f32>();
    var over = vec4<f32>(-3e38);
    if slice.fresh == 0u {
        sum = totals[place];
        over = totals[place + width];
    }
    // The first workgroup of the slice whose number leaves the rest `lane`.
    for (var group = (lane + 32u - slice.group % 32u) % 32u; group < slice.groups; group += 32u) {
        let source = group * 2u * width + quad;
        let more = partials[source];
        let more_over = partials[source + width];
        let top = max(over, more_over);
        sum = sum * power2(over - top) + more * power2(more_over - top);
        over = top;
    }
    totals[place] = sum;
    totals[place + width] = over;
}
