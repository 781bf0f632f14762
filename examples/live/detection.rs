//! The engine's side: a detection in parts, one a frame of the window, recorded into the app's own encoder.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use maskrcnn::{Detector, Device, GpuFrame, GpuImage, GpuResults, GpuTarget, OverlayStyle, wgpu};

use crate::{Args, Outcome};

/// What scores less is not drawn, and not counted.
const ABOVE: f32 = 0.5;

/// Parts of a detection whose times are taken: WebGPU's limit of queries in a set.
const TIMED: u32 = 2048;

/// A picture, and its masks on nothing: drawn over it by the app.
pub(crate) struct Canvas {
    pub(crate) picture: wgpu::Texture,
    pub(crate) overlay: wgpu::Texture,
    /// Which of the played pictures it is.
    pub(crate) tick: u64,
    image: GpuImage,
    target: GpuTarget,
}

/// Detections, one after the other.
pub(crate) struct Detection {
    detector: Detector,
    results: GpuResults,
    /// What a part may take.
    pub(crate) within: Duration,
    /// One is shown while the other is filled.
    pub(crate) canvases: [Canvas; 2],
    state: State,
    clock: Option<Clock>,
    /// What the parts so far have taken, by the host's clock.
    took: Vec<Duration>,
    answers: (Sender<wgpu::Buffer>, Receiver<wgpu::Buffer>),
    /// Parts of the last one.
    pub(crate) parts: usize,
}

enum State {
    /// The canvas that comes next.
    Idle(usize),
    Running(Running),
    /// Numbers are on their way to the host.
    Answering(Running),
}

struct Running {
    frame: GpuFrame,
    canvas: usize,
    begun: Instant,
    recorded: usize,
}

/// The device's own clock. A CPU as the device has none to go by: it marks times when it next has something to draw.
struct Clock {
    marks: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    /// Seconds of a tick.
    tick: f64,
}

/// What a frame of the window has brought.
pub(crate) enum Step {
    /// The network was not recorded in it.
    Nothing,
    /// A part, and how much of the detection is recorded.
    Part(f32),
    /// The last part: this canvas is whole when the frame is.
    Drawn(usize),
    /// How many instances there are on the canvas before, and for how long it was under way.
    Counted(usize, Duration),
}

impl Detection {
    /// Makes all ready; takes seconds, so on a thread of its own. `wgpu` are the app's device and queue, and whether it is a CPU.
    pub(crate) fn new(args: &Args, device: &Device, wgpu: (&wgpu::Device, &wgpu::Queue, bool)) -> Outcome<Self> {
        let mut config = Detector::embedded_weights()?.config()?;
        if let Some(side) = args.short_side {
            let longest = side as f64 * config.transform.max_size as f64 / config.transform.min_size as f64;
            (config.transform.min_size, config.transform.max_size) = (side as _, longest.round() as _);
        }
        let detector = Detector::builder().device(device).config(config).build()?;
        let (w, h) = args.size;
        let results = detector.gpu_results(w, h)?;
        let canvas = || -> Outcome<Canvas> {
            let picture = texture(wgpu.0, w, h);
            let overlay = texture(wgpu.0, w, h);
            let mut style = OverlayStyle::default();
            style.on_picture = false;
            let target = GpuTarget::new().results(&results).styled_overlay(&overlay, style).above(ABOVE);
            Ok(Canvas { image: GpuImage::from_texture(&picture)?, picture, overlay, target, tick: 0 })
        };
        let canvases = [canvas()?, canvas()?];
        // The first frame in parts has activations of its own made; it is begun and given back.
        let within = args.slice(wgpu.2);
        drop(detector.encode_in_parts(&canvases[0].image, &canvases[0].target, within)?);
        let clock = (wgpu.0.features().contains(CLOCK) && !wgpu.2).then(|| Clock::new(wgpu.0, wgpu.1));
        Ok(Self {
            detector,
            results,
            within,
            canvases,
            state: State::Idle(0),
            clock,
            took: Vec::new(),
            answers: channel(),
            parts: 0,
        })
    }

    /// Records what this frame of the window has of a detection. `live` is the picture that is being played, and its tick, of which the next
    /// detection will be; `idle` frames carry nothing new.
    pub(crate) fn step(
        &mut self,
        device: &wgpu::Device,
        encoder: &mut wgpu::CommandEncoder,
        (live, tick): (&wgpu::Texture, u64),
        idle: bool,
    ) -> Outcome<Step> {
        let (state, step) = match std::mem::replace(&mut self.state, State::Idle(0)) {
            State::Idle(canvas) if idle => (State::Idle(canvas), Step::Nothing),
            State::Idle(canvas) => {
                self.canvases[canvas].tick = tick;
                let Canvas { picture, image, target, .. } = &self.canvases[canvas];
                encoder.copy_texture_to_texture(live.as_image_copy(), picture.as_image_copy(), picture.size());
                let frame = self.detector.encode_in_parts(image, target, self.within)?;
                self.took.clear();
                self.record(device, encoder, Running { frame, canvas, begun: Instant::now(), recorded: 0 })?
            }
            State::Running(running) => self.record(device, encoder, running)?,
            State::Answering(mut running) => match self.answers.1.try_recv() {
                Err(_) => (State::Answering(running), Step::Nothing),
                Ok(answer) => {
                    let words: Vec<u32> = bytemuck::pod_collect_to_vec(&answer.get_mapped_range(..)?);
                    let (counted, times) = words.split_at(1 + self.results.most as usize);
                    let found = counted[1..].iter().take(counted[0] as usize);
                    let found = found.filter(|&&score| f32::from_bits(score) >= ABOVE).count();
                    // The next one is cut by what this one's parts have taken.
                    match &self.clock {
                        Some(clock) => running.frame.parts_took(&clock.parts(times)),
                        None => running.frame.parts_took(&self.took),
                    }
                    (State::Idle(1 - running.canvas), Step::Counted(found, running.begun.elapsed()))
                }
            },
        };
        self.state = state;
        Ok(step)
    }

