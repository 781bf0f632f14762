//! The network in the app's own frame: one submit of the app's, and the host hears nothing.

use super::{Layout, app_adapter, app_device, app_device_of_least, texture_of};
use maskrcnn::engine::vision::scene;
use maskrcnn::{Detections, Detector, Device, GpuImage, GpuResults, GpuTarget, Image, Mask, OverlayStyle, wgpu};

/// A device of the app's with a detector on it.
struct App {
    device: wgpu::Device,
    queue: wgpu::Queue,
    borrowed: Device,
    detector: Detector,
}

impl App {
    /// On a device with what we asked for.
    fn new() -> Self {
        let adapter = app_adapter();
        let helpful = Device::requirements(&adapter);
        let (device, queue) = app_device(&adapter, helpful.wanted_features, helpful.wanted_limits);
        Self::on(adapter, device, queue)
    }

    /// On one of the least abilities, on which a CPU takes ten times as long.
    fn of_least() -> Self {
        let (adapter, device, queue) = app_device_of_least();
        Self::on(adapter, device, queue)
    }

    fn on(adapter: wgpu::Adapter, device: wgpu::Device, queue: wgpu::Queue) -> Self {
        let borrowed = Device::from_wgpu(&adapter, device.clone(), queue.clone()).unwrap();
        let mut config = Detector::embedded_weights().unwrap().config().unwrap();
        // A CPU is at it for long otherwise.
        (config.transform.min_size, config.transform.max_size) = (160, 224);
        config.rpn.post_nms_top_n = 100;
        let detector = Detector::builder().device(&borrowed).config(config).build().unwrap();
        Self { device, queue, borrowed, detector }
    }

    fn texture(&self, image: &Image, format: wgpu::TextureFormat) -> wgpu::Texture {
        texture_of(&self.device, &self.queue, image, format, Layout::Whole)
    }

    fn empty(&self, w: u32, h: u32, format: wgpu::TextureFormat) -> wgpu::Texture {
        self.device.create_texture(&wgpu::TextureDescriptor {
            label: None,
            size: wgpu::Extent3d { width: w, height: h, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage: wgpu::TextureUsages::COPY_DST | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[],
        })
    }

    fn encoder(&self) -> wgpu::CommandEncoder {
        self.device.create_command_encoder(&Default::default())
    }

    /// The first words of a buffer, as the app reads them.
    fn words(&self, buffer: &wgpu::Buffer) -> Vec<u32> {
        let back = self.back(buffer.size());
        let mut encoder = self.encoder();
        encoder.copy_buffer_to_buffer(buffer, 0, &back, 0, buffer.size());
        self.read(encoder, &back)
    }

    /// A texture's texels, row by row.
    fn texels(&self, texture: &wgpu::Texture) -> Vec<u32> {
        let (w, h) = (texture.width(), texture.height());
        let pitch = (4 * w).next_multiple_of(256);
        let back = self.back(u64::from(pitch * h));
        let mut encoder = self.encoder();
        let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(pitch), rows_per_image: Some(h) };
        let to = wgpu::TexelCopyBufferInfo { buffer: &back, layout };
        encoder.copy_texture_to_buffer(texture.as_image_copy(), to, texture.size());
        let all = self.read(encoder, &back);
        all.chunks(pitch as usize / 4).flat_map(|row| row[..w as usize].to_vec()).collect()
    }

    fn back(&self, size: u64) -> wgpu::Buffer {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        self.device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
    }

    fn read(&self, encoder: wgpu::CommandEncoder, back: &wgpu::Buffer) -> Vec<u32> {
        self.queue.submit([encoder.finish()]);
        back.slice(..).map_async(wgpu::MapMode::Read, |r| r.unwrap());
        self.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        bytemuck::pod_collect_to_vec(&back.get_mapped_range(..).unwrap())
    }

