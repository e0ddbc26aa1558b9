//! The thread that starts keepers.
//!
//! Starting a process takes the kernel a while, more of it the busier the machine is, and holds up
//! whoever asks for it. One thread does nothing else, so that nobody else is.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};

use rustix::process::{getpriority_process, setpriority_process};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// How far process trees give way to the gateway and to what else a person runs, as a nice value:
/// what `nice` sets where nobody says how far.
const GIVES_WAY: i32 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// The way to the thread, once there is one.
static STARTER: Mutex<Option<Sender<Job>>> = Mutex::new(None);

/// What `start` gives, which runs on the thread and in the tokio runtime of whoever asks. Given up
/// while it waits, what has been started is dropped.
///
/// # Errors
/// The system gives no thread, or `start` has panicked.
pub(crate) async fn on_starter<T: Send + 'static>(
    start: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (tell, told) = oneshot::channel();
    let runtime = Handle::current();
    hand_over(Box::new(move || {
        let _entered = runtime.enter();
        // Dropped here where nobody waits for it any more.
        tell.send(start()).ok();
    }))?;
    told.await.map_err(|_| ended())
}

fn hand_over(job: Job) -> io::Result<()> {
    // Nothing is half done in it, whatever has panicked.
    let mut starter = STARTER.lock().unwrap_or_else(PoisonError::into_inner);
    let thread = match starter.take() {
        Some(thread) => thread,
        None => begin()?,
    };
    starter.insert(thread).send(job).map_err(|_| ended())
}

fn begin() -> io::Result<Sender<Job>> {
    let (sender, jobs) = channel::<Job>();
    let work = move || {
        give_way();
        for job in jobs {
            // Whoever waits for it learns of a panic, and the next one is no worse off.
            catch_unwind(AssertUnwindSafe(job)).ok();
        }
    };
    std::thread::Builder::new().name("starter".to_owned()).spawn(work)?;
    Ok(sender)
}

/// Lets this thread, and so all that it starts, give way to whoever serves people. A tree within a
/// tree gives way no further.
fn give_way() {
    if getpriority_process(None).is_ok_and(|own| own < GIVES_WAY) {
        // Everybody may. Where it fails, work takes its turn with all the rest.
        setpriority_process(None, GIVES_WAY).ok();
    }
}

fn ended() -> io::Error {
    io::Error::other("the thread that starts processes has failed")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::on_starter;

    #[tokio::test]
    async fn one_thread_starts_everything_and_outlives_a_panic() {
        let thread = || std::thread::current().id();
        let first = on_starter(thread).await.unwrap();
        assert_ne!(first, thread());
        on_starter(|| -> () { panic!("on purpose") }).await.unwrap_err();
        assert_eq!(on_starter(thread).await.unwrap(), first);
    }
}
