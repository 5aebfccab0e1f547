//! Supervised child process: own process group, allow-listed environment, stderr drained by a thread into a bounded tail,
//! and a watchdog thread that kills the group on a stall or cancellation. The group is killed on drop, and on Linux when
//! this process dies.

use std::collections::VecDeque;
use std::env;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{self, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::{CancelToken, MediaError, Result};

/// Bytes at the end of a child's stderr that are kept.
const TAIL_BYTES: usize = 64 << 10;
/// Number of lines at the end of stderr that an error shows.
const SHOWN_LINES: usize = 6;
/// Maximum bytes of a line of stderr; longer ones are split.
const MAX_LINE: usize = 8 << 10;
/// Maximum number of frame sizes that are kept.
const MAX_SIZES: usize = 64;
/// The `-loglevel` at which ffmpeg prints the frame size of a filter graph's input whenever it changes. Messages below a
/// warning are kept out of the tail.
pub(crate) const WITH_SIZES: &str = "level+verbose";
/// Interval at which the watchdog checks for a stall or cancellation.
const WATCH_INTERVAL: Duration = Duration::from_millis(50);

/// A child process to start.
pub(crate) struct Request {
    /// `ffmpeg` or `ffprobe`, for messages.
    pub(crate) tool: &'static str,
    /// Path of the program.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) args: Vec<OsString>,
    /// True for a pipe to its stdin; else stdin is empty.
    pub(crate) stdin: bool,
    /// True for a pipe from its stdout; else stdout is discarded.
    pub(crate) stdout: bool,
    /// Kills the child when cancelled.
    pub(crate) cancel: CancelToken,
    /// Timeout of a single read, write or wait.
    pub(crate) stall: Duration,
}

/// A program and its arguments, displayed as a command for a POSIX shell.
struct CommandLine<'a>(&'a Path, &'a [OsString]);

impl fmt::Display for CommandLine<'_> {
    /// Writes the words; those with characters that have a meaning in shells in single quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+%@".contains(c);
        write!(f, "{}", self.0.display())?;
        self.1.iter().try_for_each(|word| match word.to_string_lossy() {
            word if !word.is_empty() && word.chars().all(plain) => write!(f, " {word}"),
            word => write!(f, " '{}'", word.replace('\'', r"'\''")),
        })
    }
}

impl Request {
    /// Creates a request without pipes, with a timeout of 120 s and a token that nothing cancels.
    pub(crate) fn new(tool: &'static str, program: &Path, args: Vec<OsString>) -> Self {
        let cancel = CancelToken::new();
        let program = program.to_owned();
        Self {
            tool,
            program,
            args,
            stdin: false,
            stdout: false,
            cancel,
            stall: Duration::from_secs(120),
        }
    }
}

/// A running child process; reads its stdout through [`Read`]. Its process group is killed on drop.
#[derive(Debug)]
pub(crate) struct Child {
    tool: &'static str,
    stall: Duration,
    shared: Arc<Shared>,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Arc<Mutex<Stderr>>,
    /// Disconnected once stderr has been read to its end.
    stderr_done: Receiver<()>,
    watchdog: Thread,
}

/// Parsed stderr of a child.
#[derive(Debug, Default)]
struct Stderr {
    /// The last [`TAIL_BYTES`] of its warnings and errors.
    tail: VecDeque<u8>,
    /// Width and height of the filter graph's input each time it was configured.
    sizes: Vec<[u32; 2]>,
}

/// State that the watchdog shares with the owner of a child.
#[derive(Debug)]
struct Shared {
    process: Mutex<Process>,
    /// Milliseconds from `epoch` to the start of the current wait, plus one; 0 while no call waits.
    waiting: AtomicU64,
    epoch: Instant,
    /// Why the watchdog killed the child: [`VERDICT_STALLED`], [`VERDICT_CANCELLED`], or 0 while it has not.
    verdict: AtomicU8,
}

/// The operating system's process and its exit status.
#[derive(Debug)]
struct Process {
    child: process::Child,
    /// Set once the child has been reaped: from then on its id may belong to another process.
    status: Option<ExitStatus>,
}

/// [`Shared::verdict`] of a child that exceeded its timeout.
const VERDICT_STALLED: u8 = 1;
/// [`Shared::verdict`] of a child whose token was cancelled.
const VERDICT_CANCELLED: u8 = 2;

