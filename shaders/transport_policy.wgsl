// What happens next: the trace of a step, the damping, and whether the device stops and waits for the host.
//
// Include: transport.wgsl
// Bindings (group 0)
//   0  uniform  Problem
//   1  storage  vec4<f32>    read, what transport_columns.wgsl summed; count vec4 of each reference
//   2  storage  Control      read and write
//   3  storage  Point        write, the trace of this batch
//   4  uniform  u32          workgroups of transport_columns.wgsl a reference
// Shapes: one thread. The rules are those of push_pull.rs.

struct Point {
    residual: f32,
    objective: f32,
    share: f32,
    tau: f32,
    marginal: vec2<f32>,
    alpha: f32,
    mode: u32,
}

@group(0) @binding(0) var<uniform> problem: Problem;
@group(0) @binding(1) var<storage, read> sums: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> control: Control;
@group(0) @binding(3) var<storage, read_write> trace: array<Point>;
@group(0) @binding(4) var<uniform> count: vec4<u32>;

const FREEZE: f32 = 1e-5;
const PATIENCE: u32 = 20u;
const IMPROVEMENT: f32 = 0.9;
// Changes of g below this multiple of epsilon are rounding.
const NOISE: f32 = 1e-5;

fn improves(error: f32) -> bool {
    if error < IMPROVEMENT * control.best {
        control.best = error;
        control.since = 0u;
        return true;
    }
    control.since++;
    return false;
}

@compute @workgroup_size(1)
fn decide() {
    if control.halted != RUNNING {
        return;
    }
    var change = vec2<f32>();
    for (var side = 0u; side < 2u; side++) {
        var sum = vec4<f32>();
        for (var k = 0u; k < count.x; k++) {
            sum += sums[side * count.x + k];
        }
        sum *= problem.inverse[side];
        control.marginal[side] = sum.x;
        change[side] = sqrt(sum.y);
        control.mean[side] = sum.z;
        if sum.w > 0.0 || !is_finite(sum.z) {
            control.bad |= 2u << side;
            control.halted = BROKEN;
        }
    }
    let n = f32(problem.rows);
    let divergence = max(control.entropy + natural_log(n), 0.0);
    let dual = control.score + (1.0 - problem.lambda) * control.mean.x - problem.lambda * control.mean.y;
    var point: Point;
    point.residual = control.residual;
    point.objective = dual + control.tau * divergence;
    point.share = 1.0 / (n * control.square);
    point.tau = control.tau;
    point.marginal = control.marginal;
    point.alpha = control.alpha;
    point.mode = control.mode;
    trace[control.steps] = point;
    control.steps++;
    if control.halted != RUNNING {
        return;
    }
    if control.mode == SCALING {
        if control.residual <= FREEZE {
            control.halted = FROZEN;
        } else if !improves(control.residual) && control.since >= PATIENCE {
            if control.alpha <= problem.smallest_alpha {
                control.halted = STALLED;
            } else {
                control.alpha = max(0.5 * control.alpha, problem.smallest_alpha);
                control.best = control.residual;
                control.since = 0u;
            }
        }
        return;
    }
    for (var side = 0u; side < 2u; side++) {
        if change[side] > NOISE * problem.epsilon[side] && control.change[side] > change[side] {
            control.contraction[side] = change[side] / control.change[side];
        }
    }
    control.change = change;
    let error = max(control.marginal.x, control.marginal.y);
    if error <= control.tolerance || (!improves(error) && control.since >= control.patience) {
        control.halted = SETTLED;
    }
}
