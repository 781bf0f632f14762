//! Pictures that are on the device already, in every form that is read.

use super::{Layout, app_adapter, app_device, app_device_of_least, texture_of};
use maskrcnn::engine::vision::scene;
use maskrcnn::{Detections, Detector, Device, GpuImage, Image, PixelFormat, wgpu};

/// The picture's pixels as a buffer has them: `offset` bytes, then rows `gap` bytes apart.
fn bytes_of(image: &Image, format: PixelFormat, offset: usize, gap: usize) -> Vec<u8> {
    let mut out = vec![7; offset];
    for row in image.rgb().chunks(3 * image.width() as usize) {
        for p in row.chunks(3) {
            match format {
                PixelFormat::Rgb => out.extend([p[0], p[1], p[2]]),
                PixelFormat::Rgba => out.extend([p[0], p[1], p[2], 99]),
                PixelFormat::Bgra => out.extend([p[2], p[1], p[0], 99]),
                _ => out.push(p[0]),
            }
        }
        out.extend(vec![55; gap]);
    }
    out.resize(out.len().next_multiple_of(4), 3);
    out
}

fn buffer_of(device: &wgpu::Device, bytes: &[u8]) -> wgpu::Buffer {
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: bytes.len() as u64,
        usage: wgpu::BufferUsages::STORAGE,
        mapped_at_creation: true,
    });
    buffer.get_mapped_range_mut(..).unwrap().copy_from_slice(bytes);
    buffer.unmap();
    buffer
}

/// Textures of every format, and buffers of every layout, give the network the bytes that the host would: the detections are
/// the same to the bit. Of the two sizes the first is enlarged, and of the second only some pixels are read.
#[test]
fn every_form_of_a_picture_is_the_picture() {
    let adapter = app_adapter();
    let helpful = Device::requirements(&adapter);
    let (device, queue) = app_device(&adapter, helpful.wanted_features, helpful.wanted_limits);
    let borrowed = Device::from_wgpu(&adapter, device.clone(), queue.clone()).unwrap();
    let detector = Detector::builder().device(&borrowed).build().unwrap();
    let mut config = detector.config().clone();
    // So that the second picture shrinks to less than half.
    (config.transform.min_size, config.transform.max_size) = (128, 160);
    let detector = Detector::builder().device(&borrowed).config(config).build().unwrap();
    for (w, h) in [(101, 83), (517, 389)] {
        let image = scene::nuclei(w, h, 7, 14).unwrap().image;
        let want = detector.detect(&image).unwrap();
        assert!(want.len() > 3, "{}", want.len());
        let check = |what: &str, picture: GpuImage| {
            assert_eq!((picture.width(), picture.height()), (w, h));
            let found: Detections = detector.detect_gpu(&picture).unwrap();
            assert!(found == want, "{what} of {w}x{h}: other detections");
        };
        for format in [
            wgpu::TextureFormat::Rgba8Unorm,
            wgpu::TextureFormat::Rgba8UnormSrgb,
            wgpu::TextureFormat::Bgra8Unorm,
            wgpu::TextureFormat::Bgra8UnormSrgb,
        ] {
            let texture = texture_of(&device, &queue, &image, format, Layout::Whole);
            check(&format!("{format:?}"), GpuImage::from_texture(&texture).unwrap());
            let texture = texture_of(&device, &queue, &image, format, Layout::Part);
            let part = GpuImage::from_texture(&texture).unwrap().layer(1).unwrap().region(13, 5, w, h).unwrap();
            check(&format!("a part of {format:?}"), part);
        }
        for (format, offset, gap) in [
            (PixelFormat::Rgb, 0, 0),
            (PixelFormat::Rgb, 517, 1),
            (PixelFormat::Rgba, 4, 12),
            (PixelFormat::Bgra, 1031, 3),
        ] {
            let buffer = buffer_of(&device, &bytes_of(&image, format, offset, gap));
            let row = w * format.bytes() as u32 + gap as u32;
            let picture = GpuImage::from_rows(&buffer, format, (w, h), offset as u64, row).unwrap();
            check(&format!("{format:?} from byte {offset} on"), picture);
            if (offset, gap) == (0, 0) {
                check("without gaps", GpuImage::from_buffer(&buffer, format, w, h).unwrap());
            }
        }
    }
    let grey = scene::nuclei(90, 70, 3, 6).unwrap().image;
    let want = detector.detect(&grey).unwrap();
    let buffer = buffer_of(&device, &bytes_of(&grey, PixelFormat::Grey, 0, 0));
    assert!(detector.detect_gpu(&GpuImage::from_buffer(&buffer, PixelFormat::Grey, 90, 70).unwrap()).unwrap() == want);
}

