//! Child processes. Each has its own process group, so that stopping it also stops its descendants.

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{os::unix::process::CommandExt, thread};

/// Time between SIGTERM and SIGKILL.
const GRACE_PERIOD: Duration = Duration::from_secs(8);

struct Registry {
    stopping: bool,
    groups: Vec<Pid>,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry { stopping: false, groups: Vec::new() });

/// Whether a signal is terminating this program.
static SIGNALLED: AtomicBool = AtomicBool::new(false);

fn registry() -> std::sync::MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A running child process. Dropping it stops the child and its descendants.
pub struct Running {
    child: Child,
    group: Pid,
    name: String,
}

impl Running {
    /// Starts `command` without standard input. Its output goes to the file `log`, or to the terminal.
    ///
    /// # Errors
    /// The program cannot be started, or Ctrl-C was pressed.
    pub fn start(command: &mut Command, log: Option<&Path>) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).process_group(0);
        if let Some(log) = log {
            let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
            command.stdout(file.try_clone()?).stderr(file);
        }
        // Under the lock, so that a signal either prevents the start or stops the child.
        let mut registry = registry();
        if registry.stopping {
            bail!("interrupted before {name} was started");
        }
        let child = command.spawn().with_context(|| format!("cannot start {name}; is it installed?"))?;
        let group = Pid::from_raw(child.id().try_into()?);
        registry.groups.push(group);
        Ok(Self { child, group, name })
    }

    /// Waits until the process exits.
    ///
    /// # Errors
    /// The process cannot be queried.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.child.wait().with_context(|| format!("cannot query the process {}", self.name))
    }

    /// The exit status, if the process has exited.
    ///
    /// # Errors
    /// The process cannot be queried.
    pub fn exit_status(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("cannot query the process {}", self.name))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        terminate_leader(self.group);
        let deadline = Instant::now() + GRACE_PERIOD;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        end_group(self.group, deadline);
        let _ = self.child.wait();
        registry().groups.retain(|group| *group != self.group);
    }
}

/// Sends SIGTERM to the leader only, so that it can stop its children in order.
fn terminate_leader(group: Pid) {
    let _ = kill(group, Signal::SIGTERM);
}

/// Waits until the group is empty and kills what remains at the deadline.
fn end_group(group: Pid, deadline: Instant) {
    let is_alive = || killpg(group, None).is_ok();
    let _ = killpg(group, Signal::SIGTERM);
    while is_alive() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    if is_alive() {
        let _ = killpg(group, Signal::SIGKILL);
    }
}

/// Stops every [`Running`] process and prevents new ones from starting.
pub fn stop_all() {
    let groups = {
        let mut registry = registry();
        registry.stopping = true;
        registry.groups.clone()
    };
    for group in &groups {
        terminate_leader(*group);
    }
    let deadline = Instant::now() + GRACE_PERIOD;
    for group in &groups {
        // A terminated leader remains visible until the thread that started it has waited for it.
        while kill(*group, None).is_ok() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        end_group(*group, deadline);
    }
}

/// Installs a handler for Ctrl-C, SIGTERM and SIGHUP that stops every [`Running`] process, prints `message` and exits
/// with `exit_code`.
///
/// # Errors
/// A handler is already installed.
pub fn stop_all_on_signal(message: &'static str, exit_code: i32) -> Result<()> {
    ctrlc::set_handler(move || {
        SIGNALLED.store(true, Ordering::SeqCst);
        stop_all();
        println!("\n{message}");
        std::process::exit(exit_code);
    })
    .context("cannot install a signal handler")
}

/// Returns `result`, unless a signal is terminating this program: then it never returns, since errors are a consequence of
/// the signal and the handler is about to exit.
pub fn unless_signalled<T>(result: T) -> T {
    while SIGNALLED.load(Ordering::SeqCst) {
        thread::park();
    }
    result
}
