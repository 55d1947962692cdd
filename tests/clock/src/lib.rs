//! A wall clock that a test sets, for a program that it starts with this library in `LD_PRELOAD`.
//!
//! The file that `POSTERN_CLOCK_FILE` names holds the time: nanoseconds since the Unix epoch, as
//! eight bytes, the lowest first. It is read anew at each question, so whoever writes the file
//! sets the clock. Where `POSTERN_CLOCK_SHIFT_FILE` names one instead, its eight bytes are signed, and
//! what the true time of day is put forward by. Clocks that do not tell the time of day go on as they
//! are, and with them time-outs and ticks. Without a variable, so does the time of day.

#![expect(unsafe_code, reason = "it stands in for C functions, which get pointers")]

use std::{
    ffi::CStr,
    process::abort,
    sync::atomic::{AtomicI32, Ordering::Relaxed},
    time::Duration,
};

use libc::{c_int, c_void, clockid_t, time_t, timespec, timeval};

/// Stands in for `clock_gettime(3)`.
///
/// # Safety
/// As of the C function: `time` is to be written to, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    match told().filter(|_| matches!(clock, libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE)) {
        // SAFETY: the system call is what the C function makes of the same arguments.
        None => match unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) } {
            0 => 0,
            _ => -1,
        },
        Some(now) => {
            let nanoseconds = now.subsec_nanos().into();
            // SAFETY: the caller's promise.
            unsafe { put(time, timespec { tv_sec: seconds(now), tv_nsec: nanoseconds }) };
            0
        }
    }
}

/// Stands in for `gettimeofday(2)`. There is no time zone, as on Linux.
///
/// # Safety
/// As of the C function: `time` is to be written to, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gettimeofday(time: *mut timeval, _zone: *mut c_void) -> c_int {
    let now = now();
    // SAFETY: the caller's promise.
    unsafe { put(time, timeval { tv_sec: seconds(now), tv_usec: now.subsec_micros().into() }) };
    0
}

/// Stands in for `time(2)`.
///
/// # Safety
/// As of the C function: `place` is to be written to, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn time(place: *mut time_t) -> time_t {
    let now = seconds(now());
    // SAFETY: the caller's promise.
    unsafe { put(place, now) };
    now
}

/// The time of day.
fn now() -> Duration {
    let mut time = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it is a place of our own.
    unsafe { clock_gettime(libc::CLOCK_REALTIME, &raw mut time) };
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), nanoseconds)
}

/// The time that the test set; `None` where none sets it. One that cannot be read ends the
/// program: a test that runs at another time than it thinks proves nothing.
fn told() -> Option<Duration> {
    static TIME: AtomicI32 = AtomicI32::new(UNKNOWN);
    static SHIFT: AtomicI32 = AtomicI32::new(UNKNOWN);
    if let Some(file) = file(c"POSTERN_CLOCK_FILE", &TIME) {
        return Some(Duration::from_nanos(u64::from_le_bytes(read(file))));
    }
    let shift = i64::from_le_bytes(read(file(c"POSTERN_CLOCK_SHIFT_FILE", &SHIFT)?));
    let way = Duration::from_nanos(shift.unsigned_abs());
    let now = true_time();
    Some(if shift < 0 { now.saturating_sub(way) } else { now + way })
}

/// What the system tells.
fn true_time() -> Duration {
    let mut time = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it is a place of our own.
    unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_REALTIME, &raw mut time) };
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), nanoseconds)
}

fn read(file: c_int) -> [u8; 8] {
    let mut bytes = [0; 8];
    // SAFETY: the buffer is as long as it is said to be.
    let read = unsafe { libc::pread(file, bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if usize::try_from(read) != Ok(bytes.len()) {
        abort();
    }
    bytes
}

/// No file has been opened yet.
const UNKNOWN: c_int = -1;

/// The file that a variable names, which stays open. It is opened without an allocation: allocators
/// ask for the time.
fn file(variable: &CStr, opened: &AtomicI32) -> Option<c_int> {
    // SAFETY: the name ends with a zero.
    let path = unsafe { libc::getenv(variable.as_ptr()) };
    if path.is_null() {
        return None;
    }
    let known = opened.load(Relaxed);
    if known != UNKNOWN {
        return Some(known);
    }
    // SAFETY: the path is of the environment, which this program does not change.
    let file = unsafe { libc::open(path, libc::O_RDONLY | libc::O_CLOEXEC) };
    if file < 0 {
        abort();
    }
    // Where two threads come here at once, one file more stays open.
    opened.store(file, Relaxed);
    Some(file)
}

fn seconds(time: Duration) -> time_t {
    time_t::try_from(time.as_secs()).unwrap_or(time_t::MAX)
}

/// # Safety
/// `place` is to be written to, or null.
unsafe fn put<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: the caller's promise.
        unsafe { place.write(value) };
    }
}
