//! The thread that follows kgtop's audit logs and sends each action that is over.

use super::shared::Shared;
use super::writer::{Output, line, spawn};
use crate::model::{Absence, Record, SourceState};
use crate::sources::audit_log::{AuditLog, ROOT_LOG};
use crate::sources::host::host_info;
use crate::sources::root::Root;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const NAME: &str = "audit_log";

/// How often the logs are looked at. A look at a file that did not grow takes microseconds.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

pub(super) fn start(root: &Root, own: Option<&PathBuf>, shared: &Arc<Shared>, out: &Output) {
    let mut logs = vec![(ROOT_LOG.to_owned(), AuditLog::new(root.clone(), ROOT_LOG.to_owned()))];
    logs.extend(own.map(|own| {
        let path = own.display().to_string();
        (path.clone(), AuditLog::new(Root::Live, path))
    }));
    let boot_id = host_info(root).boot_id;
    let (shared, out) = (Arc::clone(shared), out.clone());
    spawn(NAME, move || {
        let mut told = None;
        loop {
            let mut unread = Vec::new();
            for (path, log) in &mut logs {
                match log.read_new(&boot_id) {
                    Ok(events) => events.into_iter().for_each(|event| out.line(line(&Record::Event(event)))),
                    Err(absence) => unread.push(format!("{path}: {}", why(&absence))),
                }
            }
            let (state, reason) = match unread.as_slice() {
                [] => (SourceState::Ok, "kgtop's own actions of this boot".to_owned()),
                unread => {
                    (SourceState::Degraded, format!("{}: actions in it are not shown", unread.join("; ")))
                }
            };
            // A log that is not there, or is read, is nothing to tell: most machines have none.
            let is_news =
                if told.is_none() { state != SourceState::Ok } else { told.as_ref() != Some(&reason) };
            if is_news {
                shared.put(|board| board.source(NAME, state, &reason));
                told = Some(reason);
            }
            std::thread::sleep(BETWEEN_LOOKS);
        }
    });
}

fn why(absence: &Absence) -> String {
    match absence {
        Absence::NoPermission => "may not be read by this user".to_owned(),
        other => other.label().to_string(),
    }
}
