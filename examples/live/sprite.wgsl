// A texture on a rectangle.

struct Sprite {
    // Left, top, right and bottom, from -1 to 1 and from 1 to -1.
    edges: vec4f,
}

@group(0) @binding(0) var<uniform> sprite: Sprite;
@group(0) @binding(1) var picture: texture_2d<f32>;
@group(0) @binding(2) var reader: sampler;

struct Corner {
    @builtin(position) at: vec4f,
    @location(0) uv: vec2f,
}

@vertex
fn corner(@builtin(vertex_index) i: u32) -> Corner {
    let uv = vec2f(f32(i & 1), f32(i >> 1));
    return Corner(vec4f(mix(sprite.edges.xy, sprite.edges.zw, uv), 0, 1), uv);
}

@fragment
fn pixel(corner: Corner) -> @location(0) vec4f {
    return textureSample(picture, reader, corner.uv);
}