    /// What lies in results, by the layout that their docs tell.
    fn found(&self, results: &GpuResults) -> Vec<([f32; 4], f32, u32, Mask)> {
        let [header, boxes, scores, labels] =
            [&results.header, &results.boxes, &results.scores, &results.labels].map(|b| self.words(b));
        let masks = results.masks.as_ref().unwrap();
        let (places, bits) = (self.words(&masks.places), self.words(&masks.bits));
        assert_eq!(
            (boxes.len(), scores.len(), labels.len()),
            (4 * results.most as usize, results.most as usize, scores.len())
        );
        assert_eq!((places.len(), bits.len()), (8 * results.most as usize, masks.words as usize));
        assert!(header[1] <= masks.words);
        let float = f32::from_bits;
        let one = |i: usize| {
            let [x, y, w, h, at] = [0, 1, 2, 3, 4].map(|k| places[8 * i + k]);
            let words = (w.div_ceil(32) * h) as usize;
            let bits = bits[at as usize..at as usize + words].to_vec();
            let mask = if w == 0 || h == 0 { Mask::default() } else { Mask::from_bits(x, y, w, h, bits).unwrap() };
            ([0, 1, 2, 3].map(|k| float(boxes[4 * i + k])), float(scores[i]), labels[i], mask)
        };
        (0..header[0] as usize).map(one).collect()
    }

    fn assert_found(&self, results: &GpuResults, want: &Detections) {
        let got = self.found(results);
        assert_eq!(got.len(), want.len());
        for ((bbox, score, label, mask), want) in got.iter().zip(want.iter()) {
            let same = (*bbox, *score, *label) == (want.bbox, want.score, want.label);
            assert!(same && *mask == want.mask, "{bbox:?} {score} for {:?} {}", want.bbox, want.score);
        }
    }
}

/// Ids as they should be: painted from the last to the first.
fn ids_of(found: &Detections, above: f32) -> Vec<u32> {
    ids_where(found, |i| found[i].score >= above)
}

/// The same of those that `drawn` lets through.
fn ids_where(found: &Detections, drawn: impl Fn(usize) -> bool) -> Vec<u32> {
    let (w, h) = (found.width, found.height);
    let mut ids = vec![0; (w * h) as usize];
    for (i, one) in found.iter().enumerate().rev().filter(|(i, _)| drawn(*i)) {
        for run in one.mask.runs() {
            (run.x0..run.x1).for_each(|x| ids[(run.y * w + x) as usize] = i as u32 + 1);
        }
    }
    ids
}

const RGBA: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;
const BGRA: wgpu::TextureFormat = wgpu::TextureFormat::Bgra8UnormSrgb;
const IDS: wgpu::TextureFormat = wgpu::TextureFormat::R32Uint;

/// A texture in, an overlay and ids out, in one submit of the app's: no map, no buffer, no write, no submit of ours.
#[test]
fn a_frame_of_the_app_s_is_the_app_s() {
    for app in [App::new(), App::of_least()] {
        a_frame_is_the_app_s(&app);
    }
}

