//! What is said through the crate `log`, for who listens.

use std::sync::{Mutex, OnceLock};

use maskrcnn::engine::graph::Place;
use maskrcnn::{Detector, Image};

use super::detector::{crowded, own_device, picture, small};
use super::golden::file;

/// All that was said so far, by every test of this program.
static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Listener;

impl log::Log for Listener {
    fn enabled(&self, about: &log::Metadata) -> bool {
        about.target().starts_with("maskrcnn")
    }

    fn log(&self, record: &log::Record) {
        if self.enabled(record.metadata()) {
            SAID.lock().unwrap().push(format!("{} {}", record.level(), record.args()));
        }
    }

    fn flush(&self) {}
}

fn listen() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        log::set_logger(&Listener).expect("nobody else listens");
        log::set_max_level(log::LevelFilter::Debug);
    });
}

fn was_said(level: &str, part: &str) -> bool {
    SAID.lock().unwrap().iter().any(|line| line.starts_with(level) && line.contains(part))
}

#[test]
fn what_was_decided_is_said() {
    listen();
    let device = own_device();
    assert!(was_said("INFO", &format!("adapter chosen: {}", device.name())));

    let image = picture(250, 200, 5);
    let detector = Detector::builder().device(&device).weights_file(file()).config(crowded()).build().unwrap();
    detector.detect(&image).unwrap();
    assert!(detector.paste_replays() > 0 && was_said("DEBUG", "pasted again"));

    // Capacity for one image, and not for two.
    let whole = Detector::builder().device(&device).weights_file(file()).config(small()).build().unwrap();
    let plan = whole.plan(200, 250).unwrap();
    let lies = |&t: &usize| plan.places[t] != Place::None;
    let largest = (0..plan.graph.tensors.len()).filter(lies).map(|t| plan.bytes(t)).max().unwrap();
    let narrow = device.with_max_binding(largest);
    let detector = Detector::builder().device(&narrow).weights_file(file()).config(small()).build().unwrap();
    let images: [&Image; 2] = [&image, &image];
    assert_eq!(detector.detect_batch(images).unwrap().len(), 2);
    assert!(was_said("WARN", "a batch of 2 images does not fit"));
}
