// New g of every column from the totals of a sweep, and what their changes sum to.
//
// Include: transport.wgsl transport_tree.wgsl
// Bindings (group 0)
//   0  uniform  Problem
//   1  storage  f32          read, 32 x (totals, exponents they are over), a column each
//   2  storage  f32          read and write, g of all padded columns
//   3  storage  f32          write, g before
//   4  storage  vec4<f32>    write, a workgroup's sums of (marginal error, squared change, g, columns not finite)
//   5  storage  Control      read
// Shapes: workgroup 256 threads, a column each; grid (columns of a reference/256, 2); the sums of reference s and
// workgroup k lie at s * grid.x + k.

@group(0) @binding(0) var<uniform> problem: Problem;
@group(0) @binding(1) var<storage, read> totals: array<f32>;
@group(0) @binding(2) var<storage, read_write> columns: array<f32>;
@group(0) @binding(3) var<storage, read_write> before: array<f32>;
@group(0) @binding(4) var<storage, read_write> sums: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> control: Control;

@compute @workgroup_size(256)
fn renew(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    at: Thread,
) {
    let side = group.y;
    let local = group.x * 256u + at.index;
    var part = vec4<f32>();
    if control.halted == RUNNING && local < problem.real[side] {
        let column = select(0u, problem.split, side == 1u) + local;
        var top = -3e38;
        for (var lane = 0u; lane < 32u; lane++) {
            top = max(top, totals[(2u * lane + 1u) * problem.columns + column]);
        }
        var sum = 0.0;
        for (var lane = 0u; lane < 32u; lane++) {
            let over = totals[(2u * lane + 1u) * problem.columns + column];
            sum += totals[2u * lane * problem.columns + column] * power2(vec4<f32>(over - top)).x;
        }
        let share = natural_log(max(sum, 1e-37)) + top * LN2 - control.log_mass;
        let old = columns[column];
        let change = -problem.epsilon[side] * share;
        let new_value = old + change;
        before[column] = old;
        columns[column] = new_value;
        let fine = is_finite(new_value) && sum > 0.0;
        part = vec4<f32>(abs(exponential(share) - 1.0), change * change, new_value, select(1.0, 0.0, fine));
    }
    let all = sum4(part, at);
    if at.index == 0u {
        sums[side * grid.x + group.x] = all;
    }
}
