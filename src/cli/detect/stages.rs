//! Three stages that overlap: while one item is in the middle, later ones are prepared and former ones finished.

use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

/// Threads of the first stage, and of the last. Item i takes lane i mod LANES, so that order needs no bookkeeping.
const LANES: usize = 2;

/// Runs items 0..count through `first` and `last`, each on [`LANES`] threads, and `middle` between them, on one thread
/// and in order, with up to `group` items at a time (as many as it is given, it gives back). `tell` hears of each item
/// in order, on the caller's thread.
///
/// What crosses between the stages is bounded: with groups of one, there are never more than five items that `first` has
/// begun and `last` has not ended.
///
/// # Errors
/// Where the system gives no more threads; then not all items are done.
pub fn overlap<A: Send, B: Send, C: Send>(
    (count, group): (usize, usize),
    first: impl Fn(usize) -> A + Sync,
    mut middle: impl FnMut(Vec<A>) -> Vec<B> + Send,
    last: impl Fn(usize, B) -> C + Sync,
    mut tell: impl FnMut(usize, C),
) -> io::Result<()> {
    let group = group.max(1);
    let (first, last) = (&first, &last);
    // A stage whose reader or writer is gone ends; a panic is passed on where the scope ends.
    thread::scope(|s| {
        let lanes = 0..LANES.min(count);
        let prepare = |lane: usize| {
            // Beside the one that a thread holds while nobody takes it.
            let (send, receive) = sync_channel(ahead(group));
            let items = (lane..count).step_by(LANES);
            spawn(s, move || _ = items.into_iter().try_for_each(|i| send.send(first(i)).ok()))?;
            Ok(receive)
        };
        let prepared: Vec<Receiver<A>> = lanes.clone().map(prepare).collect::<io::Result<_>>()?;
        let finish = |lane: usize| {
            let (send, receive): (SyncSender<B>, Receiver<B>) = sync_channel(0);
            let (done, told): (Sender<C>, Receiver<C>) = channel();
            spawn(s, move || {
                let items = (lane..).step_by(LANES).zip(receive);
                _ = items.into_iter().try_for_each(|(i, item)| done.send(last(i, item)).ok());
            })?;
            Ok((send, told))
        };
        let ends: Vec<(SyncSender<B>, Receiver<C>)> = lanes.map(finish).collect::<io::Result<_>>()?;
        let (finishing, told): (Vec<SyncSender<B>>, Vec<Receiver<C>>) = ends.into_iter().unzip();
        spawn(s, move || {
            for begin in (0..count).step_by(group) {
                let items = begin..count.min(begin + group);
                let taken: Option<Vec<A>> = items.clone().map(|i| prepared[i % LANES].recv().ok()).collect();
                let Some(taken) = taken else { return };
                for (i, item) in items.zip(middle(taken)) {
                    if finishing[i % LANES].send(item).is_err() {
                        return;
                    }
                }
            }
        })?;
        for i in 0..count {
            let Ok(item) = told[i % LANES].recv() else { break };
            tell(i, item);
        }
        Ok(())
    })
}

/// A thread of the scope; `thread::Scope::spawn` would panic where there is none to be had.
fn spawn<'scope>(scope: &'scope thread::Scope<'scope, '_>, work: impl FnOnce() + Send + 'scope) -> io::Result<()> {
    thread::Builder::new().spawn_scoped(scope, work).map(drop)
}

/// Items that wait in each lane before the middle, so that the next group is ready when one is done.
fn ahead(group: usize) -> usize {
    group.div_ceil(LANES) - 1
}

/// Most items between the begin of `first` and the end of `last`.
#[cfg(test)]
fn in_flight(group: usize) -> usize {
    LANES * (1 + ahead(group)) + group + LANES
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::time::Duration;

    use super::*;

    #[test]
    fn items_come_out_in_order_whatever_takes_long() {
        for (count, group) in [(0, 1), (1, 1), (2, 3), (7, 1), (9, 4), (8, 0)] {
            let pause = |i: usize| thread::sleep(Duration::from_millis([3, 0, 1][i % 3]));
            let (mut seen, mut groups) = (Vec::new(), Vec::new());
            let first = |i| {
                pause(i);
                i
            };
            let middle = |taken: Vec<usize>| {
                groups.push(taken.len());
                taken.into_iter().map(|i| 10 * i).collect()
            };
            let last = |i: usize, item: usize| {
                pause(i + 1);
                assert_eq!(item, 10 * i);
                item + 1
            };
            overlap((count, group), first, middle, last, |i, item| seen.push((i, item))).unwrap();
            assert_eq!(seen, (0..count).map(|i| (i, 10 * i + 1)).collect::<Vec<_>>());
            let group = group.max(1);
            assert!(groups.len() == count.div_ceil(group) && groups.iter().rev().skip(1).all(|&n| n == group));
        }
    }

    /// Each stage waits for another item to reach an earlier stage: one after the other, they would wait in vain.
    #[test]
    fn the_stages_overlap() {
        let pass = || {
            let (send, receive) = channel::<()>();
            (send, Mutex::new(receive))
        };
        let ((begun, prepared), (reached, middle_of_1)) = (pass(), pass());
        let wait = |r: &Mutex<Receiver<()>>| r.lock().unwrap().recv_timeout(Duration::from_secs(20)).unwrap();
        let first = |i| {
            if i == 1 {
                begun.send(()).unwrap();
            }
            i
        };
        let middle = |taken: Vec<usize>| {
            match taken[0] {
                0 => wait(&prepared),
                1 => reached.send(()).unwrap(),
                _ => {}
            }
            taken
        };
        let last = |i: usize, _| {
            if i == 0 {
                wait(&middle_of_1);
            }
        };
        overlap((4, 1), first, middle, last, |_, ()| {}).unwrap();
    }

    #[test]
    fn few_items_are_in_flight() {
        for group in [1, 4] {
            let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let first = |_| most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            let last = |_, _| {
                thread::sleep(Duration::from_millis(1));
                now.fetch_sub(1, SeqCst);
            };
            overlap((60, group), first, |taken| taken, last, |_, ()| {}).unwrap();
            assert!(most.load(SeqCst) <= in_flight(group), "{most:?} with groups of {group}");
        }
        assert_eq!(in_flight(1), 5);
    }
}
