// The force map: one point a row, drawn as an instanced quad.
//
// Bindings (group 0)
//   0  uniform  View           pan, zoom, cut and colours; 144 bytes
//   1  storage  array<Point>   read-only, 16 bytes a point, n points
// Draw: 6 vertices, n instances, no vertex buffers, premultiplied alpha over the target, gamma-space colours
// (linear = 1 converts for a target that encodes sRGB itself).
// Limits: n * 16 bytes must fit the adapter's max_storage_buffer_binding_size (128 MiB holds 8,388,608 points).
// Shape is the second cue beside colour: kept = disc, dropped = triangle, by hand = ring around either.

struct View {
    // Clip position = position * scale + offset.
    scale: vec2<f32>,
    offset: vec2<f32>,
    // Half the viewport in pixels.
    half_size: vec2<f32>,
    // Radius of a point in pixels.
    radius: f32,
    alpha: f32,
    // Ranks up to this are dropped by the machine; 1 is the most suspicious.
    dropped: u32,
    linear: u32,
    // Place of the cut on the colour scale: less suspicious points take its first half, the others its second.
    cut: f32,
    padding: u32,
    by_hand: vec4<f32>,
    // Straight alpha 1, from least to most suspicious.
    score: array<vec4<f32>, 5>,
}

struct Point {
    position: vec2<f32>,
    // Place on the colour scale in [0, 1].
    unit: f32,
    // Bits 0-27 rank, bit 28 kept by hand, bit 29 dropped by hand, bit 30 outside the filter.
    bits: u32,
}

@group(0) @binding(0) var<uniform> view: View;
@group(0) @binding(1) var<storage, read> points: array<Point>;

struct Corner {
    @builtin(position) clip: vec4<f32>,
    @location(0) local: vec2<f32>,
    @location(1) @interpolate(flat) colour: vec4<f32>,
    // x = radius in pixels, y = 1 dropped, z = 1 by hand.
    @location(2) @interpolate(flat) shape: vec3<f32>,
}

fn score_colour(unit: f32) -> vec4<f32> {
    let below = 0.5 * unit / max(view.cut, 1e-6);
    let above = 0.5 + 0.5 * (unit - view.cut) / max(1.0 - view.cut, 1e-6);
    let place = clamp(select(above, below, unit <= view.cut), 0.0, 1.0) * 4.0;
    let low = min(u32(place), 3u);
    return mix(view.score[low], view.score[low + 1u], place - f32(low));
}

@vertex
fn vertex(@builtin(vertex_index) corner: u32, @builtin(instance_index) instance: u32) -> Corner {
    let point = points[instance];
    let rank = point.bits & 0x0fffffffu;
    let kept_by_hand = (point.bits & 0x10000000u) != 0u;
    let dropped_by_hand = (point.bits & 0x20000000u) != 0u;
    let outside = (point.bits & 0x40000000u) != 0u;
    let by_hand = kept_by_hand || dropped_by_hand;
    let dropped = select(rank <= view.dropped, dropped_by_hand, by_hand);

    // Room for the ring and one pixel of smooth edge.
    let radius = select(view.radius, view.radius + 3.0, by_hand);
    let extent = radius + 1.0;
    let index = array<u32, 6>(0u, 1u, 2u, 2u, 1u, 3u)[corner];
    let local = vec2<f32>(f32(index & 1u) * 2.0 - 1.0, f32(index >> 1u) * 2.0 - 1.0) * extent;

    var out: Corner;
    out.clip = vec4<f32>(point.position * view.scale + view.offset + local / view.half_size, 0.0, 1.0);
    out.local = local;
    out.colour = score_colour(point.unit);
    out.colour.a = select(view.alpha, view.alpha * 0.12, outside);
    out.shape = vec3<f32>(view.radius, f32(dropped), f32(by_hand));
    return out;
}

fn to_linear(colour: vec3<f32>) -> vec3<f32> {
    let low = colour / 12.92;
    let high = pow((colour + 0.055) / 1.055, vec3<f32>(2.4));
    return select(high, low, colour <= vec3<f32>(0.04045));
}

@fragment
fn fragment(in: Corner) -> @location(0) vec4<f32> {
    let radius = in.shape.x;
    let far = length(in.local);
    // Signed distances in pixels, negative inside.
    let disc = far - radius;
    let upward = vec2<f32>(abs(in.local.x), in.local.y);
    let triangle = max(dot(upward, vec2<f32>(0.866, 0.5)) - radius * 0.62, -in.local.y - radius * 0.62);
    let body = clamp(0.5 - select(disc, triangle, in.shape.y > 0.5), 0.0, 1.0) * in.colour.a;
    let ring = clamp(1.3 - abs(far - radius - 2.0), 0.0, 1.0) * in.shape.z * min(in.colour.a * 2.0, 1.0);
    let alpha = max(body, ring);
    if alpha <= 0.0 {
        discard;
    }
    let mixed = mix(in.colour.rgb, view.by_hand.rgb, ring / max(ring + body, 0.001));
    let rgb = select(mixed, to_linear(mixed), view.linear == 1u);
    return vec4<f32>(rgb * alpha, alpha);
}
