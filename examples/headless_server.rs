//! A service that finds instances in pictures: an image in, COCO results out.
//!
//! ```sh
//! cargo run --release --example headless_server -- --listen 127.0.0.1:8080
//! curl --data-binary @assets/demo.png http://127.0.0.1:8080/detect
//! ```
//!
//! | request | answer |
//! |---|---|
//! | `POST /detect`, the image's bytes as the body | 200: what `maskrcnn detect` writes of it, as JSON |
//! | `POST /detect?id=7&above=0.8` | the same with another `image_id`, and of scores from 0.8 on |
//! | `GET /health` | 200: how many requests are in here; 503 where it stops, or the device failed |
//!
//! What is refused says why: `{"error": "…"}`, with 400 (a request that broke off, a query that is none), 408 (a body that took
//! too long), 413 (a body that is too large), 415 (no image that is known), 422 (an image that is broken, or too large), 503 and
//! `Retry-After` (no place, or it stops). Ctrl-C or SIGTERM has it finish what it has, and end.
//!
//! Requests wait for a place, of which there are `--queue`, and for the decoder, which is at two images at a time; one thread
//! gives the device the next image before it reads the answer to the last. So memory is bounded: a body for each place, and three
//! decoded images. A client that goes away frees its place.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use clap::Parser;
use maskrcnn::engine::vision::coco::{self, ImageId};
use maskrcnn::engine::vision::{HEAD_BYTES, ReadOptions, Reading, is_image};
use maskrcnn::{Detections, Detector, Device, Error, Pending};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Images that are decoded, or wait for the device decoded.
const DECODED: usize = 2;

/// So long a body may take to arrive.
const BODY: Duration = Duration::from_secs(30);

/// So much of a body that is refused is read and thrown away, and for so long: a client that is still sending would see a
/// connection that breaks, and never the answer.
const DRAINED: (usize, Duration) = (64 << 20, Duration::from_secs(2));

/// Finds instances in pictures, over HTTP.
#[derive(Parser)]
struct Args {
    /// Where to listen; port 0 takes any that is free.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// A weights file, or a name that `maskrcnn weights` lists; the default model otherwise.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// A part of the GPU's name.
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Requests that may be in here at once, the one that the device is at among them.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    queue: u16,
    /// The largest body, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    most_mb: u16,
}

/// What all requests share.
struct Service {
    places: Arc<Semaphore>,
    /// Of `places`.
    queue: u16,
    decoder: Arc<Semaphore>,
    jobs: mpsc::Sender<Job>,
    most: usize,
    stopping: AtomicBool,
}

/// An image on its way to the device.
struct Job {
    reading: Reading,
    answer: oneshot::Sender<maskrcnn::Result<Detections>>,
    /// Given back once the device has the pixels.
    decoded: OwnedSemaphorePermit,
}

