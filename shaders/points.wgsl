// The map's points: one row or reference a point, drawn as an instanced quad.
//
// Bindings (group 0)
//   0  uniform  View           pan, zoom, cut and colours; 256 bytes
//   1  storage  array<Point>   read-only, 16 bytes a point, custom rows first
// Draw: a strip of 4 vertices, one instance a point, no vertex buffers; premultiplied alpha and gamma-space colours
// over a transparent Rgba8Unorm layer.
// Limits: points * 16 bytes must fit the adapter's max_storage_buffer_binding_size (128 MiB holds 8,388,608 points).
// Shape is the second cue beside colour: kept = disc, dropped = cross, safe = square, harmful = triangle, by hand and
// selected = ring around any.

struct View {
    // Clip position = position * scale + offset.
    scale: vec2<f32>,
    offset: vec2<f32>,
    // Half the layer in pixels.
    half_size: vec2<f32>,
    // Radius of a point in pixels.
    radius: f32,
    alpha: f32,
    // Ranks up to this are dropped by the machine; 1 is the most suspicious.
    dropped: u32,
    // Bit 0: size by weight.
    flags: u32,
    // Place of the cut on the colour scale: less suspicious points take its first half, the others its second.
    cut: f32,
    // Classes left out: bit 0 kept, 1 dropped, 2 safe, 3 harmful.
    hidden: u32,
    // Colour by: 0 the scale, 1 role, 2 decision.
    mode: u32,
    // Pixels of a texel of the density, its share of the picture, and its gain.
    texel: f32,
    density: f32,
    gain: f32,
    by_hand: vec4<f32>,
    accent: vec4<f32>,
    custom: vec4<f32>,
    safe: vec4<f32>,
    harmful: vec4<f32>,
    kept: vec4<f32>,
    out: vec4<f32>,
    // Straight alpha 1, from least to most suspicious.
    score: array<vec4<f32>, 5>,
}

struct Point {
    position: vec2<f32>,
    // Bits 0-15 place on the colour scale, 16-23 size, 24-25 role: 0 custom, 1 safe, 2 harmful.
    look: u32,
    // Bits 0-27 rank, 28 kept by hand, 29 dropped by hand, 30 outside the filter, 31 selected.
    bits: u32,
}

@group(0) @binding(0) var<uniform> view: View;
@group(0) @binding(1) var<storage, read> points: array<Point>;

struct Corner {
    @builtin(position) clip: vec4<f32>,
    @location(0) local: vec2<f32>,
    @location(1) @interpolate(flat) colour: vec4<f32>,
    // x = radius in pixels, y = shape: 0 disc, 1 cross, 2 square, 3 triangle.
    @location(2) @interpolate(flat) shape: vec2<f32>,
    @location(3) @interpolate(flat) ring: vec4<f32>,
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
    let role = (point.look >> 24u) & 3u;
    let kept_by_hand = (point.bits & 0x10000000u) != 0u;
    let dropped_by_hand = (point.bits & 0x20000000u) != 0u;
    let outside = (point.bits & 0x40000000u) != 0u;
    let selected = (point.bits & 0x80000000u) != 0u;
    let by_hand = kept_by_hand || dropped_by_hand;
    let dropped = select((point.bits & 0x0fffffffu) <= view.dropped, dropped_by_hand, by_hand);
    let class_bit = select(role + 1u, select(0u, 1u, dropped), role == 0u);

    var out: Corner;
    var colour = score_colour(f32(point.look & 0xffffu) / 65535.0);
    if role == 1u {
        colour = view.safe;
    } else if role == 2u {
        colour = view.harmful;
    } else if view.mode == 1u {
        colour = view.custom;
    } else if view.mode == 2u {
        colour = select(view.kept, view.out, dropped);
    }
    colour.a = select(select(view.alpha, view.alpha * 0.12, outside), 0.9, role != 0u);

    let weight = 0.45 + 1.8 * f32((point.look >> 16u) & 0xffu) / 255.0;
    let sized = select(1.0, weight, (view.flags & 1u) != 0u && role == 0u);
    let radius = view.radius * sized * select(1.0, 1.15, role != 0u);
    let ringed = by_hand || selected;
    // Room for the ring and one pixel of smooth edge.
    let extent = select(radius, radius + 3.0, ringed) + 1.0;
    let local = vec2<f32>(f32(corner & 1u) * 2.0 - 1.0, f32(corner >> 1u) * 2.0 - 1.0) * extent;
    out.clip = vec4<f32>(point.position * view.scale + view.offset + local / view.half_size, 0.0, 1.0);
    if (view.hidden & (1u << class_bit)) != 0u {
        out.clip = vec4<f32>(2.0, 2.0, 2.0, 1.0);
    }
    out.local = local;
    out.colour = colour;
    out.shape = vec2<f32>(radius, select(f32(role + 1u), select(0.0, 1.0, dropped), role == 0u));
    out.ring = vec4<f32>(0.0);
    if ringed {
        out.ring = vec4<f32>(select(view.accent.rgb, view.by_hand.rgb, by_hand), min(colour.a * 2.0, 1.0));
    }
    return out;
}

@fragment
fn fragment(in: Corner) -> @location(0) vec4<f32> {
    let radius = in.shape.x;
    let far = length(in.local);
    let square = abs(in.local);
    // Signed distances in pixels, negative inside.
    var body = far - radius;
    if in.shape.y > 2.5 {
        body = max(dot(vec2<f32>(square.x, in.local.y), vec2<f32>(0.866, 0.5)), -in.local.y) - radius * 0.62;
    } else if in.shape.y > 1.5 {
        body = max(square.x, square.y) - radius * 0.85;
    } else if in.shape.y > 0.5 {
        let turned = abs(vec2<f32>(in.local.x + in.local.y, in.local.x - in.local.y)) * 0.7071;
        body = max(min(turned.x, turned.y) - max(radius * 0.24, 0.7), max(turned.x, turned.y) - radius * 1.15);
    }
    let fill = clamp(0.5 - body, 0.0, 1.0) * in.colour.a;
    let ring = clamp(1.3 - abs(far - radius - 2.0), 0.0, 1.0) * in.ring.a;
    let alpha = max(fill, ring);
    if alpha <= 0.0 {
        discard;
    }
    let mixed = mix(in.colour.rgb, in.ring.rgb, ring / max(ring + fill, 0.001));
    return vec4<f32>(mixed * alpha, alpha);
}
