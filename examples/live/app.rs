//! The window's events, and what happens in a frame.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use maskrcnn::{Device, wgpu};
use winit::application::ApplicationHandler;
use winit::dpi::PhysicalSize;
use winit::event::WindowEvent;
use winit::event_loop::{ActiveEventLoop, ControlFlow, EventLoop};
use winit::keyboard::{Key, NamedKey};
use winit::window::{Window, WindowId};

use crate::detection::{Detection, Step, texture};
use crate::report::{Phase, Report};
use crate::screen::{Drawn, Rect, Screen};
use crate::source::Source;
use crate::{Args, Outcome, text};

/// Detections until all is compiled, and slices are measured.
const WARM: usize = 4;

/// Frames that carry nothing, to learn what a frame takes by itself, and how much that scatters: about as many as a detection is
/// spread over.
const BARE: usize = 300;

/// So often the line of text is written anew.
const SAID: Duration = Duration::from_millis(250);

/// Opens the window, and draws until it is closed.
pub(crate) fn run(args: Args) -> Outcome {
    let source = Source::new(&args)?;
    let events = EventLoop::new().map_err(|e| format!("no window can be had: {e}"))?;
    events.set_control_flow(ControlFlow::Poll);
    let mut app = App { args, source: Some(source), view: None, ended: None };
    events.run_app(&mut app)?;
    if let Some(Err(e)) = app.ended {
        return Err(e);
    }
    let Some(view) = app.view else { return Ok(()) };
    view.leave(&app.args)
}

/// A window to be, or one that is.
struct App {
    args: Args,
    source: Option<Source>,
    view: Option<View>,
    ended: Option<Outcome>,
}

/// What is drawn.
struct View {
    screen: Screen,
    source: Source,
    detector: Detector,
    live: (wgpu::Texture, Drawn),
    /// A picture was written to it.
    plays: bool,
    line: (wgpu::Texture, Drawn),
    /// A white texel.
    white: Drawn,
    shown: Option<usize>,
    /// How much of the detection that is under way is recorded.
    progress: f32,
    report: Report,
    phase: Phase,
    warmed: usize,
    begun: Instant,
    /// Since when frames are counted.
    counting: Option<Instant>,
    said: Option<Instant>,
    words: String,
    /// Instances that were counted last, and on which of the played pictures.
    found: (usize, u64),
    took: Duration,
}

/// The engine, when it is ready.
enum Detector {
    Loading(Receiver<Result<Detection, String>>),
    /// With its canvases, as they are drawn.
    Ready(Box<Detection>, [[Drawn; 2]; 2]),
}

impl ApplicationHandler for App {
    fn resumed(&mut self, events: &ActiveEventLoop) {
        let Some(source) = self.source.take() else { return };
        match View::new(&self.args, source, events) {
            Ok(view) => self.view = Some(view),
            Err(e) => self.end(events, Err(e)),
        }
    }

    fn window_event(&mut self, events: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        let Some(view) = &mut self.view else { return };
        match event {
            WindowEvent::CloseRequested => self.end(events, Ok(())),
            WindowEvent::KeyboardInput { event, .. } if event.logical_key == Key::Named(NamedKey::Escape) => {
                self.end(events, Ok(()));
            }
            WindowEvent::Resized(size) => view.screen.resize(size),
            WindowEvent::RedrawRequested => match view.frame(&self.args) {
                Ok(true) => (),
                Ok(false) => self.end(events, Ok(())),
                Err(e) => self.end(events, Err(e)),
            },
            _ => (),
        }
    }

    fn about_to_wait(&mut self, _: &ActiveEventLoop) {
        if let Some(view) = &self.view {
            view.screen.window.request_redraw();
        }
    }
}

impl App {
    fn end(&mut self, events: &ActiveEventLoop, how: Outcome) {
        self.ended.get_or_insert(how);
        events.exit();
    }
}

