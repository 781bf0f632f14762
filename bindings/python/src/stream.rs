//! Images one after the other: taken from Python, worked on by threads, and given back in order.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use maskrcnn::{Detector as Engine, Error, Options};
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::detections::Detections;
use crate::detector::Detector;
use crate::errors::{Failure, guarded, said};
use crate::logs;
use crate::picture::{Order, Picture, Source, named, source};

/// Batches that are on their way: one on the device, one that is decoded, one whose answer is looked at.
const AHEAD: usize = 3;

/// Threads of all streams.
static RUNNING: AtomicUsize = AtomicUsize::new(0);
/// Set when Python ends: what was not begun is not done.
static OVER: AtomicBool = AtomicBool::new(false);

/// How images are to be worked on.
#[derive(Clone, Copy)]
pub(crate) struct Wish {
    /// Images that go through the network together.
    pub batch: usize,
    format: Option<Order>,
    soft_masks: bool,
    /// Whether what is wrong with an image is given back in its place.
    returned: bool,
}

impl Wish {
    pub(crate) fn new(batch: usize, format: Option<&str>, soft_masks: bool, on_error: &str) -> PyResult<Self> {
        let returned = match on_error {
            "raise" => false,
            "return" => true,
            _ => {
                return Err(PyValueError::new_err(format!(
                    "on_error is \"raise\" or \"return\", and not {on_error:?}"
                )));
            }
        };
        Ok(Self { batch, format: format.map(Order::parse).transpose()?, soft_masks, returned })
    }
}

/// What was found in an image, and what was assumed of it.
type Answer = Result<(maskrcnn::Detections, Vec<String>), Failure>;

/// A batch on its way.
struct Job {
    answers: JoinHandle<Vec<Answer>>,
    /// Images in it.
    count: usize,
}

struct State {
    images: Option<Py<PyAny>>,
    jobs: VecDeque<Job>,
    ready: VecDeque<Answer>,
    /// Images taken so far.
    taken: usize,
}

/// Detections of images as they come: what `Detector.detect_iter` gives. An iterator; it can be left at any time.
#[pyclass(module = "maskrcnn", frozen, name = "DetectionStream")]
pub(crate) struct Stream {
    detector: Py<Detector>,
    engine: Arc<Engine>,
    wish: Wish,
    masked: bool,
    /// Set when nobody asks any more.
    left: Arc<AtomicBool>,
    state: Mutex<State>,
}

impl Stream {
    pub(crate) fn new(
        detector: Py<Detector>,
        engine: Arc<Engine>,
        images: &Bound<'_, PyAny>,
        wish: Wish,
    ) -> PyResult<Self> {
        let images = Some(images.try_iter()?.into_any().unbind());
        let state = State { images, jobs: VecDeque::new(), ready: VecDeque::new(), taken: 0 };
        let masked = engine.config().mask.is_some();
        Ok(Self { detector, engine, wish, masked, left: Arc::default(), state: Mutex::new(state) })
    }