fn a_frame_is_the_app_s(app: &App) {
    let images = [5, 6].map(|seed| scene::nuclei(230, 170, seed, 16).unwrap().image);
    let want = images.each_ref().map(|image| app.detector.detect(image).unwrap());
    assert!(want.iter().all(|w| w.len() > 5) && want[0] != want[1]);
    let results = app.detector.gpu_results(230, 170).unwrap();
    let (overlay, ids) = (app.empty(230, 170, RGBA), app.empty(230, 170, IDS));
    let target = GpuTarget::new().results(&results).overlay(&overlay).ids(&ids).above(0.6);
    let textures = images.each_ref().map(|image| app.texture(image, RGBA));
    // The first frame makes what the others find.
    let frame = |i: usize| {
        let mut encoder = app.encoder();
        app.detector.encode(&mut encoder, &GpuImage::from_texture(&textures[i]).unwrap(), &target).unwrap();
        app.queue.submit([encoder.finish()]);
    };
    frame(1);
    let before = app.borrowed.counters();
    for i in [0, 1, 0] {
        frame(i);
        assert_eq!(app.borrowed.counters(), before, "the host was heard of");
        app.assert_found(&results, &want[i]);
        let want_ids = ids_of(&want[i], 0.6);
        assert!(app.texels(&ids) == want_ids, "ids of picture {i}");
        let drawn = app.texels(&overlay);
        for (at, (&texel, &id)) in drawn.iter().zip(&want_ids).enumerate() {
            let plain = u32::from_le_bytes([
                images[i].rgb()[3 * at],
                images[i].rgb()[3 * at + 1],
                images[i].rgb()[3 * at + 2],
                255,
            ]);
            assert!(texel == plain || id > 0, "pixel {at} is no instance's, and is drawn");
            assert!(texel >> 24 == 255);
        }
        let tinted = drawn.iter().zip(&want_ids).zip(images[i].rgb().chunks(3));
        let changed = tinted.filter(|((texel, id), p)| **id > 0 && texel.to_le_bytes()[..3] != **p).count();
        assert!(changed * 10 > 9 * want_ids.iter().filter(|id| **id > 0).count(), "{changed}");
        assert_eq!(app.borrowed.counters(), before);
    }
}

/// Two pictures in one encoder: the first one's results are its own. And an encoder that is submitted when the detector has
/// long been at something else.
#[test]
fn frames_in_one_encoder_and_late_ones_are_right() {
    let app = App::new();
    let images = [5, 6].map(|seed| scene::nuclei(160, 120, seed, 12).unwrap().image);
    let other = scene::nuclei(90, 140, 8, 7).unwrap().image;
    let want = images.each_ref().map(|image| app.detector.detect(image).unwrap());
    assert!(want[0] != want[1]);
    let make = || app.detector.gpu_results(160, 120).unwrap();
    let (results, ids) = ([make(), make()], [app.empty(160, 120, IDS), app.empty(160, 120, IDS)]);
    let other_results = app.detector.gpu_results(90, 140).unwrap();
    let mut encoder = app.encoder();
    let pictures = images.each_ref().map(|image| GpuImage::from_texture(&app.texture(image, BGRA)).unwrap());
    for i in 0..2 {
        let target = GpuTarget::new().results(&results[i]).ids(&ids[i]);
        app.detector.encode(&mut encoder, &pictures[i], &target).unwrap();
        // One of another size between them.
        let picture = GpuImage::from_texture(&app.texture(&other, RGBA)).unwrap();
        app.detector.encode(&mut encoder, &picture, &GpuTarget::new().results(&other_results)).unwrap();
    }
    let pending = app.detector.submit(&other).unwrap();
    app.queue.submit([encoder.finish()]);
    let found = pending.wait().unwrap();
    for i in 0..2 {
        app.assert_found(&results[i], &want[i]);
        assert!(app.texels(&ids[i]) == ids_of(&want[i], 0.0));
    }
    app.assert_found(&other_results, &found);
    assert!(found == app.detector.detect(&other).unwrap());
}

/// Two threads record and submit at once, each into buffers of its own.
#[test]
fn threads_record_at_once() {
    let app = App::new();
    let images = [5, 6].map(|seed| scene::nuclei(110, 90, seed, 8).unwrap().image);
    let want = images.each_ref().map(|image| app.detector.detect(image).unwrap());
    assert!(want[0] != want[1] && want.iter().all(|w| w.len() > 2));
    let work = |first: usize| {
        let results = app.detector.gpu_results(110, 90).unwrap();
        for i in 0..4 {
            let at = (first + i) % 2;
            let picture = GpuImage::from_texture(&app.texture(&images[at], RGBA)).unwrap();
            let mut encoder = app.encoder();
            app.detector.encode(&mut encoder, &picture, &GpuTarget::new().results(&results)).unwrap();
            app.queue.submit([encoder.finish()]);
            app.assert_found(&results, &want[at]);
        }
    };
    std::thread::scope(|s| {
        s.spawn(|| work(0));
        s.spawn(|| work(1));
    });
}