impl Child {
    /// Starts the child with its stderr and watchdog threads; an error where the program cannot be run.
    pub(crate) fn start(request: Request) -> io::Result<Self> {
        let mut command = Command::new(&request.program);
        let pipe = |wanted: bool| if wanted { Stdio::piped() } else { Stdio::null() };
        command
            .args(&request.args)
            .stdin(pipe(request.stdin))
            .stdout(pipe(request.stdout))
            .stderr(Stdio::piped());
        restrict(&mut command);
        let mut child = spawn(command)?;
        tracing::debug!(
            pid = child.id(),
            command = %CommandLine(&request.program, &request.args),
            "{} started",
            request.tool
        );
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let stderr = Arc::new(Mutex::new(Stderr::default()));
        let stderr_done = drain(child.stderr.take(), Arc::clone(&stderr));
        let shared = Arc::new(Shared {
            process: Mutex::new(Process { child, status: None }),
            waiting: AtomicU64::new(0),
            epoch: Instant::now(),
            verdict: AtomicU8::new(0),
        });
        let watchdog = watch(Arc::clone(&shared), request.cancel, request.stall);
        widen_pipes(stdin.as_ref(), stdout.as_ref());
        Ok(Self {
            tool: request.tool,
            stall: request.stall,
            shared,
            stdin,
            stdout,
            stderr,
            stderr_done,
            watchdog,
        })
    }

    /// Writes all of `bytes` to its stdin; `context` describes the task in the error.
    pub(crate) fn write(&mut self, bytes: &[u8], context: impl Fn() -> String) -> Result<()> {
        let written = match &mut self.stdin {
            Some(stdin) => self.shared.timed(|| stdin.write_all(bytes)),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        written.map_err(|_| self.failure(&context()))
    }

    /// Closes its stdin, which signals the end of input.
    pub(crate) fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Reads its stdout to the end and waits for its exit; an error beyond `limit` bytes and for a failed exit.
    pub(crate) fn capture(mut self, limit: usize, context: &str) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let shared = Arc::clone(&self.shared);
        let read = shared.timed(|| (&mut self).take(limit as u64 + 1).read_to_end(&mut out));
        if out.len() > limit {
            let accepted = format!("{limit} bytes");
            return Err(MediaError::limit(
                format!("the answer of {}", self.tool),
                "longer",
                accepted,
            ));
        }
        read.map_err(|_| self.failure(context))?;
        self.finish(context)?;
        Ok(out)
    }

    /// Closes its stdin and waits for its exit; an error for a failed exit status and a timeout.
    pub(crate) fn finish(&mut self, context: &str) -> Result<ExitStatus> {
        self.stdin = None;
        let status = self.shared.timed(|| self.shared.wait(None));
        match status {
            Some(status) if status.success() && self.shared.verdict() == 0 => Ok(status),
            _ => Err(self.failure(context)),
        }
    }

    /// Closes its stdin and waits for its exit as [`Child::finish`] does, but times out only when the value of `progress`,
    /// such as the size of the output file, has not changed for the timeout.
    pub(crate) fn finish_while_growing<P: PartialEq>(
        &mut self,
        context: &str,
        progress: impl Fn() -> P,
    ) -> Result<()> {
        self.stdin = None;
        let (mut seen, mut changed) = (progress(), Instant::now());
        while self.shared.wait(Some(Duration::from_millis(200))).is_none() {
            let now = progress();
            if now != seen {
                (seen, changed) = (now, Instant::now());
            } else if changed.elapsed() > self.stall {
                self.shared.verdict.store(VERDICT_STALLED, Ordering::SeqCst);
                self.shared.kill();
            }
        }
        self.finish(context).map(|_| ())
    }

    /// Closes the pipes, waits up to 2 s for the exit, and returns the error: cancelled, stalled, or the exit status with
    /// the last lines of stderr.
    pub(crate) fn failure(&mut self, context: &str) -> MediaError {
        self.stdin = None;
        self.stdout = None;
        let status = self.shared.wait(Some(Duration::from_secs(2))).map_or_else(
            || {
                self.shared.kill();
                "still running after closing its pipes; killed".to_owned()
            },
            describe,
        );
        let (tool, context, tail) = (self.tool, context.to_owned(), self.tail());
        match self.shared.verdict() {
            VERDICT_CANCELLED => MediaError::Cancelled,
            VERDICT_STALLED => MediaError::Stalled {
                tool,
                context,
                after: self.stall,
                tail,
            },
            _ => MediaError::Child {
                tool,
                status,
                context,
                tail,
            },
        }
    }

