//! Detections that will be there: futures, and the thread that keeps their promises.

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use super::batch::SizedImage;
use super::pending::Holder;
use super::{Detector, Options, Pending, internal};
use crate::gpu::GpuImage;
use crate::vision::{Detections, PixelFormat, Pixels};
use crate::{Error, Result};

/// What is being detected ([`Detector::detect_async`]): a future that any executor can poll, and that blocks nobody. Dropped, it
/// gives its answer up, and what the device has not begun is not done.
#[must_use = "the answer is had by `await`"]
pub struct Detecting(Arc<Mutex<Promise>>);

/// What a future and the thread that works for it share. The thread has no share in it until it begins, so that whoever drops
/// the future frees the picture.
struct Promise {
    state: State,
    waker: Option<Waker>,
}

enum State {
    Wanted(Picture, Options),
    Begun,
    Done(Result<Detections>),
    /// The answer was given away.
    Over,
}

/// A picture that nobody lends.
enum Picture {
    /// RGB without gaps.
    Host {
        width: u32,
        height: u32,
        rgb: Vec<u8>,
    },
    Device(GpuImage),
}

/// A promise to be kept: broken aloud where it is dropped before.
struct Job(Weak<Mutex<Promise>>);

/// A promise, and the detector that keeps it.
type Given = (Job, Arc<Detector>);

/// The thread that detects for futures, by what it is given. It ends with the detector that gives it something.
pub(super) struct Worker {
    jobs: Mutex<Sender<Given>>,
    /// What each picture is given with. The thread has it no longer than it works on one: were it the thread that had it last, the
    /// driver would be put away there, and a program that ends just then would end under it.
    detector: Arc<Detector>,
}

fn lock(promise: &Mutex<Promise>) -> MutexGuard<'_, Promise> {
    promise.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Detector {
    /// As [`Detector::detect`], as a future. The work begins now, whether or not the future is polled, and is done by a thread that
    /// the detector keeps for all its futures, one picture after the other; while the device works on one, the next is made
    /// ready. Nobody else needs to poll the device, and no runtime is needed. The pixels are copied before this returns. A future
    /// may outlive the detector, which the thread then has until it is done: wait for it before the program ends.
    ///
    /// ```no_run
    /// # async fn look(detector: &maskrcnn::Detector, image: &maskrcnn::Image) -> maskrcnn::Result<()> {
    /// let found = detector.detect_async(image).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The future's: as [`Detector::detect`].
    pub fn detect_async<'a>(&self, image: impl Into<Pixels<'a>>) -> Detecting {
        self.detect_async_with(image, &Options::default())
    }

    /// As [`Detector::detect_async`], with what else is wanted.
    ///
    /// # Errors
    /// The future's: as [`Detector::detect`].
    pub fn detect_async_with<'a>(&self, image: impl Into<Pixels<'a>>, options: &Options) -> Detecting {
        let pixels = image.into();
        let (width, height) = (pixels.width(), pixels.height());
        self.promise(Picture::Host { width, height, rgb: pixels.rgb().into_owned() }, *options)
    }

    /// As [`Detector::detect_async`], of a picture that is on the device. It is read when its turn comes: until then, the app writes
    /// nothing else there.
    ///
    /// # Errors
    /// The future's: as [`Detector::detect_gpu`].
    pub fn detect_gpu_async(&self, image: &GpuImage) -> Detecting {
        self.promise(Picture::Device(image.clone()), Options::default())
    }

    fn promise(&self, picture: Picture, options: Options) -> Detecting {
        let promise = Promise { state: State::Wanted(picture, options), waker: None };
        let promise = Arc::new(Mutex::new(promise));
        let job = Job(Arc::downgrade(&promise));
        let sent = self.worker().and_then(|worker| {
            let jobs = worker.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            let given = (job, worker.detector.clone());
            jobs.send(given).map_err(|_| internal("was promised by a thread that is gone"))
        });
        if let Err(e) = sent {
            lock(&promise).state = State::Done(Err(e));
        }
        Detecting(promise)
    }

    /// The thread that works for futures.
    fn worker(&self) -> Result<&Worker> {
        if let Some(worker) = self.worker.get() {
            return Ok(worker);
        }
        let (jobs, given) = channel();
        let thread = std::thread::Builder::new().name("maskrcnn".into()).spawn(move || keep_promises(&given));
        thread.map_err(|e| Error::Device {
            device: self.device.name().into(),
            reason: format!("the system gives no thread to wait for it: {e}"),
        })?;
        // Of two that were begun at once, one ends again.
        Ok(self.worker.get_or_init(|| Worker { jobs: Mutex::new(jobs), detector: Arc::new(self.shared()) }))
    }

    /// The same detector once more: its plans, weights and activations are this one's.
    fn shared(&self) -> Self {
        Self {
            device: self.device.clone(),
            config: self.config.clone(),
            classes: self.classes.clone(),
            weights: self.weights.clone(),
            target: self.target,
            tuning: self.tuning.clone(),
            slice: self.slice,
            mask_room: self.mask_room,
            plans: self.plans.clone(),
            recorders: self.recorders.clone(),
            worker: Default::default(),
        }
    }
}

