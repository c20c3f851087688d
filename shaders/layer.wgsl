// Lays the map's density and its layer of points over the window.
//
// Bindings (group 0)
//   0  uniform  View           as in points.wgsl; density, gain and flags are read
//   1  texture  layer          Rgba8Unorm, premultiplied, gamma space, the size of the viewport
//   2  texture  density        Rgba16Float, (rgb * w, w) summed
//   3  sampler  linear
// Draw: one triangle over the viewport, premultiplied alpha over the target.
// Limits: none beyond the size of a texture. Bit 1 of flags converts for a target that encodes sRGB itself.

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

@group(0) @binding(0) var<uniform> view: View;
@group(0) @binding(1) var layer: texture_2d<f32>;
@group(0) @binding(2) var density: texture_2d<f32>;
@group(0) @binding(3) var smooth_sampler: sampler;

struct Corner {
    @builtin(position) clip: vec4<f32>,
    @location(0) at: vec2<f32>,
}

@vertex
fn vertex(@builtin(vertex_index) index: u32) -> Corner {
    let corner = vec2<f32>(f32(index & 1u) * 4.0 - 1.0, f32(index >> 1u) * 4.0 - 1.0);
    return Corner(vec4<f32>(corner, 0.0, 1.0), vec2<f32>(corner.x, -corner.y) * 0.5 + 0.5);
}

fn to_linear(colour: vec3<f32>) -> vec3<f32> {
    let low = colour / 12.92;
    let high = pow((colour + 0.055) / 1.055, vec3<f32>(2.4));
    return select(high, low, colour <= vec3<f32>(0.04045));
}

@fragment
fn fragment(in: Corner) -> @location(0) vec4<f32> {
    let points = textureSampleLevel(layer, smooth_sampler, in.at, 0.0);
    let sum = textureSampleLevel(density, smooth_sampler, in.at, 0.0);
    // A single row is seen; a thousand are not a flat patch.
    let cover = (1.0 - exp(-sum.a * view.gain)) * view.density;
    let cloud = vec4<f32>(sum.rgb / max(sum.a, 1e-6), 1.0) * cover;
    let mixed = points + cloud * (1.0 - points.a);
    if (view.flags & 2u) == 0u || mixed.a <= 0.0 {
        return mixed;
    }
    return vec4<f32>(to_linear(mixed.rgb / mixed.a) * mixed.a, mixed.a);
}
