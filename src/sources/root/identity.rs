//! Which file it is, whatever its name; and the one way in which kgtop writes below a root.

use super::{Root, absence_of};
use crate::model::Reading;
use rustix::fs::{AtFlags, OFlags, StatxFlags};

/// What makes two names names of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identity {
    /// A device file: the device, through whichever node it is opened.
    Device {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// Any other file.
    File {
        /// The file system it is on.
        device: (u32, u32),
        /// Its inode.
        inode: u64,
    },
}

impl Root {
    /// Which file is at `path`, links followed, also those of `/proc/PID/fd`. No file system is asked that may
    /// not answer: what the kernel knows by itself is enough.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn identity(&self, path: &str) -> Reading<Identity> {
        let entry = self.checked(path)?;
        if let Some((major, minor)) = entry.and_then(|entry| entry.device) {
            return Ok(Identity::Device { major, minor });
        }
        let wanted = StatxFlags::TYPE | StatxFlags::INO;
        let stat = match self {
            Self::Live => rustix::fs::statx(rustix::fs::CWD, path, AtFlags::STATX_DONT_SYNC, wanted)
                .map_err(absence_of)?,
            Self::Directory(captured) => {
                let fd = captured.open(path, OFlags::PATH)?;
                let flags = AtFlags::STATX_DONT_SYNC | AtFlags::EMPTY_PATH;
                rustix::fs::statx(&fd, "", flags, wanted).map_err(absence_of)?
            }
        };
        let file_type = rustix::fs::FileType::from_raw_mode(u32::from(stat.stx_mode));
        Ok(
            if matches!(file_type, rustix::fs::FileType::CharacterDevice | rustix::fs::FileType::BlockDevice)
            {
                Identity::Device { major: stat.stx_rdev_major, minor: stat.stx_rdev_minor }
            } else {
                Identity::File { device: (stat.stx_dev_major, stat.stx_dev_minor), inode: stat.stx_ino }
            },
        )
    }

    /// Writes a short text to a file that is there, as to a file of `/sys`. It returns when the kernel has done what
    /// the text asks, which may be never.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn write_value(&self, path: &str, text: &str) -> Reading<()> {
        let file = self.open_with(path, OFlags::WRONLY | OFlags::TRUNC)?;
        // One write: a file of sysfs takes the text as a whole.
        rustix::io::write(&file, text.as_bytes()).map(|_written| ()).map_err(absence_of)
    }
}