    /// Returns the last lines of its stderr joined by `; `, with control characters replaced by spaces.
    pub(crate) fn tail(&self) -> String {
        // A grandchild may hold the pipe open; then the lines read so far are used.
        let _ = self.stderr_done.recv_timeout(Duration::from_millis(500));
        let tail: Vec<u8> = lock(&self.stderr).tail.iter().copied().collect();
        let text = String::from_utf8_lossy(&tail);
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
        let clean = |line: &&str| without_addresses(line).replace(char::is_control, " ");
        if shown.is_empty() {
            return "it said nothing".to_owned();
        }
        shown.iter().map(clean).collect::<Vec<_>>().join("; ")
    }

    /// Returns width and height of its filter graph's input each time the graph was configured, for a child run with
    /// `-loglevel` [`WITH_SIZES`]; complete once it has exited.
    pub(crate) fn sizes(&self) -> Vec<[u32; 2]> {
        lock(&self.stderr).sizes.clone()
    }

    /// Returns the last lines of its warnings and errors so far; `None` without any. An exit status of 0 may come with one,
    /// for example of a full disk.
    pub(crate) fn warnings(&self) -> Option<String> {
        let quiet = lock(&self.stderr).tail.is_empty();
        (!quiet).then(|| self.tail())
    }

    /// Reports whether the watchdog killed the child, for a stall or cancellation.
    pub(crate) fn was_stopped(&self) -> bool {
        self.shared.verdict() != 0
    }
}

/// Removes memory addresses from a line of ffmpeg's messages, `[mov @ 0x55d2c8]` to `[mov]`, so that clients of a server
/// never see them.
fn without_addresses(line: &str) -> String {
    let mut parts = line.split(" @ 0x");
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        clean.push_str(part.trim_start_matches(|c: char| c.is_ascii_hexdigit()));
    }
    clean
}

impl Read for Child {
    /// Reads from the child's stdout, subject to the watchdog's timeout; 0 bytes where stdout is not piped.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.stdout {
            Some(stdout) => self.shared.timed(|| stdout.read(buffer)),
            None => Ok(0),
        }
    }
}

impl Drop for Child {
    /// Kills the process group, reaps the child (waiting up to 5 s) and ends the watchdog.
    fn drop(&mut self) {
        self.shared.kill();
        self.shared.wait(Some(Duration::from_secs(5)));
        self.watchdog.unpark();
    }
}

impl Shared {
    /// Runs `work`, which waits for the child, subject to the watchdog's timeout; of nested calls the outer one counts.
    fn timed<T>(&self, work: impl FnOnce() -> T) -> T {
        let now = self.epoch.elapsed().as_millis() as u64 + 1;
        let outer = self
            .waiting
            .compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst)
            .is_err();
        let result = work();
        if !outer {
            self.waiting.store(0, Ordering::SeqCst);
        }
        result
    }

    /// Returns why the watchdog killed the child: [`VERDICT_STALLED`], [`VERDICT_CANCELLED`], or 0 while it has not.
    fn verdict(&self) -> u8 {
        self.verdict.load(Ordering::SeqCst)
    }

    /// Waits up to `patience` (`None`: forever) for the child's exit and reaps it; `None` where it still runs.
    fn wait(&self, patience: Option<Duration>) -> Option<ExitStatus> {
        let start = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            let mut process = lock(&self.process);
            if process.status.is_none() {
                process.status = process.child.try_wait().ok().flatten();
                if let Some(status) = process.status {
                    tracing::debug!(pid = process.child.id(), "{}", describe(status));
                }
            }
            if process.status.is_some() || patience.is_some_and(|limit| start.elapsed() > limit) {
                return process.status;
            }
            drop(process);
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Kills the child's process group, unless the child has been reaped.
    fn kill(&self) {
        let mut process = lock(&self.process);
        if process.status.is_none() {
            kill_group(&mut process.child);
        }
    }
}

/// Runs a child to its end and returns its stdout; an error beyond `limit` bytes. `context` describes the task in errors.
pub(crate) fn capture(request: Request, limit: usize, context: &str) -> Result<Vec<u8>> {
    start(request)?.capture(limit, context)
}

/// Starts a child; where it cannot be started, the error names the tool's environment variable.
pub(crate) fn start(request: Request) -> Result<Child> {
    let (tool, program) = (request.tool, request.program.clone());
    let variable = if tool == "ffprobe" {
        "RIFE_FFPROBE"
    } else {
        "RIFE_FFMPEG"
    };
    Child::start(request).map_err(|e| not_started(tool, &program, variable, e))
}

