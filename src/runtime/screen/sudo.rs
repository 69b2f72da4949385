//! Before sudo is run for what takes the GPU away: the screen's own collector has to be gone, which root's kgtop
//! cannot stop.

use super::Loop;
use crate::app::{Message, SourceLife, State, update};
use color_eyre::eyre::Result;
use std::time::Duration;

/// How long the collector has to leave the GPU before sudo is run; it goes within an interval, or is inside a driver
/// call.
const COLLECTOR_PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait for a successor of one that died to say that it leaves.
const SUCCESSOR_PATIENCE: Duration = Duration::from_secs(2);
/// What is said where it does not.
pub(super) const COLLECTOR_STAYS: &str =
    "sudo was not run: kgtop's own collector does not leave the GPU, it is inside a driver call";

impl Loop {
    /// Where the collector was told to leave, waits until it is gone; false when it stays.
    pub(super) async fn collector_leaves(&mut self) -> Result<bool> {
        if !self.state.holds_the_collector() {
            return Ok(true);
        }
        // One that died already may have a successor that has not spoken yet.
        let is_down = |state: &State| matches!(state.source, SourceLife::Ended { .. });
        let patience = if is_down(&self.state) { SUCCESSOR_PATIENCE } else { COLLECTOR_PATIENCE };
        let until = (self.clock.mono)().plus(patience);
        // None is to follow: that is the answer to what it was told.
        while !matches!(self.state.source, SourceLife::Ended { restarting_in: None, .. }) {
            let left = until.since((self.clock.mono)());
            match tokio::time::timeout(left, self.feed.events.recv()).await {
                Ok(Some(event)) => {
                    for message in self.feed_messages(event) {
                        self.tell(message)?;
                    }
                }
                Ok(None) => return Ok(true),
                Err(_elapsed) => return Ok(is_down(&self.state)),
            }
        }
        Ok(true)
    }

    /// Takes a message in the middle of another one's effects.
    pub(super) fn tell(&mut self, message: Message) -> Result<()> {
        update(&mut self.state, message).into_iter().try_for_each(|effect| self.carry_out(effect))
    }
}
