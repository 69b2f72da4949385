//! The terminal's events: the next one, and whether one is there already.

use crossterm::event::{Event, EventStream};
use futures_core::Stream;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// What the operator does. crossterm's stream is asked only when it has something: to ask it costs a contended lock,
/// since a thread of its own waits for the terminal, and the loop comes by with every record.
pub(super) struct Keyboard {
    events: EventStream,
    /// An event that was looked at already.
    ahead: Option<Event>,
    bell: Arc<Bell>,
    waker: Waker,
}

/// Rings when the stream has something.
#[derive(Default)]
struct Bell {
    rung: AtomicBool,
    waiting: Mutex<Option<Waker>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, Ordering::SeqCst);
        let waker = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Keyboard {
    /// Begins to read the terminal; it is left alone again when this is dropped.
    pub(super) fn new() -> Self {
        let bell = Arc::new(Bell { rung: AtomicBool::new(true), ..Bell::default() });
        let waker = Waker::from(Arc::clone(&bell));
        Self { events: EventStream::new(), ahead: None, bell, waker }
    }

    /// The next event of the terminal, or the one that was looked at already; `None` when the terminal is gone.
    pub(super) async fn next(&mut self) -> Option<io::Result<Event>> {
        if let Some(event) = self.ahead.take() {
            return Some(Ok(event));
        }
        std::future::poll_fn(|context| {
            // First the waker, then the look: what rings in between is not lost.
            *self.bell.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
            if self.bell.rung.swap(false, Ordering::SeqCst) { self.ask() } else { Poll::Pending }
        })
        .await
    }

    /// Whether another event is there already; [`next`](Self::next) gives it. An error is met again there.
    pub(super) fn has_more(&mut self) -> bool {
        if self.ahead.is_none()
            && let Poll::Ready(Some(Ok(event))) = self.ask()
        {
            self.ahead = Some(event);
        }
        self.ahead.is_some()
    }

    /// The event that was looked at.
    pub(super) const fn ahead(&self) -> Option<&Event> {
        self.ahead.as_ref()
    }

    fn ask(&mut self) -> Poll<Option<io::Result<Event>>> {
        let answer = Pin::new(&mut self.events).poll_next(&mut Context::from_waker(&self.waker));
        if answer.is_ready() {
            // There may be more.
            self.bell.rung.store(true, Ordering::SeqCst);
        }
        answer
    }
}