fn main() -> ExitCode {
    match serve(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::open(args.device.as_deref())?;
    let builder = Detector::builder().device(&device);
    let detector = match &args.weights {
        Some(file) => builder.weights(file).build()?,
        None => builder.build()?,
    };
    let (jobs, given) = mpsc::channel();
    let worker = std::thread::Builder::new().name("device".into()).spawn(move || work(&detector, &given))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(listen(args, jobs, device.name()))?;
    // Its last sender went with the service.
    drop(runtime);
    worker.join().map_err(|_| "the device's thread has panicked".into())
}

async fn listen(args: &Args, jobs: mpsc::Sender<Job>, device: &str) -> std::io::Result<()> {
    let service = Arc::new(Service {
        places: Arc::new(Semaphore::new(args.queue.into())),
        queue: args.queue,
        decoder: Arc::new(Semaphore::new(DECODED)),
        jobs,
        most: usize::from(args.most_mb) << 20,
        stopping: AtomicBool::new(false),
    });
    let router = Router::new()
        .route("/detect", post(detect))
        .route("/health", get(health))
        .fallback(async || refused(StatusCode::NOT_FOUND, "there are POST /detect and GET /health"))
        .method_not_allowed_fallback(async || {
            refused(StatusCode::METHOD_NOT_ALLOWED, "there are POST /detect and GET /health")
        })
        .with_state(service.clone());
    let mut stop = signals()?;
    let listener = tokio::net::TcpListener::bind(args.listen).await?;
    println!("listening on http://{} ({device})", listener.local_addr()?);
    let (done, closed) = oneshot::channel::<()>();
    let stopped = async move {
        stop.recv().await;
        service.stopping.store(true, Ordering::Relaxed);
        eprintln!("stopping: what is in here is finished, and nothing new is taken; once more ends it at once");
        tokio::select! {
            // All places are free when all work is done.
            _ = service.places.acquire_many(service.queue.into()) => (),
            _ = stop.recv() => std::process::exit(130),
        }
        drop(done);
    };
    let serving = axum::serve(listener, router).with_graceful_shutdown(stopped).into_future();
    tokio::select! {
        ended = serving => ended,
        // Answers are on their way; a connection that does not take its own in time is left.
        () = async { let _ = closed.await; tokio::time::sleep(DRAINED.1 * 2).await } => Ok(()),
    }
}

/// Hears of each Ctrl-C and SIGTERM.
fn signals() -> std::io::Result<tokio::sync::mpsc::Receiver<()>> {
    let (tell, told) = tokio::sync::mpsc::channel(2);
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::spawn(async move {
        loop {
            #[cfg(unix)]
            tokio::select! {
                _ = tokio::signal::ctrl_c() => (),
                _ = terminate.recv() => (),
            }
            #[cfg(not(unix))]
            let _ = tokio::signal::ctrl_c().await;
            if tell.send(()).await.is_err() {
                return;
            }
        }
    });
    Ok(told)
}

/// `?id=…&above=…`.
#[derive(serde::Deserialize)]
struct Wanted {
    /// Which `image_id` its entries have.
    id: Option<String>,
    /// What scores less is left out; `maskrcnn detect` has the same default.
    above: Option<f32>,
}

async fn health(State(service): State<Arc<Service>>) -> Response {
    let inside = usize::from(service.queue) - service.places.available_permits();
    let stopping = service.stopping.load(Ordering::Relaxed);
    let status = if stopping { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    json(status, &serde_json::json!({ "requests": inside, "places": service.queue, "stopping": stopping }))
}

async fn detect(State(service): State<Arc<Service>>, request: Request) -> Response {
    let (head, mut body) = request.into_parts();
    let answer = match Query::<Wanted>::try_from_uri(&head.uri) {
        Ok(Query(wanted)) => service.answer(wanted, &head.headers, &mut body).await,
        Err(e) => Err(refused(StatusCode::BAD_REQUEST, format!("the query: {}", e.body_text()))),
    };
    match answer {
        Ok(response) => response,
        Err(response) => {
            // Who waits to be told to go on has sent nothing yet.
            if !head.headers.contains_key(header::EXPECT) {
                let _ = tokio::time::timeout(DRAINED.1, read(&mut body, DRAINED.0, |_| ())).await;
            }
            response
        }
    }
}

impl Service {
    /// The answer to a request, or its refusal.
    async fn answer(&self, wanted: Wanted, headers: &HeaderMap, body: &mut Body) -> Result<Response, Response> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err(later("it stops"));
        }
        // It lives as long as this future, which ends where the client goes.
        let Ok(_place) = self.places.clone().try_acquire_owned() else {
            return Err(later(&format!("all of its {} places are taken", self.queue)));
        };
        let bytes = self.body(headers, body).await?;
        if !is_image(&bytes[..bytes.len().min(HEAD_BYTES as usize)]) {
            let told = "the body is no image of a kind that is known: send the bytes of a PNG, JPEG, TIFF, BMP, GIF or WebP file";
            return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, told));
        }
        let lost = || refused(StatusCode::INTERNAL_SERVER_ERROR, "it has failed: see what it has printed");
        let decoded = self.decoder.clone().acquire_owned().await.map_err(|_| lost())?;
        // The permit goes along: where the client leaves, the decoder is still at its image.
        let decode = move || (ReadOptions::default().decode(&bytes, "in the body"), decoded);
        let (reading, decoded) = tokio::task::spawn_blocking(decode).await.map_err(|_| lost())?;
        let reading = reading.map_err(|e| of(&e))?;
        let notes: Vec<String> = reading.notes.iter().map(ToString::to_string).collect();
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job { reading, answer, decoded }).map_err(|_| lost())?;
        let found = answered.await.map_err(|_| lost())?.map_err(|e| of(&e))?;
        let id = ImageId::from(wanted.id.as_deref().unwrap_or("image"));
        let mut response = json(StatusCode::OK, &coco::results(&found.above(wanted.above.unwrap_or(0.5)), id));
        // What was assumed of the picture.
        for note in notes {
            let note = note.replace(|c: char| !c.is_ascii() || c.is_ascii_control(), "?");
            response.headers_mut().extend(HeaderValue::from_str(&note).map(|n| (NOTE, n)));
        }
        Ok(response)
    }

    /// The body of a request.
    async fn body(&self, headers: &HeaderMap, body: &mut Body) -> Result<Vec<u8>, Response> {
        let too_large = || {
            let told = format!("the body is larger than {} MiB; --most-mb allows more", self.most >> 20);
            refused(StatusCode::PAYLOAD_TOO_LARGE, told)
        };
        let told = headers.get(header::CONTENT_LENGTH).and_then(|n| n.to_str().ok()?.parse::<u64>().ok());
        if told.is_some_and(|n| n > self.most as u64) {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        match tokio::time::timeout(BODY, read(body, self.most, |more| bytes.extend_from_slice(more))).await {
            Ok(Ok(true)) => Ok(bytes),
            Ok(Ok(false)) => Err(too_large()),
            Ok(Err(e)) => Err(refused(StatusCode::BAD_REQUEST, format!("the body broke off: {e}"))),
            Err(_) => {
                Err(refused(StatusCode::REQUEST_TIMEOUT, format!("the body took more than {} s", BODY.as_secs())))
            }
        }
    }
}

