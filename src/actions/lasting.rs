//! Settings that last: printed, never installed.

use super::change::Change;
use super::command::gpu_command;

/// A systemd unit, and how it comes and goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// File name.
    pub name: String,
    /// Text of the file.
    pub text: String,
    /// Commands that put it in force.
    pub install: String,
    /// Commands that take it away.
    pub undo: String,
}

/// The unit that sets power limits (PCI address, milliwatts) at each boot.
#[must_use]
pub fn power_unit(limits: &[(String, u32)]) -> Unit {
    let name = "kgtop-power-limit.service".to_owned();
    let lines: String = limits
        .iter()
        .map(|(address, milliwatts)| {
            let command = gpu_command(address, &Change::PowerLimit { milliwatts: *milliwatts });
            format!("ExecStart=/usr/bin/{command}\n")
        })
        .collect();
    let defaults: String = limits
        .iter()
        .map(|(address, _)| format!("\nsudo kgtop act power-limit default --gpu {address}"))
        .collect();
    let text = format!(
        "[Unit]\nDescription=NVIDIA power limits\nAfter=nvidia-persistenced.service\n\
         Wants=nvidia-persistenced.service\n\n[Service]\nType=oneshot\n{lines}RemainAfterExit=yes\n\n\
         [Install]\nWantedBy=multi-user.target\n"
    );
    Unit {
        install: format!(
            "sudo cp {name} /etc/systemd/system/\nsudo systemctl daemon-reload\n\
             sudo systemctl enable --now nvidia-persistenced {name}"
        ),
        // Without the unit the limit that it set stays in force until the next boot.
        undo: format!(
            "sudo systemctl disable --now {name}\nsudo rm /etc/systemd/system/{name}\n\
             sudo systemctl daemon-reload{defaults}"
        ),
        name,
        text,
    }
}
