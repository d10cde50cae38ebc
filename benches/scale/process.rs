//! What Linux says about this process.

use std::fs;
use std::time::Duration;

/// As many as may be.
#[cfg(target_os = "linux")]
pub fn open_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

#[cfg(not(target_os = "linux"))]
pub fn open_many_files() {}

/// Bytes of memory that are there and not only promised.
pub fn resident() -> usize {
    const PAGE: usize = 4096;
    let pages = read("/proc/self/statm").split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("a number of pages") * PAGE
}

/// How long all threads have run.
pub fn cpu_time() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").expect("threads");
    let of_one = |task: fs::DirEntry| {
        // A thread may have ended since.
        let told = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        told.split(' ').next().and_then(|nanoseconds| nanoseconds.parse().ok()).unwrap_or(0)
    };
    Duration::from_nanos(tasks.filter_map(Result::ok).map(of_one).sum())
}

/// How many files are open.
pub fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").map(Iterator::count).unwrap_or_default()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}
