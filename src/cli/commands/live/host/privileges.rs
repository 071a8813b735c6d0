//! Privileges: what it takes to open an interface is given up once it is open.
//!
//! Capture threads keep CAP_NET_RAW, to open an interface again that was gone. All
//! other threads, and with them all that takes traffic apart, have no privileges.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::fs::lchown;
use std::path::Path;

use caps::{CapSet, Capability, CapsHashSet};
use nix::unistd::{Gid, Uid, User, geteuid, initgroups, setgroups, setresgid, setresuid};

use crate::cli::error::Failure;

/// The account that the run goes on as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// `None` for a user without an entry in the system's list.
    name: Option<CString>,
    user: u32,
    group: u32,
}

/// The user and the group that stand for nobody, where the system's list does not say.
const NOBODY: u32 = 65_534;

impl Account {
    /// The account to change to: the one that `wanted` names; without it, for root, who called sudo, or nobody.
    ///
    /// `None` if the run goes on as who started it.
    pub(crate) fn resolve(
        wanted: Option<&str>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, Failure> {
        let current = geteuid();
        let account = match wanted {
            Some(wanted) => Self::named(wanted)?,
            None if !current.is_root() => return Ok(None),
            None => Self::of_sudo(environment).map_or_else(Self::nobody, Ok)?,
        };
        if account.user == current.as_raw() {
            return Ok(None);
        }
        if !current.is_root() {
            let wanted = wanted.unwrap_or_default();
            return Err(
                Failure::new(format_args!("cannot become `{wanted}`: only root can"))
                    .hint("leave `--user` out: without being root, nothing changes"),
            );
        }
        Ok(Some(account))
    }

    fn named(wanted: &str) -> Result<Self, Failure> {
        let number = wanted.parse().ok().map(Uid::from_raw);
        let found = match number {
            Some(user) => User::from_uid(user),
            None => User::from_name(wanted),
        };
        let found = found.map_err(|error| {
            Failure::new(format_args!("cannot look user `{wanted}` up: {error}"))
        })?;
        match (found, number) {
            (Some(user), _) => Ok(user.into()),
            (None, Some(user)) => Ok(Self {
                name: None,
                user: user.as_raw(),
                group: user.as_raw(),
            }),
            (None, None) => Err(Failure::new(format_args!("no user `{wanted}`"))),
        }
    }

    /// Who called sudo, if it was not root itself.
    fn of_sudo(environment: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        let number = |name| environment(name)?.parse::<u32>().ok();
        let (user, group) = (number("SUDO_UID")?, number("SUDO_GID")?);
        let found = User::from_uid(Uid::from_raw(user)).ok().flatten();
        (user != 0).then(|| Self {
            name: found.and_then(|found| CString::new(found.name).ok()),
            user,
            group,
        })
    }

    fn nobody() -> Result<Self, Failure> {
        let unlisted = Self {
            name: None,
            user: NOBODY,
            group: NOBODY,
        };
        Ok(User::from_name("nobody")
            .ok()
            .flatten()
            .map_or(unlisted, Self::from))
    }

    /// What to try where this account may not do what who started the run may.
    pub(crate) fn hint(&self) -> String {
        let name = self.name.as_ref().map(|name| name.to_string_lossy());
        let name = name.unwrap_or_else(|| self.user.to_string().into());
        format!("the run goes on as user `{name}`, who writes its files: `--user` names another")
    }

    /// Makes a directory, and those that it is in, for this account: it could not, later.
    ///
    /// One that is there already stays whose it is.
    ///
    /// # Errors
    ///
    /// When the directory cannot be made.
    pub(crate) fn make_directory(&self, path: &Path) -> io::Result<()> {
        if path.as_os_str().is_empty() || path.is_dir() {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.make_directory(parent)?;
        }
        fs::create_dir(path)?;
        lchown(path, Some(self.user), Some(self.group))
    }

    /// Becomes this account, for good, with the capabilities that are permitted still there to be kept.
    pub(crate) fn assume(&self) -> Result<(), Failure> {
        let (user, group) = (Uid::from_raw(self.user), Gid::from_raw(self.group));
        let groups = match &self.name {
            Some(name) => initgroups(name, group),
            None => setgroups(&[group]),
        };
        caps::securebits::set_keepcaps(true).map_err(refused)?;
        groups
            .and_then(|()| setresgid(group, group, group))
            .and_then(|()| setresuid(user, user, user))
            .map_err(refused)?;
        caps::securebits::set_keepcaps(false).map_err(refused)
    }
}

impl From<User> for Account {
    fn from(user: User) -> Self {
        Self {
            name: CString::new(user.name).ok(),
            user: user.uid.as_raw(),
            group: user.gid.as_raw(),
        }
    }
}

/// Gives up all capabilities of this thread, and of those that it will start, but the one to capture.
pub(crate) fn keep_capture_only() -> Result<(), Failure> {
    let permitted = caps::read(None, CapSet::Permitted).map_err(refused)?;
    let kept = CapsHashSet::from([Capability::CAP_NET_RAW]);
    keep(&permitted.intersection(&kept).copied().collect())
}

/// Gives up all capabilities of this thread, and of those that it will start.
pub(crate) fn drop_all() -> Result<(), Failure> {
    keep(&CapsHashSet::new())
}

fn keep(kept: &CapsHashSet) -> Result<(), Failure> {
    // Each set has to fit in the one before, at every step.
    caps::clear(None, CapSet::Inheritable)
        .and_then(|()| caps::clear(None, CapSet::Effective))
        .and_then(|()| caps::set(None, CapSet::Permitted, kept))
        .and_then(|()| caps::set(None, CapSet::Effective, kept))
        .map_err(refused)
}

fn refused(error: impl std::fmt::Display) -> Failure {
    Failure::new(format_args!("cannot give up privileges: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_goes_on_as_who_called_sudo_or_as_nobody() {
        let sudo = |name: &str| match name {
            "SUDO_UID" => Some("4242".to_owned()),
            "SUDO_GID" => Some("4343".to_owned()),
            _ => None,
        };
        let caller = Account::of_sudo(&sudo).unwrap();
        assert_eq!((caller.user, caller.group), (4242, 4343));
        assert_eq!(Account::of_sudo(&|_| None), None);
        assert_eq!(Account::of_sudo(&|_| Some("0".to_owned())), None);
        assert_ne!(Account::nobody().unwrap().user, 0);
    }

    #[test]
    fn a_directory_is_made_with_those_that_it_is_in() {
        let account = Account {
            name: None,
            user: geteuid().as_raw(),
            group: nix::unistd::getegid().as_raw(),
        };
        let name = format!("tlscope-account-{}", std::process::id());
        let outer = std::env::temp_dir().join(name);
        account.make_directory(&outer.join("a/b")).unwrap();
        account.make_directory(&outer.join("a/b")).unwrap();
        assert!(outer.join("a/b").is_dir());
        fs::write(outer.join("file"), "").unwrap();
        assert!(account.make_directory(&outer.join("file/c")).is_err());
        fs::remove_dir_all(outer).unwrap();
    }

    #[test]
    fn an_account_is_named_or_numbered() {
        assert_eq!(Account::named("root").unwrap().user, 0);
        assert_eq!(Account::named("4242").unwrap().user, 4242);
        assert!(Account::named("no such user").is_err());
    }

    #[test]
    fn a_thread_that_gave_up_all_capabilities_has_none() {
        let left = std::thread::spawn(|| {
            drop_all().unwrap();
            caps::read(None, CapSet::Permitted).unwrap()
        });
        assert!(left.join().unwrap().is_empty());
    }
}