/// Overlays of every form: on the picture, on nothing, by class, into either order of bytes.
#[test]
fn overlays_are_drawn_as_they_are_told() {
    let app = App::new();
    let image = scene::nuclei(131, 97, 5, 10).unwrap().image;
    let found = app.detector.detect(&image).unwrap();
    let ids = ids_of(&found, 0.0);
    let picture = GpuImage::from_texture(&app.texture(&image, BGRA)).unwrap();
    let draw = |format, change: fn(&mut OverlayStyle)| {
        let texture = app.empty(131, 97, format);
        let mut style = OverlayStyle::default();
        change(&mut style);
        let mut encoder = app.encoder();
        app.detector.encode(&mut encoder, &picture, &GpuTarget::new().styled_overlay(&texture, style)).unwrap();
        app.queue.submit([encoder.finish()]);
        app.texels(&texture)
    };
    let plain = draw(RGBA, |_| {});
    let swapped: Vec<u32> =
        draw(BGRA, |_| {}).iter().map(|t| t & 0xff00_ff00 | t >> 16 & 255 | (t & 255) << 16).collect();
    assert!(plain == swapped, "blue first");
    // A line of no width and no fill is the picture.
    let bare = draw(RGBA, |s| (s.fill, s.line) = (0.0, 0));
    let pixels = image.rgb().chunks(3).map(|p| u32::from_le_bytes([p[0], p[1], p[2], 255]));
    assert!(bare.into_iter().eq(pixels), "nothing drawn");
    let alone = draw(RGBA, |s| s.on_picture = false);
    assert!(alone.iter().zip(&ids).all(|(texel, id)| (*id > 0) == (texel >> 24 > 0)));
    let colour = |texel: u32| texel & 0xff_ffff;
    let of = |all: &[u32], id: u32| all[ids.iter().position(|i| *i == id).unwrap()];
    let seen: Vec<u32> = (1..=found.len() as u32).filter(|id| ids.contains(id)).collect();
    let colours: std::collections::BTreeSet<u32> = seen.iter().map(|&id| colour(of(&alone, id))).collect();
    assert!(colours.len() == seen.len() && seen.len() > 3, "each its own");
    let classes = draw(RGBA, |s| (s.on_picture, s.by_class) = (false, true));
    let colours: std::collections::BTreeSet<u32> = seen.iter().map(|&id| colour(of(&classes, id))).collect();
    assert_eq!(colours.len(), 1, "one class, one colour");
    let [r, g, b] = maskrcnn::engine::vision::class_colour(1);
    assert_eq!(colour(of(&classes, seen[0])), u32::from_le_bytes([r, g, b, 0]));
}

/// A frame in parts, one submit each, is the frame: whatever is recorded, run or begun between them.
#[test]
fn a_frame_in_parts_is_the_frame() {
    let app = App::new();
    let images = [5, 6].map(|seed| scene::nuclei(130, 100, seed, 10).unwrap().image);
    let want = images.each_ref().map(|image| app.detector.detect(image).unwrap());
    let pictures = images.each_ref().map(|image| GpuImage::from_texture(&app.texture(image, RGBA)).unwrap());
    let make = || app.detector.gpu_results(130, 100).unwrap();
    let (results, ids, other) = (make(), app.empty(130, 100, IDS), make());
    let target = GpuTarget::new().results(&results).ids(&ids);
    let mut frame = app.detector.encode_in_parts(&pictures[0], &target, std::time::Duration::from_millis(2)).unwrap();
    let parts = frame.parts();
    assert!(parts > 2, "{parts} parts");
    let (mut done, mut more) = (0, true);
    while more {
        let mut encoder = app.encoder();
        more = frame.encode_next(&mut encoder).unwrap();
        app.queue.submit([encoder.finish()]);
        done += 1;
        if done == 2 {
            let mut encoder = app.encoder();
            app.detector.encode(&mut encoder, &pictures[1], &GpuTarget::new().results(&other)).unwrap();
            app.queue.submit([encoder.finish()]);
            assert!(app.detector.detect(&images[1]).unwrap() == want[1]);
        }
    }
    assert_eq!(done, parts);
    assert!(frame.is_done() && !frame.encode_next(&mut app.encoder()).unwrap());
    app.assert_found(&results, &want[0]);
    app.assert_found(&other, &want[1]);
    assert!(app.texels(&ids) == ids_of(&want[0], 0.0));
    // What was measured counts for the next.
    frame.took(std::time::Duration::from_secs(10));
    drop(frame);
    let frame = app.detector.encode_in_parts(&pictures[0], &target, std::time::Duration::from_millis(100)).unwrap();
    let slow = frame.parts();
    assert!(slow > 20, "{slow} parts of a tenth of a second, of ten");
}

