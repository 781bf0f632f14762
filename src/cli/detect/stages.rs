//! Three stages that overlap: while one item is in the middle, later ones are prepared and former ones finished.

use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

/// Runs items 0..count through `first` and `last`, each on `lanes` threads (item i takes lane i mod `lanes`, so that order
/// needs no bookkeeping), and `middle` between them, on one thread
/// and in order, with up to `group` items at a time (as many as it is given, it gives back). `tell` hears of each item
/// in order, on the caller's thread. Where the system gives no more threads, the items go one after the other.
///
/// What crosses between the stages is bounded: with groups of one, there are never more than twice the lanes and one of
/// items that `first` has begun and `last` has not ended.
pub(super) fn overlap<A: Send, B: Send, C: Send>(
    (count, group, lanes): (usize, usize, usize),
    first: impl Fn(usize) -> A + Sync,
    mut middle: impl FnMut(Vec<A>) -> Vec<B> + Send,
    last: impl Fn(usize, B) -> C + Sync,
    mut tell: impl FnMut(usize, C),
) {
    let (group, lanes) = (group.max(1), lanes.max(1));
    if in_threads((count, group, lanes), &first, &mut middle, &last, &mut tell, usize::MAX).is_ok() {
        return;
    }
    for begin in (0..count).step_by(group) {
        let items = begin..count.min(begin + group);
        let taken = items.clone().map(&first).collect();
        items.zip(middle(taken)).for_each(|(i, item)| tell(i, last(i, item)));
    }
}

/// [`overlap`] where there are threads.
///
/// # Errors
/// Where there are not, or not more than `most`: then nothing has begun.
fn in_threads<A: Send, B: Send, C: Send>(
    (count, group, lanes): (usize, usize, usize),
    first: &(impl Fn(usize) -> A + Sync),
    middle: &mut (impl FnMut(Vec<A>) -> Vec<B> + Send),
    last: &(impl Fn(usize, B) -> C + Sync),
    tell: &mut impl FnMut(usize, C),
    most: usize,
) -> io::Result<()> {
    let each = lanes;
    let lanes = lanes.min(count);
    // A stage whose reader or writer is gone ends; a panic is passed on where the scope ends.
    thread::scope(|s| {
        let mut left = most;
        let mut builder = || {
            left = left.checked_sub(1).ok_or(io::ErrorKind::WouldBlock)?;
            Ok::<_, io::Error>(thread::Builder::new())
        };
        // Beside the one that a thread holds while nobody takes it.
        let (prepare, prepared): (Vec<SyncSender<A>>, Vec<Receiver<A>>) =
            (0..lanes).map(|_| sync_channel(ahead(group, each))).unzip();
        let (finish, finishing): (Vec<SyncSender<B>>, Vec<Receiver<B>>) = (0..lanes).map(|_| sync_channel(0)).unzip();
        let (done, told): (Vec<Sender<C>>, Vec<Receiver<C>>) = (0..lanes).map(|_| channel()).unzip();
        // The last stage first: nothing is begun before all threads are there.
        for (lane, (done, finishing)) in done.into_iter().zip(finishing).enumerate() {
            builder()?.spawn_scoped(s, move || {
                let items = (lane..).step_by(each).zip(finishing);
                items.into_iter().try_for_each(|(i, item)| done.send(last(i, item)).ok())
            })?;
        }
        builder()?.spawn_scoped(s, move || {
            for begin in (0..count).step_by(group) {
                let items = begin..count.min(begin + group);
                let taken: Option<Vec<A>> = items.clone().map(|i| prepared[i % each].recv().ok()).collect();
                let Some(taken) = taken else { return };
                for (i, item) in items.zip(middle(taken)) {
                    if finish[i % each].send(item).is_err() {
                        return;
                    }
                }
            }
        })?;
        let (begin, wait): (Vec<Sender<()>>, Vec<Receiver<()>>) = (0..lanes).map(|_| channel()).unzip();
        for (lane, (prepare, wait)) in prepare.into_iter().zip(wait).enumerate() {
            builder()?.spawn_scoped(s, move || {
                wait.recv().ok()?;
                (lane..count).step_by(each).try_for_each(|i| prepare.send(first(i)).ok())
            })?;
        }
        begin.iter().for_each(|lane| lane.send(()).unwrap_or_default());
        for i in 0..count {
            let Ok(item) = told[i % each].recv() else { break };
            tell(i, item);
        }
        Ok(())
    })
}

/// Items that wait in each lane before the middle, so that the next group is ready when one is done.
fn ahead(group: usize, lanes: usize) -> usize {
    group.div_ceil(lanes) - 1
}

/// Most items between the begin of `first` and the end of `last`.
#[cfg(test)]
fn in_flight(group: usize, lanes: usize) -> usize {
    lanes * (1 + ahead(group, lanes)) + group + lanes
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::time::Duration;

    use super::*;

    #[test]
    fn items_come_out_in_order_whatever_takes_long() {
        for (count, group, lanes) in [(0, 1, 2), (1, 1, 2), (2, 3, 2), (7, 1, 3), (9, 4, 2), (9, 2, 5), (8, 0, 0)] {
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
            overlap((count, group, lanes), first, middle, last, |i, item| seen.push((i, item)));
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
        overlap((4, 1, 2), first, middle, last, |_, ()| {});
    }

    #[test]
    fn without_threads_the_items_go_one_after_the_other() {
        for most in 0..5 {
            let begun = AtomicUsize::new(0);
            let first = |i: usize| begun.fetch_add(1, SeqCst) + i;
            let mut told = 0;
            let mut tell = |_, _| told += 1;
            let got = in_threads((9, 2, 2), &first, &mut |taken| taken, &|_, item| item, &mut tell, most);
            assert!(got.is_err() && told == 0 && begun.load(SeqCst) == 0, "{most}");
        }
        let mut seen = Vec::new();
        let mut tell = |i, item: usize| seen.push((i, item));
        in_threads((3, 2, 2), &|i| i, &mut |taken| taken, &|_, item| item, &mut tell, 5).unwrap();
        assert_eq!(seen, [(0, 0), (1, 1), (2, 2)]);
    }

    #[test]
    fn few_items_are_in_flight() {
        for (group, lanes) in [(1, 2), (4, 2), (1, 4)] {
            let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let first = |_| most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            let last = |_, _| {
                thread::sleep(Duration::from_millis(1));
                now.fetch_sub(1, SeqCst);
            };
            overlap((60, group, lanes), first, |taken| taken, last, |_, ()| {});
            assert!(most.load(SeqCst) <= in_flight(group, lanes), "{most:?} with groups of {group}, {lanes} lanes");
        }
        assert_eq!((in_flight(1, 2), in_flight(1, 4)), (5, 9));
    }
}