/// Works until nobody can give anything more.
fn keep_promises(given: &Receiver<Given>) {
    let mut before: Option<(Job, Pending<'static>)> = None;
    loop {
        let next = match before {
            // The device has work.
            Some(_) => given.try_recv(),
            None => given.recv().map_err(|_| TryRecvError::Disconnected),
        };
        let begun = match next {
            Ok((job, detector)) => job.begin(detector),
            Err(TryRecvError::Disconnected) if before.is_none() => return,
            Err(_) => None,
        };
        // The next one is on its way when this one is read.
        if let Some((job, pending)) = before.take() {
            job.keep(pending);
        }
        before = begun;
    }
}

impl Picture {
    /// Gives it to the device.
    fn submit(self, detector: Arc<Detector>, options: &Options) -> Result<Pending<'static>> {
        let sized = match &self {
            Self::Host { width, height, rgb } => {
                SizedImage::new(&detector.config, Pixels::new(PixelFormat::Rgb, *width, *height, rgb)?)?
            }
            Self::Device(image) => SizedImage::on_device(&detector.config, image)?,
        };
        Holder::Held(detector).submit(&sized, options)
    }
}

impl Job {
    /// Gives the device a picture, where somebody still wants to know. Who is told that it failed may put the driver away: by then
    /// nothing is held here.
    fn begin(self, detector: Arc<Detector>) -> Option<(Self, Pending<'static>)> {
        let promise = self.0.upgrade()?;
        let state = std::mem::replace(&mut lock(&promise).state, State::Begun);
        let State::Wanted(picture, options) = state else { return None };
        match picture.submit(detector, &options) {
            Ok(pending) => Some((self, pending)),
            Err(e) => {
                self.done(Err(e));
                None
            }
        }
    }

    /// Waits, where somebody still does.
    fn keep(self, pending: Pending) {
        if self.0.strong_count() > 0 {
            // When it is told, the detector is held no longer.
            let answer = pending.wait();
            self.done(answer);
        }
    }

    fn done(&self, answer: Result<Detections>) {
        let Some(promise) = self.0.upgrade() else { return };
        let waker = {
            let mut promise = lock(&promise);
            promise.state = State::Done(answer);
            promise.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let open = |promise: Arc<Mutex<Promise>>| matches!(lock(&promise).state, State::Wanted(..) | State::Begun);
        if self.0.upgrade().is_some_and(open) {
            self.done(Err(internal("was promised, and nobody kept it")));
        }
    }
}

impl Future for Detecting {
    type Output = Result<Detections>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut promise = lock(&self.0);
        match std::mem::replace(&mut promise.state, State::Over) {
            State::Done(answer) => Poll::Ready(answer),
            State::Over => Poll::Ready(Err(internal("was given away before"))),
            open => {
                promise.state = open;
                let known = promise.waker.as_ref().is_some_and(|w| w.will_wake(context.waker()));
                if !known {
                    promise.waker = Some(context.waker().clone());
                }
                Poll::Pending
            }
        }
    }
}