/// A part of rows in a buffer is what the same part of the image is.
#[test]
fn a_region_of_a_buffer_is_the_region() {
    let (adapter, device, queue) = app_device_of_least();
    let borrowed = Device::from_wgpu(&adapter, device.clone(), queue).unwrap();
    let detector = Detector::builder().device(&borrowed).build().unwrap();
    let image = scene::nuclei(150, 120, 9, 14).unwrap().image;
    let (x, y, w, h) = (31, 17, 96, 80);
    let rows = image.rgb().chunks(450).skip(y).take(h);
    let cut: Vec<u8> = rows.flat_map(|row| row[3 * x..3 * (x + w)].to_vec()).collect();
    let want = detector.detect(&Image::from_rgb8(w as u32, h as u32, cut).unwrap()).unwrap();
    let buffer = buffer_of(&device, &bytes_of(&image, PixelFormat::Bgra, 0, 0));
    let whole = GpuImage::from_buffer(&buffer, PixelFormat::Bgra, 150, 120).unwrap();
    let part = whole.clone().region(x as u32, y as u32, w as u32, h as u32).unwrap();
    assert!(detector.detect_gpu(&part).unwrap() == want && !want.is_empty());
    for (x, y, w, h) in [(100, 0, 51, 10), (0, 100, 10, 21), (0, 0, 0, 1), (u32::MAX, 0, 2, 1)] {
        let told = whole.clone().region(x, y, w, h).unwrap_err().to_string();
        assert!(told.contains("are not a part of 150x120"), "{told}");
    }
    assert!(whole.layer(0).unwrap_err().to_string().contains("no layers"));
}

#[test]
fn what_cannot_be_read_is_refused_in_words() {
    let (_, device, _) = app_device_of_least();
    let texture = |format, usage, samples| {
        device.create_texture(&wgpu::TextureDescriptor {
            label: None,
            size: wgpu::Extent3d { width: 8, height: 8, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: samples,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage,
            view_formats: &[],
        })
    };
    use wgpu::{TextureFormat as F, TextureUsages as U};
    let told = |t: wgpu::Texture| GpuImage::from_texture(&t).unwrap_err().to_string();
    assert!(told(texture(F::Rgba16Float, U::COPY_SRC, 1)).contains("Rgba16Float is not read: give one of Rgba8Unorm"));
    assert!(told(texture(F::Rgba8Unorm, U::COPY_DST, 1)).contains("lacks the usage COPY_SRC"));
    assert!(told(texture(F::Rgba8Unorm, U::RENDER_ATTACHMENT, 4)).contains("4 samples"));
    let buffer = |size, usage| {
        device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
    };
    let told = |b: wgpu::Buffer, size, offset, stride| {
        GpuImage::from_rows(&b, PixelFormat::Rgb, size, offset, stride).unwrap_err().to_string()
    };
    let storage = wgpu::BufferUsages::STORAGE;
    assert!(told(buffer(48, storage), (4, 4), 0, 11).contains("takes 12 bytes, and the stride is 11"));
    assert!(told(buffer(48, storage), (4, 4), 1, 12).contains("do not end within the 48 bytes"));
    assert!(told(buffer(48, storage), (4, 4), u64::MAX, 12).contains("do not end within the 48 bytes"));
    // The last word is not all there.
    assert!(told(buffer(27, storage), (3, 3), 0, 9).contains("whole words"));
    assert!(told(buffer(48, wgpu::BufferUsages::COPY_DST), (4, 4), 0, 12).contains("lacks the usage STORAGE"));
    assert!(told(buffer(48, storage), (0, 4), 0, 12).starts_with("image "));
}
