// Pixels of a picture on the device, three bytes each, as the host would have sent them: those rows and columns that the
// resize reads. A thread a word: four bytes of two pixels.

struct Params {
    words: u32, columns: u32, rows: u32,
    total: u32, // bytes: 3 * rows * columns
    offset: u32, stride: u32, pixel: u32, // bytes
    red: u32, green: u32, blue: u32,
    grid_x: u32,
}

@slot var<uniform> p: Params;
@slot var<storage, read> source: array<u32>; // bytes in words
@slot var<storage, read> places: array<u32>; // [rows + columns]
@slot var<storage, read_write> bytes: array<u32>; // [words]

#import shared/pixels

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.words { return; }
    var word = 0u;
    for (var k = 0u; k < 4u; k++) {
        let at = 4u * i + k;
        if at < p.total {
            let n = at / 3u;
            let sample = at - 3u * n;
            let row = places[n / p.columns];
            let column = places[p.rows + n % p.columns];
            let channel = select(select(p.blue, p.green, sample == 1u), p.red, sample == 0u);
            word |= byte_at(p.offset + row * p.stride + column * p.pixel + channel) << (8u * k);
        }
    }
    bytes[i] = word;
}
