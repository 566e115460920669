//! Child processes, each in a process group of its own, so that stopping one stops all it has started.

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

/// How long a process may take to stop by itself before it is killed.
const PATIENCE: Duration = Duration::from_secs(8);

struct Registry {
    stopping: bool,
    groups: Vec<Pid>,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry { stopping: false, groups: Vec::new() });

/// Whether a signal is ending this program.
static SIGNALLED: AtomicBool = AtomicBool::new(false);

fn registry() -> std::sync::MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A running child process. Dropping it stops the child and everything that child started.
pub struct Running {
    child: Child,
    group: Pid,
    name: String,
}

impl Running {
    /// Starts `command` without input; its output goes to the file `log`, or to the terminal.
    ///
    /// # Errors
    /// When the program cannot be started, or Ctrl-C was pressed meanwhile.
    pub fn start(command: &mut Command, log: Option<&Path>) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).process_group(0);
        if let Some(log) = log {
            let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
            command.stdout(file.try_clone()?).stderr(file);
        }
        // Under the lock, so that a signal either prevents the start or sees the child.
        let mut registry = registry();
        if registry.stopping {
            bail!("stopped before {name} was started");
        }
        let child = command.spawn().with_context(|| format!("cannot start {name}; is it installed?"))?;
        let group = Pid::from_raw(child.id().try_into()?);
        registry.groups.push(group);
        Ok(Self { child, group, name })
    }

    /// Waits until the process ends by itself.
    ///
    /// # Errors
    /// When the operating system cannot tell.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.child.wait().with_context(|| format!("lost sight of {}", self.name))
    }

    /// The exit status when the process has ended already.
    ///
    /// # Errors
    /// When the operating system cannot tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("lost sight of {}", self.name))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        ask_to_stop(self.group);
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        end_group(self.group, deadline);
        let _ = self.child.wait();
        registry().groups.retain(|group| *group != self.group);
    }
}

/// SIGTERM to the leader, which ends its own children in order.
fn ask_to_stop(group: Pid) {
    let _ = kill(group, Signal::SIGTERM);
}

/// Waits until the group is empty; what is still there at the deadline is killed.
fn end_group(group: Pid, deadline: Instant) {
    let is_there = || killpg(group, None).is_ok();
    let _ = killpg(group, Signal::SIGTERM);
    while is_there() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    if is_there() {
        let _ = killpg(group, Signal::SIGKILL);
    }
}

/// Stops every [`Running`] process, and lets no new one start.
pub fn stop_all() {
    let groups = {
        let mut registry = registry();
        registry.stopping = true;
        registry.groups.clone()
    };
    for group in &groups {
        ask_to_stop(*group);
    }
    let deadline = Instant::now() + PATIENCE;
    for group in &groups {
        // A leader that is gone stays visible until the thread that started it has waited for it.
        while kill(*group, None).is_ok() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        end_group(*group, deadline);
    }
}

/// From now on Ctrl-C, SIGTERM and SIGHUP stop every [`Running`] process, print `farewell` and end this
/// program with `exit_code`.
///
/// # Errors
/// When a handler was installed before.
pub fn stop_all_on_signal(farewell: &'static str, exit_code: i32) -> Result<()> {
    ctrlc::set_handler(move || {
        SIGNALLED.store(true, Ordering::SeqCst);
        stop_all();
        println!("\n{farewell}");
        std::process::exit(exit_code);
    })
    .context("cannot listen for Ctrl-C")
}

/// The result of the program; never returns when a signal is ending it, because what failed then failed of that.
pub fn unless_signalled<T>(result: T) -> T {
    while SIGNALLED.load(Ordering::SeqCst) {
        thread::park();
    }
    result
}
