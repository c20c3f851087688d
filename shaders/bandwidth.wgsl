// Reads a buffer once and keeps its sum: how fast the adapter's memory is.
//
// Bindings (group 0)
//   0  storage  vec4<f32>    read, a multiple of 256 vec4 a workgroup
//   1  storage  vec4<f32>    write, a sum a workgroup
// Shapes: workgroup 256 threads; workgroup g reads every grid.x-th run of 256 vec4.

@group(0) @binding(0) var<storage, read> data: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> sums: array<vec4<f32>>;

var<workgroup> parts: array<vec4<f32>, 256>;

@compute @workgroup_size(256)
fn sum(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    var sum = vec4<f32>();
    let count = arrayLength(&data);
    for (var at = group.x * 256u + thread; at < count; at += grid.x * 256u) {
        sum += data[at];
    }
    parts[thread] = sum;
    workgroupBarrier();
    for (var width = 128u; width > 0u; width /= 2u) {
        if thread < width {
            parts[thread] += parts[thread + width];
        }
        workgroupBarrier();
    }
    if thread == 0u {
        sums[group.x] = parts[0];
    }
}
