//! What the collector's threads share: the board, and the ways to change it and to wait for others.
//!
//! A wake-up costs more than most of what a thread does then: whoever changes the board wakes only those who wait for
//! just that.

use super::board::Board;
use crate::model::{Bye, Demand};
use crate::units::{Clock, Mono};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The board and what is waited for.
pub(super) struct Shared {
    /// The clocks.
    pub(super) clock: Clock,
    /// Time between samples.
    pub(super) interval: Duration,
    board: Mutex<Board>,
    /// All of a round is there, or something else that a tick must not sleep through: for the tick.
    complete: Condvar,
    /// The GPUs' lists of a round are there: for whoever reads the processes in them.
    listed: Condvar,
    /// A round began: for the readers.
    began: Condvar,
    /// The monitor asked for something, or a pool changed: for the readers of what is seldom read.
    asked: Condvar,
}

impl Shared {
    pub(super) fn new(clock: Clock, interval: Duration) -> Arc<Self> {
        // Until a monitor says what it shows, everything is wanted: a recording has no screen.
        let board = Board { demand: Demand::all(), round: 1, ..Board::default() };
        Arc::new(Self {
            clock,
            interval,
            board: Mutex::new(board),
            complete: Condvar::new(),
            listed: Condvar::new(),
            began: Condvar::new(),
            asked: Condvar::new(),
        })
    }

    /// The board. A thread that panicked while it held the board left plain data behind: go on with it.
    pub(super) fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the board: the next tick takes it from there, and nobody waits for it.
    pub(super) fn put<T>(&self, change: impl FnOnce(&mut Board) -> T) -> T {
        change(&mut self.board())
    }

    /// Changes the board and wakes the tick, and whoever waits for lists, to look at it.
    pub(super) fn post<T>(&self, change: impl FnOnce(&mut Board) -> T) -> T {
        let result = change(&mut self.board());
        self.complete.notify_all();
        self.listed.notify_all();
        result
    }

    /// A thread's last change of a round: wakes those for whom the round is complete by it.
    pub(super) fn finish(&self, change: impl FnOnce(&mut Board)) {
        let now = (self.clock.mono)();
        let mut board = self.board();
        let round = board.round;
        let before = board.lists_complete(round, now);
        change(&mut board);
        let (listed, complete) = (board.lists_complete(round, now), board.complete(round, now));
        drop(board);
        if listed && !before {
            self.listed.notify_all();
        }
        if complete {
            self.complete.notify_all();
        }
    }

    /// Takes a wish of the monitor, or a piece of news that changes what is worth reading.
    pub(super) fn ask(&self, change: impl FnOnce(&mut Board)) {
        change(&mut self.board());
        self.asked.notify_all();
    }

    /// Begins the next round.
    pub(super) fn begin_round(&self, round: u64) {
        self.board().round = round;
        self.began.notify_all();
    }

    /// Waits until every thread that is not stuck has posted for `round`, but no longer than `patience`. Gives whether
    /// all have.
    pub(super) fn wait_for_round(&self, round: u64, patience: Duration) -> bool {
        let done = |board: &Board, now| board.complete(round, now) || board.leaving.is_some();
        self.wait(&self.complete, patience, done)
    }

    /// Waits, without limit, for a round after `done`; then, no longer than `patience`, for the GPUs' process
    /// lists of that round. Gives the round.
    pub(super) fn next_lists(&self, done: u64, patience: Duration) -> u64 {
        let round = self.next_round(done);
        // Before the driver is opened there are no lists to be had, and what is asked too early is known a round late.
        self.wait(&self.listed, patience, |board, now| board.opened && board.lists_complete(round, now));
        round
    }

    /// Waits, without limit, for a round after `done`, or until `deadline`. Gives the round.
    pub(super) fn round_or_deadline(&self, done: u64, deadline: Mono) -> u64 {
        let patience = deadline.since((self.clock.mono)());
        self.wait(&self.began, patience, |board, _| board.round > done);
        self.board().round
    }

    /// Waits, without limit, for a round after `done`. Gives the round.
    pub(super) fn next_round(&self, done: u64) -> u64 {
        let board = self.board();
        let board =
            self.began.wait_while(board, |board| board.round <= done).unwrap_or_else(PoisonError::into_inner);
        board.round
    }

    /// The same while something is `shown`, and until `hidden` while it is not.
    pub(super) fn next_look(&self, done: u64, shown: fn(&Board) -> bool, hidden: Mono) -> u64 {
        self.wait_until(|board| if shown(board) { Mono(0) } else { hidden });
        let board = self.board();
        let waits = |board: &mut Board| shown(board) && board.round <= done;
        self.began.wait_while(board, waits).unwrap_or_else(PoisonError::into_inner).round
    }

    /// Waits until the time that `when` gives for the board as it is; it is asked anew after each
    /// [`ask`](Self::ask). A time that never comes is `Mono(u64::MAX)`.
    pub(super) fn wait_until(&self, mut when: impl FnMut(&Board) -> Mono) {
        let mut board = self.board();
        loop {
            let until = when(&board);
            let now = (self.clock.mono)();
            if now >= until {
                return;
            }
            let (guard, _timeout) =
                self.asked.wait_timeout(board, until.since(now)).unwrap_or_else(PoisonError::into_inner);
            board = guard;
        }
    }

    fn wait(&self, event: &Condvar, patience: Duration, until: impl Fn(&Board, Mono) -> bool) -> bool {
        let deadline = (self.clock.mono)().plus(patience);
        let mut board = self.board();
        loop {
            let now = (self.clock.mono)();
            let met = until(&board, now);
            if met || now >= deadline {
                return met;
            }
            let (guard, _timeout) =
                event.wait_timeout(board, deadline.since(now)).unwrap_or_else(PoisonError::into_inner);
            board = guard;
        }
    }

    pub(super) fn leaving(&self) -> Option<Bye> {
        self.board().leaving.clone()
    }

    /// Asks for the collector to leave after this tick.
    pub(super) fn leave(&self, reason: &str, restart: bool) {
        self.post(|board| {
            board.leaving.get_or_insert_with(|| Bye { reason: reason.into(), restart });
        });
    }
}
