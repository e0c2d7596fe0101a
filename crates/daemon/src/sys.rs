//! The only unsafe code of the daemon: what has to happen in a child between fork and exec, and
//! letting go of what was handed down.
#![expect(
    unsafe_code,
    reason = "there is no safe way to act between fork and exec, nor to close \
                                 what nobody owns"
)]

use std::io;
use std::os::fd::BorrowedFd;
use std::os::raw::c_int;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::{FdFlags, fcntl_getfd};
use rustix::process::{Signal, getpid};

use crate::descriptors;

/// At least as large as any system's `sigset_t`.
#[repr(C, align(16))]
struct SignalSet([u8; 256]);

#[cfg(target_os = "linux")]
const SIG_SETMASK: c_int = 2;
#[cfg(not(target_os = "linux"))]
const SIG_SETMASK: c_int = 3;

// SAFETY: these are the C library's, with their signatures in POSIX; `SignalSet` stands for the
// opaque set and is not smaller.
unsafe extern "C" {
    fn sigemptyset(set: *mut SignalSet) -> c_int;
    fn sigprocmask(how: c_int, set: *const SignalSet, old: *mut SignalSet) -> c_int;
}

/// Makes the child of `command` begin without blocked signals, with the number of descriptors that
/// is `given` to it, and get this signal when the thread ends that forks it.
///
/// The death signal belongs to the *thread*: spawn only from one that never ends. `SIGPIPE` is
/// reset by the standard library already.
pub(crate) fn tie_to_this_thread(command: &mut Command, given: Option<u64>, signal: Signal) {
    let parent = getpid();
    // SAFETY: the closure runs in the forked child and does nothing but make system calls that
    // are safe there; it allocates nothing, takes no lock and touches no memory of others.
    unsafe {
        command.pre_exec(move || {
            unblock_signals()?;
            given.map_or(Ok(()), descriptors::give_back)?;
            die_with_parent(parent, signal)
        });
    }
}

/// Where the open descriptors of a process are listed.
const DESCRIPTORS: &str = "/dev/fd";

/// Closes what a starter left open for us besides the standard handles: a lock of a cron job, the
/// pipe of a command substitution, which would stay taken for as long as we live.
pub(crate) fn close_inherited() -> io::Result<()> {
    let entries = std::fs::read_dir(DESCRIPTORS)?.flatten();
    let numbers: Vec<c_int> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // SAFETY: a number that is not open any more, such as that of the listing itself, is only
        // answered with an error.
        let flags = fcntl_getfd(unsafe { BorrowedFd::borrow_raw(number) });
        // Whatever this process opened itself closes at an exec; what was inherited did not.
        if flags.is_ok_and(|flags| !flags.contains(FdFlags::CLOEXEC)) {
            // SAFETY: nothing in this process owns it: all that we open is marked.
            unsafe { rustix::io::close(number) };
        }
    }
    Ok(())
}

fn unblock_signals() -> io::Result<()> {
    let mut none = SignalSet([0; 256]);
    // SAFETY: both calls get a valid set that outlives them; a null `old` means that nobody asks
    // for the previous mask.
    let failed = unsafe {
        sigemptyset(&raw mut none) != 0
            || sigprocmask(SIG_SETMASK, &raw const none, std::ptr::null_mut()) != 0
    };
    if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(target_os = "linux")]
fn die_with_parent(parent: rustix::process::Pid, signal: Signal) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(signal))?;
    // A parent that died before the line above would never be noticed.
    if rustix::process::getppid() == Some(parent) {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(rustix::io::Errno::SRCH.raw_os_error()))
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent(_parent: rustix::process::Pid, _signal: Signal) -> io::Result<()> {
    Ok(())
}