/// Returns the error of a program that could not be started: [`MediaError::Io`] where the system is out of files, processes
/// or memory, else [`MediaError::FfmpegMissing`].
pub(super) fn not_started(
    tool: &'static str,
    program: &Path,
    variable: &'static str,
    error: io::Error,
) -> MediaError {
    if is_shortage(&error) {
        return MediaError::io("start", program, error);
    }
    MediaError::FfmpegMissing {
        tool,
        reason: format!("{}: {error}", program.display()),
        variable,
    }
}

/// Reports whether the system is out of files, processes or memory.
#[cfg(unix)]
fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let codes = [Errno::MFILE, Errno::NFILE, Errno::AGAIN, Errno::NOMEM];
    codes
        .iter()
        .any(|code| error.raw_os_error() == Some(code.raw_os_error()))
}

/// Reports whether the system is out of memory.
#[cfg(not(unix))]
fn is_shortage(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::OutOfMemory
}

/// Locks `mutex`, ignoring poisoning.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Formats an exit status for errors: `exit status 1` or `killed by signal 9`.
fn describe(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let too_large = signal == rustix::process::Signal::XFSZ.as_raw();
        let why = if too_large {
            ": a file has reached the size that `ulimit -f` allows"
        } else {
            ""
        };
        return format!("killed by signal {signal}{why}");
    }
    status.code().map_or_else(
        || "no exit status".to_owned(),
        |code| format!("exit status {code}"),
    )
}

/// Starts a thread that reads `pipe` to its end into `parsed`, so that the child never blocks on it. The returned receiver
/// disconnects at the end.
fn drain(pipe: Option<ChildStderr>, parsed: Arc<Mutex<Stderr>>) -> Receiver<()> {
    let (done, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        let (mut pipe, mut line) = (pipe, Vec::new());
        while let Some(Ok(count @ 1..)) = pipe.as_mut().map(|pipe| pipe.read(&mut buffer)) {
            for &byte in &buffer[..count] {
                line.push(byte);
                if byte == b'\n' || line.len() >= MAX_LINE {
                    lock(&parsed).add_line(&line);
                    line.clear();
                }
            }
        }
        lock(&parsed).add_line(&line);
        drop(done);
    });
    receiver
}

impl Stderr {
    /// Parses one line: a frame size of the filter graph is recorded, a warning or error is appended to the tail without
    /// its level, other messages are dropped.
    fn add_line(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        if text.contains("[verbose] ") || text.contains("[info] ") {
            let size = size_of_input(&text).filter(|_| self.sizes.len() < MAX_SIZES);
            self.sizes.extend(size);
            return;
        }
        let plain = ["[warning] ", "[error] ", "[fatal] "]
            .iter()
            .fold(text.into_owned(), |text, level| text.replacen(level, "", 1));
        self.tail.extend(plain.as_bytes());
        let excess = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..excess);
    }
}

/// Parses width and height from ffmpeg's message about a filter graph's input, `[graph 0 input from stream 0:0 @ 0x55]
/// [verbose] w:160 h:96 pixfmt:yuv420p ...`; `None` for another line.
fn size_of_input(line: &str) -> Option<[u32; 2]> {
    let (_, words) = line
        .split_once(" input from stream ")?
        .1
        .split_once("] [verbose] w:")?;
    let (width, rest) = words.split_once(" h:")?;
    Some([width.parse().ok()?, rest.split(' ').next()?.parse().ok()?])
}

/// Starts the watchdog thread, which kills the child on cancellation and when a wait exceeds `stall`, and ends once the
/// child has been reaped.
fn watch(shared: Arc<Shared>, cancel: CancelToken, stall: Duration) -> Thread {
    let handle = thread::spawn(move || {
        loop {
            thread::park_timeout(WATCH_INTERVAL);
            if lock(&shared.process).status.is_some() {
                return;
            }
            let since = shared.waiting.load(Ordering::SeqCst);
            let waited = shared
                .epoch
                .elapsed()
                .saturating_sub(Duration::from_millis(since.saturating_sub(1)));
            let verdict = match (cancel.is_cancelled(), since > 0 && waited > stall) {
                (true, _) => VERDICT_CANCELLED,
                (_, true) => VERDICT_STALLED,
                _ => continue,
            };
            shared.verdict.store(verdict, Ordering::SeqCst);
            shared.kill();
        }
    });
    handle.thread().clone()
}

