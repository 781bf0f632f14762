//! The table of what was given out. A handle is a number that looks like a pointer and leads nowhere.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::without_provenance_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::detector::Opened;
use crate::results::Found;
use crate::status::{Failure, MASKRCNN_ERROR_HANDLE, MASKRCNN_ERROR_POISONED};

/// A network on a device. Freed by maskrcnn_detector_free. Any number of threads may use it at once: images are done one
/// after the other.
pub struct maskrcnn_detector {
    _nothing: (),
}

/// What was found in an image: never changes. Freed by maskrcnn_results_free. Any number of threads may read it at once; it
/// does not need its detector any more.
pub struct maskrcnn_results {
    _nothing: (),
}

/// Where a pointer has 64 bits, all handles have these upper ones: no address of a program has, so that one which is followed
/// by mistake ends the program at once.
#[cfg(target_pointer_width = "64")]
const TAG: usize = 0x6d72 << 48;
#[cfg(not(target_pointer_width = "64"))]
const TAG: usize = 0;
/// The numbers that there are.
const LAST: usize = if cfg!(target_pointer_width = "64") { 1 << 46 } else { 1 << 29 };

/// An object, and whether a panic has passed through it.
pub struct Slot<V> {
    value: V,
    broken: AtomicBool,
}

impl<V> Slot<V> {
    /// Does something with the object, unless it is broken. A panic breaks it.
    pub fn using<R>(&self, body: impl FnOnce(&V) -> Result<R, Failure>) -> Result<R, Failure> {
        if self.broken.load(Ordering::Acquire) {
            let reason = "a mistake of this library's happened with this handle before: it can only be freed";
            return Err(Failure::new(MASKRCNN_ERROR_POISONED, reason));
        }
        let body = || {
            #[cfg(test)]
            crate::tests::panic_where_asked();
            body(&self.value)
        };
        catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
            self.broken.store(true, Ordering::Release);
            Err(Failure::panic(payload))
        })
    }
}

enum Entry {
    Detector(Arc<Slot<Opened>>),
    Results(Arc<Slot<Found>>),
}

/// What a handle can stand for.
pub trait Kind: Sized {
    /// The object.
    type Value;
    /// In messages.
    const NAME: &'static str;
    #[doc(hidden)]
    fn wrap(slot: Arc<Slot<Self::Value>>) -> Held;
    #[doc(hidden)]
    fn of(entry: &Held) -> Option<&Arc<Slot<Self::Value>>>;
}

/// An entry of the table.
pub struct Held(Entry);

impl Kind for maskrcnn_detector {
    type Value = Opened;
    const NAME: &'static str = "a detector";

    fn wrap(slot: Arc<Slot<Opened>>) -> Held {
        Held(Entry::Detector(slot))
    }

    fn of(entry: &Held) -> Option<&Arc<Slot<Opened>>> {
        if let Entry::Detector(slot) = &entry.0 { Some(slot) } else { None }
    }
}

impl Kind for maskrcnn_results {
    type Value = Found;
    const NAME: &'static str = "results";

    fn wrap(slot: Arc<Slot<Found>>) -> Held {
        Held(Entry::Results(slot))
    }

    fn of(entry: &Held) -> Option<&Arc<Slot<Found>>> {
        if let Entry::Results(slot) = &entry.0 { Some(slot) } else { None }
    }
}

struct Table {
    entries: BTreeMap<usize, Held>,
    /// How many were given out: no number comes twice.
    given: usize,
}

static TABLE: RwLock<Table> = RwLock::new(Table { entries: BTreeMap::new(), given: 0 });

/// Odd, so that it is no address of an object, and told from others by its tag.
fn key_of(number: usize) -> usize {
    TAG | (number << 1 | 1)
}

/// Puts an object into the table: its handle.
pub fn give<K: Kind>(value: K::Value) -> Result<*mut K, Failure> {
    let slot = Arc::new(Slot { value, broken: AtomicBool::new(false) });
    let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
    if table.given >= LAST {
        return Err(Failure::new(MASKRCNN_ERROR_HANDLE, "all handles of this process are used up: start it again"));
    }
    table.given += 1;
    let key = key_of(table.given);
    table.entries.insert(key, K::wrap(slot));
    Ok(without_provenance_mut(key))
}

/// The object of a handle. It stays for as long as the caller uses it, whoever frees the handle meanwhile.
pub fn get<K: Kind>(handle: *const K) -> Result<Arc<Slot<K::Value>>, Failure> {
    let table = TABLE.read().unwrap_or_else(PoisonError::into_inner);
    match table.entries.get(&handle.addr()) {
        Some(entry) => K::of(entry).cloned().ok_or_else(|| other_kind::<K>(entry)),
        None => Err(not_here::<K>(&table, handle.addr())),
    }
}

/// Takes an object out of the table. Null is none, and well.
pub fn free<K: Kind>(handle: *mut K) -> Result<(), Failure> {
    if handle.is_null() {
        return Ok(());
    }
    let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
    let taken = match table.entries.get(&handle.addr()) {
        Some(entry) if K::of(entry).is_none() => return Err(other_kind::<K>(entry)),
        Some(_) => table.entries.remove(&handle.addr()),
        None => return Err(not_here::<K>(&table, handle.addr())),
    };
    // What takes long is done when others can look up theirs again.
    drop(table);
    drop(taken);
    Ok(())
}

fn other_kind<K: Kind>(entry: &Held) -> Failure {
    let other = match entry.0 {
        Entry::Detector(_) => maskrcnn_detector::NAME,
        Entry::Results(_) => maskrcnn_results::NAME,
    };
    Failure::new(MASKRCNN_ERROR_HANDLE, format!("a handle of {other} was given, where one of {} is wanted", K::NAME))
}

fn not_here<K: Kind>(table: &Table, key: usize) -> Failure {
    let reason = if key == 0 {
        format!("null was given, where a handle of {} is wanted", K::NAME)
    } else if key & 1 == 1 && key > TAG && key <= key_of(table.given) {
        format!("a handle of {} is wanted, and this one was freed before", K::NAME)
    } else {
        format!("{key:#x} is no handle of {}: this library never gave it out", K::NAME)
    };
    Failure::new(MASKRCNN_ERROR_HANDLE, reason)
}