impl View {
    fn new(args: &Args, source: Source, events: &ActiveEventLoop) -> Outcome<Self> {
        let (w, h) = args.size;
        let size = PhysicalSize::new(w * args.zoom, h * args.zoom + text::HEIGHT);
        let attributes = Window::default_attributes().with_title("maskrcnn").with_inner_size(size);
        let window = Arc::new(events.create_window(attributes)?);
        let screen = Screen::new(window, events.owned_display_handle(), args.device.as_deref())?;
        let drawn = |w, h| {
            let texture = texture(&screen.device, w, h);
            let drawn = screen.drawn(&texture);
            (texture, drawn)
        };
        let (live, line, (white, white_drawn)) = (drawn(w, h), drawn(size.width, text::HEIGHT), drawn(1, 1));
        screen.write(&white, &[255; 4]);

        // Shaders are compiled meanwhile, and the window is there.
        let (tell, told) = channel();
        let device = Device::from_wgpu(&screen.adapter, screen.device.clone(), screen.queue.clone())?;
        let is_cpu = screen.adapter.get_info().device_type == wgpu::DeviceType::Cpu;
        let (wgpu, args) = ((screen.device.clone(), screen.queue.clone()), args.clone());
        std::thread::spawn(move || {
            let made = Detection::new(&args, &device, (&wgpu.0, &wgpu.1, is_cpu));
            let _ = tell.send(made.map_err(|e| e.to_string()));
        });
        Ok(Self {
            screen,
            source,
            detector: Detector::Loading(told),
            live,
            plays: false,
            line,
            white: white_drawn,
            shown: None,
            progress: 0.0,
            report: Report::new(),
            phase: Phase::Warming,
            warmed: 0,
            begun: Instant::now(),
            counting: None,
            said: None,
            words: String::new(),
            found: (0, 0),
            took: Duration::ZERO,
        })
    }

    /// Draws a frame; says whether there is another.
    fn frame(&mut self, args: &Args) -> Outcome<bool> {
        self.loaded()?;
        let Some(onto) = self.screen.next()? else {
            // Nothing keeps us waiting then.
            std::thread::sleep(Duration::from_millis(5));
            return Ok(true);
        };
        let (tick, picture) = self.source.at(self.begun.elapsed())?;
        if let Some(picture) = picture {
            self.screen.write(&self.live.0, &picture);
            self.plays = true;
        }
        let mut encoder = self.screen.device.create_command_encoder(&Default::default());
        self.detect(&mut encoder, tick)?;
        encoder = self.timed(encoder)?;
        self.say();
        self.screen.draw(&mut encoder, &onto.texture, &self.sprites());
        self.screen.queue.submit([encoder.finish()]);
        self.screen.window.pre_present_notify();
        self.screen.queue.present(onto);
        self.report.presented(self.phase);
        // Hears of what is done, and waits for nothing.
        self.screen.device.poll(wgpu::PollType::Poll)?;

        if self.phase == Phase::Warming && self.warmed >= WARM {
            self.phase = Phase::Bare;
        }
        if self.phase == Phase::Bare && self.report.bare() >= BARE {
            self.phase = Phase::Counted;
            self.counting = Some(Instant::now());
        }
        let counted = self.counting.map_or(Duration::ZERO, |since| since.elapsed());
        Ok(args.seconds.is_none_or(|seconds| counted < Duration::from_secs(seconds.into())))
    }

    /// Takes the detector up where it is ready.
    fn loaded(&mut self) -> Outcome {
        let Detector::Loading(told) = &self.detector else { return Ok(()) };
        match told.try_recv() {
            Ok(made) => {
                let detection = Box::new(made?);
                let drawn = |texture: &wgpu::Texture| self.screen.drawn(texture);
                let drawn = detection.canvases.each_ref().map(|c| [drawn(&c.picture), drawn(&c.overlay)]);
                self.detector = Detector::Ready(detection, drawn);
                Ok(())
            }
            Err(TryRecvError::Empty) => Ok(()),
            Err(TryRecvError::Disconnected) => Err("the detector's thread has panicked".into()),
        }
    }

    /// Records this frame's part of a detection.
    fn detect(&mut self, encoder: &mut wgpu::CommandEncoder, tick: u64) -> Outcome {
        let Detector::Ready(detection, _) = &mut self.detector else { return Ok(()) };
        let idle = self.phase == Phase::Bare || !self.plays;
        match detection.step(&self.screen.device, encoder, (&self.live.0, tick), idle)? {
            Step::Nothing => (),
            Step::Part(done) => self.progress = done,
            Step::Drawn(canvas) => (self.shown, self.progress) = (Some(canvas), 1.0),
            Step::Counted(found, took) => {
                let of = self.shown.map_or(0, |canvas| detection.canvases[canvas].tick);
                (self.found, self.took) = ((found, of), took);
                self.warmed += 1;
                self.report.detected(took, self.phase);
            }
        }
        Ok(())
    }

