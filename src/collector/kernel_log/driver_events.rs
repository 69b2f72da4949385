//! Xids from the driver, where no log can be read.

use super::{NAME, send};
use crate::collector::shared::Shared;
use crate::collector::writer::Output;
use crate::model::{Absence, EventSource, RawEvent, SourceState};
use crate::sources::nvml::{Caller, Session, XidEvent, XidEvents};
use std::time::Duration;

/// How long one wait lasts: well below the watchdog's deadline, so that one that does not return is told.
const WAIT: Duration = Duration::from_secs(1);
/// How often to look whether the driver is open by now, and whether a set that failed works again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Sends the Xids that the driver tells of; `why` says why the logs do not. Does not return where there is a driver.
pub(super) fn follow(why: &str, shared: &Shared, out: &Output) {
    tell(shared, SourceState::Unavailable, &format!("{why}: kernel events are not seen"));
    let session = wait_for_driver(shared);
    let caller = Caller::new(shared.clock);
    shared.put(|board| board.others.push(caller.slot()));
    loop {
        match session.xid_events(&caller) {
            Ok(events) => {
                let hidden = "no Xid from before kgtop's start, no SXid, PCIe, OOM, NVMe or NIC lines";
                let gpus = if events.gpus() == 1 { "GPU" } else { "GPUs" };
                let told = format!("Xids of {} {gpus} from NVML only: {hidden} ({why})", events.gpus());
                tell(shared, SourceState::Degraded, &told);
                let ended = drain(&events, &caller, shared, out);
                events.release(&caller);
                let told = format!("NVML tells no more Xids ({}; {why})", ended.label());
                tell(shared, SourceState::Unavailable, &told);
            }
            Err(absence) => {
                let told =
                    format!("NVML tells no Xids ({}; {why}): kernel events are not seen", absence.label());
                tell(shared, SourceState::Unavailable, &told);
                if absence == Absence::NotSupported {
                    return;
                }
            }
        }
        std::thread::sleep(TRY_AGAIN);
    }
}

fn drain(events: &XidEvents, caller: &Caller, shared: &Shared, out: &Output) -> Absence {
    loop {
        match events.wait(caller, WAIT) {
            Ok(None) => {}
            Ok(Some(xid)) => send(raw(&xid, shared), out),
            Err(absence) => return absence,
        }
    }
}

/// The driver does not say when it was.
fn raw(xid: &XidEvent, shared: &Shared) -> RawEvent {
    RawEvent {
        at: (shared.clock.mono)(),
        wall: (shared.clock.wall)(),
        source: EventSource::Nvml,
        priority: None,
        facility: None,
        gpu: xid.gpu.clone(),
        text: xid.text().into(),
    }
}

fn tell(shared: &Shared, state: SourceState, reason: &str) {
    shared.put(|board| board.source(NAME, state, reason));
}

fn wait_for_driver(shared: &Shared) -> Session {
    loop {
        if let Some(session) = shared.board().session {
            return session;
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}
