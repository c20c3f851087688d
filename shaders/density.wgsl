// How many points lie where, and in which mean colour: for the map when points would cover each other.
//
// Bindings (group 0)
//   0  uniform  View           as in points.wgsl
//   1  storage  array<Point>   as in points.wgsl
// Draw: a strip of 4 vertices, one instance a custom row; every row adds a small bell of (rgb * w, w) to an Rgba16Float
// target by additive blending. View.texel pixels of the layer make one texel.
// Limits: half floats add up exactly to about 2,000 rows a texel; beyond that the picture is saturated anyway.

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
    let by_hand = (point.bits & 0x30000000u) != 0u;
    let dropped_by_hand = (point.bits & 0x20000000u) != 0u;
    let dropped = select((point.bits & 0x0fffffffu) <= view.dropped, dropped_by_hand, by_hand);
    var colour = score_colour(f32(point.look & 0xffffu) / 65535.0);
    if view.mode == 1u {
        colour = view.custom;
    } else if view.mode == 2u {
        colour = select(view.kept, view.out, dropped);
    }
    if (point.bits & 0x80000000u) != 0u {
        colour = view.accent;
    }
    let local = vec2<f32>(f32(corner & 1u) * 2.0 - 1.0, f32(corner >> 1u) * 2.0 - 1.0) * 1.5;
    var out: Corner;
    let reach = local * view.texel / view.half_size;
    out.clip = vec4<f32>(point.position * view.scale + view.offset + reach, 0.0, 1.0);
    if (view.hidden & select(1u, 2u, dropped)) != 0u {
        out.clip = vec4<f32>(2.0, 2.0, 2.0, 1.0);
    }
    out.local = local;
    out.colour = vec4<f32>(colour.rgb, select(1.0, 0.06, (point.bits & 0x40000000u) != 0u));
    return out;
}

@fragment
fn fragment(in: Corner) -> @location(0) vec4<f32> {
    let weight = exp(-dot(in.local, in.local)) * 0.3183 * in.colour.a;
    return vec4<f32>(in.colour.rgb * weight, weight);
}