/// Reads a body to its end; says whether it had at most so many bytes.
async fn read(body: &mut Body, most: usize, mut take: impl FnMut(&[u8])) -> Result<bool, axum::Error> {
    let mut total = 0;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
        if let Ok(data) = frame?.into_data() {
            total += data.len();
            if total > most {
                return Ok(false);
            }
            take(&data);
        }
    }
    Ok(true)
}

/// Has the device at one image after the other, until nobody can send another: the next is there before the last is read.
fn work(detector: &Detector, jobs: &mpsc::Receiver<Job>) {
    let mut before: Option<(Pending, oneshot::Sender<_>)> = None;
    loop {
        let job = if before.is_some() { jobs.try_recv().ok() } else { jobs.recv().ok() };
        if job.is_none() && before.is_none() {
            return;
        }
        // Nobody waits for it where the client has gone.
        let next = job.filter(|job| !job.answer.is_closed()).and_then(|job| {
            let submitted = detector.submit(&job.reading.image);
            drop(job.decoded);
            match submitted {
                Ok(pending) => Some((pending, job.answer)),
                Err(e) => {
                    let _ = job.answer.send(Err(e));
                    None
                }
            }
        });
        if let Some((pending, answer)) = std::mem::replace(&mut before, next) {
            let _ = answer.send(pending.wait());
        }
    }
}

const NOTE: header::HeaderName = header::HeaderName::from_static("x-maskrcnn-note");

fn json(status: StatusCode, value: &impl serde::Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => (status, [(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, e.to_string()).into_response(),
    }
}

fn refused(status: StatusCode, why: impl Into<String>) -> Response {
    json(status, &serde_json::json!({ "error": why.into() }))
}

fn later(why: &str) -> Response {
    let mut response = refused(StatusCode::SERVICE_UNAVAILABLE, format!("{why}: try again later"));
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// An error of the engine's: of the picture, of want of memory for now, or of the device.
fn of(e: &Error) -> Response {
    match e {
        Error::Image { .. } | Error::Limit { .. } => refused(StatusCode::UNPROCESSABLE_ENTITY, e.to_string()),
        Error::OutOfMemory { .. } => later(&e.to_string()),
        _ => refused(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()),
    }
}