/// Environment variables that a child inherits: for programs, libraries, temporary folders and graphics devices. All
/// others, such as `FFREPORT` and `AV_LOG_FORCE_COLOR`, are removed.
const KEPT_VARIABLES: [&str; 16] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "TEMP",
    "TMP",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "SystemRoot",
    "USERPROFILE",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
    "LIBVA_DRIVER_NAME",
    "LIBVA_DRIVERS_PATH",
    "VDPAU_DRIVER",
    "XDG_RUNTIME_DIR",
    "DISPLAY",
];

/// Restricts the environment of `command` to [`KEPT_VARIABLES`] and the C locale, and puts its process into a new process
/// group, without core dumps and killed with its parent.
fn restrict(command: &mut Command) {
    command.env_clear().env("LC_ALL", "C");
    for name in KEPT_VARIABLES {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
        }
    }
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        command.process_group(0);
        // SAFETY: `in_child` makes two system calls and touches no memory that another thread may have locked.
        unsafe { command.pre_exec(in_child) };
    }
}

/// Runs in the child between fork and exec: disables core dumps and, on Linux, requests SIGKILL when the parent dies.
#[cfg(unix)]
fn in_child() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )?;
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    Ok(())
}

/// Kills the child's process group and the child; errors are ignored.
#[cfg(unix)]
fn kill_group(child: &mut process::Child) {
    let group = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
}

/// Kills the child; errors are ignored.
#[cfg(not(unix))]
fn kill_group(child: &mut process::Child) {
    let _ = child.kill();
}

/// Spawns `command` on a thread that never ends: the parent-death signal of Linux is tied to the thread that forked, and
/// the caller's thread may end before the child.
fn spawn(command: Command) -> io::Result<process::Child> {
    type Job = (Command, mpsc::Sender<io::Result<process::Child>>);
    static SPAWNER: Mutex<Option<mpsc::Sender<Job>>> = Mutex::new(None);
    let (reply, answer) = mpsc::channel();
    let mut spawner = lock(&SPAWNER);
    let queue = spawner.get_or_insert_with(|| {
        let (queue, jobs) = mpsc::channel::<Job>();
        thread::spawn(move || {
            for (mut command, reply) in jobs {
                let _ = reply.send(command.spawn());
            }
        });
        queue
    });
    let sent = queue.send((command, reply));
    drop(spawner);
    let gone = || io::Error::other("the spawning thread has ended");
    sent.map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

/// Enlarges the pipe buffers to 1 MiB where the system allows, for fewer context switches.
fn widen_pipes(stdin: Option<&ChildStdin>, stdout: Option<&ChildStdout>) {
    #[cfg(target_os = "linux")]
    {
        let _ = stdin.map(|pipe| rustix::pipe::fcntl_setpipe_size(pipe, 1 << 20));
        let _ = stdout.map(|pipe| rustix::pipe::fcntl_setpipe_size(pipe, 1 << 20));
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (stdin, stdout);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_heard_and_what_is_no_warning_is_not_told() {
        let mut said = Stderr::default();
        for line in [
            "[graph 0 input from stream 0:0 @ 0x55] [verbose] w:160 h:96 pixfmt:yuv420p tb:1/90000\n",
            "[h264 @ 0x55] [verbose] Reinit context to 176x144\n",
            "[info] Input #0, mpegts\n",
            "[h264 @ 0x55] [warning] a [warning] that stays\n",
            "[graph 0 input from stream 0:0 @ 0x56] [verbose] w:176 h:144 pixfmt:yuv420p\n",
            "no level\n",
        ] {
            said.add_line(line.as_bytes());
        }
        assert_eq!(said.sizes, [[160, 96], [176, 144]]);
        let tail: Vec<u8> = said.tail.into();
        assert_eq!(
            String::from_utf8(tail).unwrap(),
            "[h264 @ 0x55] a [warning] that stays\nno level\n"
        );
    }

    #[test]
    fn a_logged_command_can_be_pasted_into_a_shell() {
        let args = ["-i", "it's a clip.mp4", "", "-vf", "scale=2:2", "$HOME"].map(OsString::from);
        let shown = CommandLine(Path::new("/bin/echo"), &args).to_string();
        assert_eq!(
            shown,
            r"/bin/echo -i 'it'\''s a clip.mp4' '' -vf scale=2:2 '$HOME'"
        );
    }

    #[test]
    fn addresses_of_memory_are_not_told() {
        let said = "[mov,mp4 @ 0x5573f2147d00] moov atom not found; [a @ 0xff]";
        assert_eq!(without_addresses(said), "[mov,mp4] moov atom not found; [a]");
    }
}