#[test]
fn what_cannot_be_drawn_is_refused_before_it_is_recorded() {
    let app = App::new();
    let image = scene::nuclei(64, 64, 5, 3).unwrap().image;
    let picture = GpuImage::from_texture(&app.texture(&image, RGBA)).unwrap();
    let told = |detector: &Detector, target: GpuTarget| {
        let mut encoder = app.encoder();
        let told = detector.encode(&mut encoder, &picture, &target).unwrap_err().to_string();
        // Nothing in it: it can be finished.
        encoder.finish();
        told
    };
    let of_size = |w, format| app.empty(w, 64, format);
    assert!(told(&app.detector, GpuTarget::new().ids(&of_size(64, RGBA))).contains("give one of R32Uint"));
    assert!(told(&app.detector, GpuTarget::new().overlay(&of_size(64, IDS))).contains("give one of Rgba8Unorm"));
    assert!(told(&app.detector, GpuTarget::new().overlay(&of_size(63, RGBA))).contains("is of 63x64 texels"));
    let boxes = Detector::builder().device(&app.borrowed).boxes_only().build().unwrap();
    assert!(told(&boxes, GpuTarget::new().ids(&of_size(64, IDS))).contains("masks, which this network has not"));
    // Boxes alone go to buffers all the same.
    let (results, mut encoder) = (boxes.gpu_results(64, 64).unwrap(), app.encoder());
    boxes.encode(&mut encoder, &picture, &GpuTarget::new().results(&results)).unwrap();
    app.queue.submit([encoder.finish()]);
    assert!(results.masks.is_none());
    assert_eq!(app.words(&results.header)[0] as usize, boxes.detect(&image).unwrap().len());
}

/// What parts took counts for the next frame: the drawing, which was slow, is done in shares, and draws the same.
#[test]
fn parts_are_cut_by_what_they_took() {
    let app = App::new();
    let image = scene::nuclei(130, 100, 5, 10).unwrap().image;
    let want = app.detector.detect(&image).unwrap();
    let picture = GpuImage::from_texture(&app.texture(&image, RGBA)).unwrap();
    let (results, ids) = (app.detector.gpu_results(130, 100).unwrap(), app.empty(130, 100, IDS));
    let overlays = [0, 1].map(|_| app.empty(130, 100, RGBA));
    let ms = std::time::Duration::from_millis;
    let run = |overlay: &wgpu::Texture| {
        let target = GpuTarget::new().results(&results).ids(&ids).overlay(overlay);
        let mut frame = app.detector.encode_in_parts(&picture, &target, ms(10)).unwrap();
        let mut more = true;
        while more {
            let mut encoder = app.encoder();
            more = frame.encode_next(&mut encoder).unwrap();
            app.queue.submit([encoder.finish()]);
        }
        assert!(app.texels(&ids) == ids_of(&want, 0.0));
        app.assert_found(&results, &want);
        frame
    };
    let mut frame = run(&overlays[0]);
    let parts = frame.parts();
    // A millisecond of each, a tenth of a slice, is no step's.
    let mut took = vec![ms(7); parts];
    took[parts - 1] = ms(200);
    frame.parts_took(&took);
    drop(frame);
    let mut frame = run(&overlays[1]);
    assert!(frame.parts() > parts + 20, "{} parts after {parts}", frame.parts());
    assert!(app.texels(&overlays[0]) == app.texels(&overlays[1]));
    // A network that was slow is cut finer.
    let parts = frame.parts();
    frame.parts_took(&vec![ms(20); parts]);
    drop(frame);
    let frame = run(&overlays[1]);
    assert!(frame.parts() > parts + parts / 2, "{} parts after {parts}", frame.parts());
    assert!(app.texels(&overlays[0]) == app.texels(&overlays[1]));
}