    /// Times what was recorded, where the device cannot; the rest of the frame goes into the encoder that it gives.
    fn timed(&mut self, encoder: wgpu::CommandEncoder) -> Outcome<wgpu::CommandEncoder> {
        let Detector::Ready(detection, _) = &mut self.detector else { return Ok(encoder) };
        if !detection.is_timed_by_host() {
            return Ok(encoder);
        }
        let begun = Instant::now();
        let submission_index = Some(self.screen.queue.submit([encoder.finish()]));
        self.screen.device.poll(wgpu::PollType::Wait { submission_index, timeout: None })?;
        detection.took(begun.elapsed());
        Ok(self.screen.device.create_command_encoder(&Default::default()))
    }

    /// Writes the line of text, now and then.
    fn say(&mut self) {
        if self.said.is_some_and(|at| at.elapsed() < SAID) {
            return;
        }
        self.said = Some(Instant::now());
        let frame = self.report.lately(30).as_secs_f64() * 1e3;
        self.words = match &self.detector {
            Detector::Loading(_) => format!("{frame:.1} ms a frame, getting ready"),
            Detector::Ready(..) if self.took.is_zero() => format!("{frame:.1} ms a frame, first detection"),
            Detector::Ready(detection, _) => format!(
                "{} nuclei, {frame:.1} ms a frame, a detection {:.2} s in {} parts",
                self.found.0,
                self.took.as_secs_f64(),
                detection.parts
            ),
        };
        self.screen.write(&self.line.0, &text::line(&self.words, self.line.0.width()));
        self.screen.window.set_title(&format!("maskrcnn: {}", self.words));
    }

    /// The frame's rectangles: the picture that was detected last and its masks; what is being played, in the corner; the line
    /// of text, and over it how far the next detection is.
    fn sprites(&self) -> Vec<(&Drawn, Rect)> {
        let (w, h) = self.screen.size();
        let strip = text::HEIGHT as f32;
        let room = (w as f32, (h as f32 - strip).max(1.0));
        let (pw, ph) = (self.live.0.width() as f32, self.live.0.height() as f32);
        let scale = (room.0 / pw).min(room.1 / ph);
        // Whole pixels where there is room for them.
        let scale = if scale >= 1.0 { scale.floor() } else { scale };
        let whole =
            [((room.0 - pw * scale) / 2.0).floor(), ((room.1 - ph * scale) / 2.0).floor(), pw * scale, ph * scale];
        let mut all = Vec::new();
        match (&self.detector, self.shown) {
            (Detector::Ready(_, drawn), Some(canvas)) => all.extend(drawn[canvas].iter().map(|d| (d, whole))),
            _ => all.push((&self.live.1, whole)),
        }
        if self.shown.is_some() {
            let [x, y, width, height] = whole;
            let corner = [x + 0.75 * width, y + 0.75 * height, 0.25 * width, 0.25 * height];
            all.push((&self.white, [corner[0] - 2.0, corner[1] - 2.0, corner[2] + 2.0, corner[3] + 2.0]));
            all.push((&self.live.1, corner));
        }
        all.push((&self.line.1, [0.0, h as f32 - strip, self.line.0.width() as f32, strip]));
        all.push((&self.white, [0.0, h as f32 - strip, w as f32 * self.progress, 2.0]));
        all
    }

    /// What is left behind.
    fn leave(self, args: &Args) -> Outcome {
        if let Some(file) = &args.screenshot {
            self.screen.save(&self.sprites(), file)?;
        }
        if args.report {
            let mut report = self.report.json();
            let (parts, within, tick) = match (&self.detector, self.shown) {
                (Detector::Ready(detection, _), Some(canvas)) => {
                    (detection.parts, detection.within.as_millis(), detection.canvases[canvas].tick)
                }
                _ => (0, 0, 0),
            };
            report["device"] = self.screen.adapter.get_info().name.into();
            report["slice_ms"] = (within as u64).into();
            report["parts"] = parts.into();
            report["shown"] = serde_json::json!({ "tick": tick, "words": self.words });
            report["counted"] = serde_json::json!({ "tick": self.found.1, "instances": self.found.0 });
            println!("{report:#}");
        }
        Ok(())
    }
}
