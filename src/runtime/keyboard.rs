//! The terminal's events: the next one, and whether one is there already.

use crossterm::event::{Event, EventStream};
use futures_core::Stream;
use std::pin::Pin;

/// The next event of the terminal, or the one that was looked at already; `None` when the terminal is gone.
pub(super) async fn next(
    input: &mut EventStream,
    ahead: &mut Option<Event>,
) -> Option<std::io::Result<Event>> {
    if let Some(event) = ahead.take() {
        return Some(Ok(event));
    }
    std::future::poll_fn(|context| Pin::new(&mut *input).poll_next(context)).await
}

/// The next event of the terminal, if it is there already. An error is met again by [`next`].
pub(super) async fn ready(input: &mut EventStream) -> Option<Event> {
    let event = std::future::poll_fn(|context| {
        std::task::Poll::Ready(match Pin::new(&mut *input).poll_next(context) {
            std::task::Poll::Ready(event) => event,
            std::task::Poll::Pending => None,
        })
    });
    event.await.and_then(Result::ok)
}
