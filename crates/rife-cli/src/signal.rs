//! Signal handling (Ctrl-C and SIGTERM): the first signal cancels the job, which cleans up; the second ends the program.

use std::sync::atomic::{AtomicUsize, Ordering};

use rife::media::CancelToken;

use crate::output;

/// Exit code of an interrupted program: 128 + SIGINT.
const INTERRUPTED: i32 = 130;

/// Installs the handler; returns a token that the first signal cancels.
pub(crate) fn install() -> CancelToken {
    // Number of signals received.
    static SIGNALS: AtomicUsize = AtomicUsize::new(0);
    let token = CancelToken::new();
    let cancelled = token.clone();
    let handler = move || {
        cancelled.cancel();
        if SIGNALS.fetch_add(1, Ordering::SeqCst) > 0 {
            std::process::exit(INTERRUPTED);
        }
        output::note("stopping; once more to stop at once");
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        output::note(&format!(
            "rife: signals cannot be caught ({error}); Ctrl-C will stop at once"
        ));
    }
    token
}
