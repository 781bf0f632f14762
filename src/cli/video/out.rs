//! A video of pictures that are drawn over.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use image::RgbImage;
use maskrcnn::engine::vision::results::{Form, Staged};
use maskrcnn::{Error, Result};

use super::{Running, invalid};

/// Pictures that wait for the encoder.
const WAITING: usize = 2;

/// Takes pictures by their numbers, from whichever thread, and hands them to ffmpeg in order.
pub(in crate::cli) struct VideoOut {
    turn: Mutex<Turn>,
    changed: Condvar,
    abandoned: Arc<AtomicBool>,
}

struct Turn {
    next: usize,
    /// None once the encoder gave up.
    pictures: Option<SyncSender<RgbImage>>,
    encoder: Option<JoinHandle<Result<usize>>>,
}

impl VideoOut {
    /// A video at `path`, whole or not at all, of so many frames a second ([`super::Probe::rate`]).
    ///
    /// # Errors
    /// [`Error::Io`] where no thread can be had.
    pub(in crate::cli) fn new(path: &Path, rate: &str, overwrite: bool) -> Result<Self> {
        let (pictures, encoded) = sync_channel(WAITING);
        let (path, rate) = (path.to_path_buf(), rate.to_string());
        let named = path.clone();
        let abandoned = Arc::new(AtomicBool::new(false));
        let flag = abandoned.clone();
        let encoder = std::thread::Builder::new().spawn(move || encode((&path, overwrite), &rate, encoded, &flag));
        let encoder = encoder.map_err(|source| Error::Io { path: named, source })?;
        let turn = Turn { next: 0, pictures: Some(pictures), encoder: Some(encoder) };
        Ok(Self { turn: Mutex::new(turn), changed: Condvar::new(), abandoned })
    }

    /// The picture of this place, from 0, or that there is none: each place's once. Waits until all before it are there,
    /// so threads that do several take them in order.
    pub(in crate::cli) fn put(&self, place: usize, picture: Option<RgbImage>) {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        while turn.next < place {
            turn = self.changed.wait(turn).unwrap_or_else(PoisonError::into_inner);
        }
        if let (Some(picture), Some(pictures)) = (picture, &turn.pictures)
            && pictures.send(picture).is_err()
        {
            turn.pictures = None;
        }
        turn.next = turn.next.max(place + 1);
        drop(turn);
        self.changed.notify_all();
    }

    /// Gives it up: nothing is left of it.
    pub(in crate::cli) fn abandon(self) {
        self.abandoned.store(true, Ordering::Relaxed);
        // That it was given up is known.
        let _ = self.finish();
    }

    /// Ends it; how many pictures it has.
    ///
    /// # Errors
    /// [`Error::Io`] where it could not be written.
    pub(in crate::cli) fn finish(self) -> Result<usize> {
        let mut turn = self.turn.into_inner().unwrap_or_else(PoisonError::into_inner);
        turn.pictures = None;
        match turn.encoder.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            _ => Ok(0),
        }
    }
}

/// Writes what comes, of the first picture's size. Nothing is written where nothing comes.
fn encode(
    (path, overwrite): (&Path, bool),
    rate: &str,
    pictures: Receiver<RgbImage>,
    abandoned: &AtomicBool,
) -> Result<usize> {
    let Ok(first) = pictures.recv() else { return Ok(0) };
    let io = |source| Error::Io { path: path.into(), source };
    let (w, h) = (first.width(), first.height());
    let size = format!("{w}x{h}");
    // In pieces that need no place further up in the file, since it goes through a pipe; sides that no format has are
    // filled up.
    let args = [
        "-v",
        "error",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-s",
        &size,
        "-r",
        rate,
        "-i",
        "-",
        "-vf",
        "pad=ceil(iw/2)*2:ceil(ih/2)*2",
        "-pix_fmt",
        "yuv420p",
        "-movflags",
        "frag_keyframe+empty_moov+default_base_moof",
        "-f",
        "mp4",
        "-",
    ];
    let refused = |reason: String| io(invalid(reason));
    let mut child = Running::start("ffmpeg", &args, None, Stdio::piped()).map_err(refused)?;
    let mut stdout = child.stdout().map_err(refused)?;
    let Some(mut stdin) = child.child.stdin.take() else { return Err(refused("ffmpeg has no input".into())) };
    let mut sent = 0;
    std::thread::scope(|scope| {
        let send = scope.spawn(move || {
            let mut sent = 0;
            for picture in std::iter::once(first).chain(pictures) {
                if (picture.width(), picture.height()) != (w, h) {
                    return Err(invalid(format!("frame {} is not of {w}×{h} pixels, as the first is", sent + 1)));
                }
                stdin.write_all(picture.as_raw())?;
                sent += 1;
            }
            Ok(sent)
        });
        Staged::new(path, Form::Mp4, "all", |out| {
            io::copy(&mut stdout, out)?;
            let all = send.join().unwrap_or_else(|_| Err(invalid("the thread that sends frames ended")));
            // What ffmpeg complains of says more than a broken pipe.
            child.finish().map_err(invalid)?;
            sent = all?;
            // What is not whole does not take its place.
            if abandoned.load(Ordering::Relaxed) { Err(invalid("was given up")) } else { Ok(()) }
        })
    })?
    .publish(path, |_| false, overwrite)?;
    Ok(sent)
}
