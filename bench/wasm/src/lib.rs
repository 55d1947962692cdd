//! The tasks of `postern-bench` for whoever can load a Wasm module: a C-like interface of numbers
//! and places in memory, and no import at all.

#![expect(unsafe_code, reason = "an export with a name of its own is unsafe to declare")]

#[cfg(target_arch = "wasm32")]
mod entropy;

use std::cell::RefCell;

use postern_bench::{Counting, Fixtures, Task, tasks};

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

thread_local! {
    static TASKS: RefCell<Vec<Task>> = RefCell::new(tasks(Fixtures::load()));
}

fn with_task<T>(index: usize, otherwise: T, work: impl FnOnce(&mut Task) -> T) -> T {
    TASKS.with_borrow_mut(|tasks| tasks.get_mut(index).map_or(otherwise, work))
}

/// Number of tasks.
#[unsafe(no_mangle)]
pub extern "C" fn count() -> usize {
    TASKS.with_borrow(Vec::len)
}

/// Where the name of a task begins, UTF-8.
#[unsafe(no_mangle)]
pub extern "C" fn name(index: usize) -> *const u8 {
    with_task(index, std::ptr::null(), |task| task.name.as_ptr())
}

/// Length of the name of a task, in bytes.
#[unsafe(no_mangle)]
pub extern "C" fn name_length(index: usize) -> usize {
    with_task(index, 0, |task| task.name.len())
}

/// Repeats a task; 1 if it came out well each time, else 0.
#[unsafe(no_mangle)]
pub extern "C" fn run(index: usize, times: u32) -> u32 {
    with_task(index, 0, |task| u32::from((0..times).all(|_| task.run())))
}

/// Bytes allocated so far.
#[unsafe(no_mangle)]
pub extern "C" fn allocated() -> u64 {
    ALLOCATOR.bytes()
}