/// Masks that find no room are left out, each as a whole, and the header tells; who asks for room gets them.
#[test]
fn masks_find_the_room_that_was_asked_for() {
    let app = App::new();
    let image = scene::nuclei(360, 170, 5, 16).unwrap().image;
    let picture = GpuImage::from_texture(&app.texture(&image, RGBA)).unwrap();
    // Nothing but large boxes that lie over each other.
    let mut config = app.detector.config().clone();
    (config.rpn.nms_thresh, config.box_head.nms_thresh, config.box_head.score_thresh) = (1.0, 1.0, 0.0);
    (config.transform.min_size, config.transform.max_size) = (96, 192);
    (config.rpn.min_size, config.box_head.min_size) = (30.0, 30.0);
    config.box_head.detections_per_img = 100;
    let builder = || Detector::builder().device(&app.borrowed).config(config.clone());
    let record = |detector: &Detector| {
        let (results, ids) = (detector.gpu_results(360, 170).unwrap(), app.empty(360, 170, IDS));
        let mut encoder = app.encoder();
        detector.encode(&mut encoder, &picture, &GpuTarget::new().results(&results).ids(&ids)).unwrap();
        app.queue.submit([encoder.finish()]);
        (results, app.texels(&ids))
    };
    let detector = builder().build().unwrap();
    let want = detector.detect(&image).unwrap();

    let (few, ids) = record(&detector);
    let (header, masks) = (app.words(&few.header), few.masks.as_ref().unwrap());
    let (places, bits) = (app.words(&masks.places), app.words(&masks.bits));
    assert_eq!(header[0] as usize, want.len());
    assert!(header[1] > masks.words, "{} words test nothing", header[1]);
    let of = |i: usize| [4, 2, 3].map(|k| places[8 * i + k]);
    let ends = |i: usize| of(i)[0] + of(i)[1].div_ceil(32) * of(i)[2];
    let fits = |i: usize| ends(i) <= masks.words;
    let kept = (0..want.len()).filter(|&i| fits(i)).count();
    assert!(kept > 5 && kept < want.len(), "{kept} masks of {}", want.len());
    for i in (0..want.len()).filter(|&i| fits(i)) {
        let [at, ..] = of(i);
        let inside: u32 = bits[at as usize..ends(i) as usize].iter().map(|word| word.count_ones()).sum();
        assert_eq!(u64::from(inside), want[i].mask.area(), "mask {i}");
    }
    assert!(ids == ids_where(&want, fits) && ids != ids_of(&want, 0.0));

    // In as many masks as are found, each is at most the picture.
    let roomy = builder().mask_room(want.len() as u32).build().unwrap().beside(config.clone()).unwrap();
    let (all, ids) = record(&roomy);
    app.assert_found(&all, &want);
    assert!(ids == ids_of(&want, 0.0));
    let told = builder().mask_room(1 << 20).build().unwrap().gpu_results(360, 170).unwrap_err().to_string();
    assert!(told.contains("1048576 masks of 360×170 pixels") && told.contains("`mask_room`"), "{told}");
}