    /// Takes a batch of images and has threads work on it; nothing where there are no more.
    fn begin(&self, py: Python, state: &mut State) -> PyResult<bool> {
        let Some(images) = state.images.as_ref().map(|images| images.bind(py).clone()) else { return Ok(false) };
        let mut sources: Vec<Result<(Source<'static>, String), Failure>> = Vec::new();
        let mut ended = None;
        while sources.len() < self.wish.batch && ended.is_none() {
            match images.try_iter()?.next() {
                Some(Ok(image)) => {
                    state.taken += 1;
                    let name = format!("number {} of those given", state.taken);
                    sources.push(own(&image, self.wish.format).map(|s| (s, name)).map_err(Failure::Python));
                }
                // What the user's own iterator raises is raised, once what came before it is given back.
                Some(Err(e)) => ended = Some(Some(e)),
                None => ended = Some(None),
            }
        }
        if let Some(end) = ended {
            state.images = None;
            if let Some(e) = end {
                sources.push(Err(Failure::Python(e)));
            }
        }
        if sources.is_empty() {
            return Ok(false);
        }
        let (engine, wish, left, count) = (self.engine.clone(), self.wish, self.left.clone(), sources.len());
        RUNNING.fetch_add(1, Ordering::SeqCst);
        let begun = thread::Builder::new().name("maskrcnn batch".into()).spawn(move || {
            let _running = Running;
            // Given back before this thread counts as ended.
            let engine = engine;
            together(&engine, sources, wish, &left)
        });
        let answers = begun.inspect_err(|_| drop(Running))?;
        state.jobs.push_back(Job { answers, count });
        Ok(true)
    }

    fn next(&self, py: Python, state: &mut State) -> PyResult<Option<Answer>> {
        while state.jobs.len() < AHEAD && self.begin(py, state)? {}
        if state.ready.is_empty()
            && let Some(Job { answers, count }) = state.jobs.pop_front()
        {
            let answers = py.detach(|| answers.join());
            logs::deliver(py)?;
            state.ready = answers.map_or_else(|panic| lost(&said(&*panic), count), VecDeque::from);
        }
        Ok(state.ready.pop_front())
    }
}

/// Answers of a thread that gave up.
fn lost(text: &str, count: usize) -> VecDeque<Answer> {
    (0..count).map(|_| Err(Failure::Panic(text.into()))).collect()
}

/// A thread of a stream's, until it is dropped.
struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The source, which nobody lends.
fn own(image: &Bound<'_, PyAny>, format: Option<Order>) -> PyResult<Source<'static>> {
    Ok(match source(image, format, true)? {
        Source::File(path) => Source::File(path),
        Source::Encoded(bytes) => Source::Encoded(bytes),
        Source::Own(image) => Source::Own(image),
        Source::Lent(pixels) => Source::Own(pixels.to_image().map_err(|e| crate::errors::raise(image.py(), &e))?),
    })
}

/// Decodes images side by side, and looks at them together.
fn together(
    engine: &Engine,
    sources: Vec<Result<(Source<'static>, String), Failure>>,
    wish: Wish,
    left: &AtomicBool,
) -> Vec<Answer> {
    let over = || left.load(Ordering::Relaxed) || OVER.load(Ordering::Relaxed);
    let decode = |source: Result<(Source<'static>, String), Failure>| {
        let (source, name) = source?;
        if over() {
            return Err(Failure::Library(Error::Internal("nobody waits for it".into())));
        }
        guarded(|| source.decode()).map_err(|e| called(e, &name)).map(|picture| (picture, name))
    };
    let pictures: Vec<Result<(Picture, String), Failure>> = match sources.len() {
        1 => sources.into_iter().map(decode).collect(),
        _ => thread::scope(|scope| {
            let decode = &decode;
            let all: Vec<_> = sources.into_iter().map(|source| scope.spawn(move || decode(source))).collect();
            all.into_iter().map(|one| one.join().unwrap_or_else(|p| Err(Failure::Panic(said(&*p))))).collect()
        }),
    };
    if over() {
        return lost("nobody waits for it", pictures.len()).into();
    }
    let options = Options { soft_masks: wish.soft_masks };
    let good: Vec<&Picture> = pictures.iter().flatten().map(|(picture, _)| picture).collect();
    let mut found = if good.len() > 1 && !wish.soft_masks {
        // One that cannot be used spoils a batch: then they are looked at one by one.
        let batch = guarded(|| engine.detect_batch(good.iter().map(|picture| picture.pixels())));
        batch.ok().map(VecDeque::from).unwrap_or_default()
    } else {
        VecDeque::new()
    };
    let one = |picture: Result<(Picture, String), Failure>| {
        let (picture, name) = picture?;
        let detections = match found.pop_front() {
            Some(detections) => detections,
            // By the thread that the detector has for this: it makes one ready while the device works on another.
            None => guarded(|| pollster::block_on(engine.detect_async_with(picture.pixels(), &options)))
                .map_err(|e| called(e, &name))?,
        };
        Ok((detections, picture.notes().to_vec()))
    };
    pictures.into_iter().map(one).collect()
}

/// A failure with the image's number, where it has no better name.
fn called(failure: Failure, name: &str) -> Failure {
    match failure {
        Failure::Library(e) => Failure::Library(named(e, name)),
        other => other,
    }
}

#[pymethods]
impl Stream {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        // Whoever waits for it here may have what its holder waits for.
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(state)) => state.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(PyValueError::new_err(
                    "this stream is in use already: by another thread, or by its own images",
                ));
            }
        };
        let answer = self.next(py, &mut state)?;
        drop(state);
        match answer {
            None => Ok(None),
            Some(Ok((found, notes))) => {
                self.detector.get().tell(py, &notes)?;
                Ok(Some(Bound::new(py, Detections::new(found, notes, self.masked))?.into_any()))
            }
            Some(Err(failure)) => {
                let e = failure.raise(py);
                if self.wish.returned && e.is_instance_of::<pyo3::exceptions::PyException>(py) {
                    Ok(Some(e.into_value(py).into_bound(py).into_any()))
                } else {
                    Err(e)
                }
            }
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Ok(state) = self.state.try_lock() {
            visit.call(&state.images)?;
        }
        visit.call(&self.detector)
    }

    fn __clear__(&self) {
        if let Ok(mut state) = self.state.try_lock() {
            state.images = None;
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.left.store(true, Ordering::Relaxed);
    }
}

/// Waits for the threads of streams that were left, when Python ends: a driver whose process goes away under it may crash.
#[pyfunction]
pub(crate) fn _finish(py: Python) {
    OVER.store(true, Ordering::Relaxed);
    py.detach(|| {
        let begun = Instant::now();
        while RUNNING.load(Ordering::SeqCst) > 0 && begun.elapsed() < Duration::from_secs(60) {
            thread::sleep(Duration::from_millis(5));
        }
    });
}
