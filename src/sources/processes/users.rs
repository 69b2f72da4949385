//! User names.

use crate::sources::root::Root;
use std::sync::Arc;

/// No machine's `/etc/passwd` is longer.
const PASSWD_LIMIT: usize = 1 << 20;

/// User names of `/etc/passwd` below the root. Name services (LDAP, SSSD) are never asked: they can block.
#[derive(Debug, Default)]
pub(super) struct Users(Vec<(u32, Arc<str>)>);

impl Users {
    pub(super) fn read(root: &Root) -> Self {
        let text = root.read_to_string("/etc/passwd", PASSWD_LIMIT).unwrap_or_default();
        let user = |line: &str| {
            let mut fields = line.split(':');
            let name = fields.next().filter(|name| !name.is_empty())?;
            Some((fields.nth(1)?.parse().ok()?, name.into()))
        };
        Self(text.lines().filter_map(user).collect())
    }

    /// The name of `uid`, else its number.
    pub(super) fn name(&self, uid: u32) -> Arc<str> {
        let known = self.0.iter().find(|(known, _)| *known == uid);
        known.map_or_else(|| uid.to_string().into(), |(_, name)| Arc::clone(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_come_from_the_roots_own_passwd() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("etc")).unwrap();
        let passwd = "root:x:0:0::/:/bin/sh\nbad\n:x:7:7\nada:x:1000:1000:Ada:/:/\n";
        std::fs::write(directory.path().join("etc/passwd"), passwd).unwrap();
        let users = Users::read(&Root::open(directory.path()).unwrap());
        assert_eq!(users.name(1000).as_ref(), "ada");
        assert_eq!(users.name(7).as_ref(), "7");
    }
}