    /// Whether what was recorded is to be submitted by itself, waited for, and its time told: where the device is a CPU, or has
    /// no clock. Waiting costs a CPU nothing, as it is the one that works.
    pub(crate) fn is_timed_by_host(&self) -> bool {
        self.clock.is_none() && !matches!(self.state, State::Idle(_))
    }

    /// For how long the device was at what was recorded last.
    pub(crate) fn took(&mut self, duration: Duration) {
        self.took.push(duration);
    }

    fn record(
        &mut self,
        device: &wgpu::Device,
        encoder: &mut wgpu::CommandEncoder,
        mut running: Running,
    ) -> Outcome<(State, Step)> {
        let at = 2 * running.recorded as u32;
        let clock = self.clock.as_ref().filter(|_| at < 2 * TIMED);
        clock.inspect(|clock| encoder.write_timestamp(&clock.marks, at));
        let more = running.frame.encode_next(encoder)?;
        clock.inspect(|clock| encoder.write_timestamp(&clock.marks, at + 1));
        running.recorded += 1;
        if more {
            let done = running.recorded as f32 / running.frame.parts() as f32;
            return Ok((State::Running(running), Step::Part(done)));
        }
        self.parts = running.recorded;
        self.ask(device, encoder, running.recorded as u32);
        let canvas = running.canvas;
        Ok((State::Answering(running), Step::Drawn(canvas)))
    }

    /// Has a few numbers come to the host, for the line of text: the pictures stay where they are.
    fn ask(&self, device: &wgpu::Device, encoder: &mut wgpu::CommandEncoder, parts: u32) {
        let scores = 4 * u64::from(self.results.most);
        let marks = 2 * parts.min(TIMED);
        let times = self.clock.as_ref().map_or(0, |_| 8 * u64::from(marks));
        let answer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("answer"),
            size: 4 + scores + times,
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        encoder.copy_buffer_to_buffer(&self.results.header, 0, &answer, 0, 4);
        encoder.copy_buffer_to_buffer(&self.results.scores, 0, &answer, 4, scores);
        if let Some(clock) = &self.clock {
            encoder.resolve_query_set(&clock.marks, 0..marks, &clock.resolved, 0);
            encoder.copy_buffer_to_buffer(&clock.resolved, 0, &answer, 4 + scores, times);
        }
        let (tell, answer_of) = (self.answers.0.clone(), answer.clone());
        encoder.map_buffer_on_submit(&answer, wgpu::MapMode::Read, .., move |mapped| {
            if mapped.is_ok() {
                let _ = tell.send(answer_of);
            }
        });
    }
}

/// What a device needs for its clock to be read between any two commands.
pub(crate) const CLOCK: wgpu::Features =
    wgpu::Features::TIMESTAMP_QUERY.union(wgpu::Features::TIMESTAMP_QUERY_INSIDE_ENCODERS);

impl Clock {
    fn new(device: &wgpu::Device, queue: &wgpu::Queue) -> Self {
        let (ty, count) = (wgpu::QueryType::Timestamp, 2 * TIMED);
        let marks = device.create_query_set(&wgpu::QuerySetDescriptor { label: Some("marks"), ty, count });
        let resolved = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("marks"),
            size: 8 * u64::from(count),
            usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        Self { marks, resolved, tick: f64::from(queue.get_timestamp_period()) * 1e-9 }
    }

    /// What parts have taken, from where they begin and end.
    fn parts(&self, words: &[u32]) -> Vec<Duration> {
        let at = |pair: &[u32]| u64::from(pair[0]) | u64::from(pair[1]) << 32;
        let part = |marks: &[u32]| at(&marks[2..]).saturating_sub(at(&marks[..2])) as f64 * self.tick;
        words.chunks_exact(4).map(|marks| Duration::from_secs_f64(part(marks))).collect()
    }
}

/// A texture for a picture.
pub(crate) fn texture(device: &wgpu::Device, width: u32, height: u32) -> wgpu::Texture {
    device.create_texture(&wgpu::TextureDescriptor {
        label: None,
        size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage: wgpu::TextureUsages::COPY_SRC | wgpu::TextureUsages::COPY_DST | wgpu::TextureUsages::TEXTURE_BINDING,
        view_formats: &[],
    })
}
