//! Privileges are dropped once the interfaces are open.
//!
//! Capture threads keep CAP_NET_RAW, to reopen an interface that went away and came
//! back. With `--attribute-processes`, one thread that sees no packet keeps CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH. All other
//! threads, and so all code that parses traffic, have no privileges.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{fchown, lchown};
use std::path::Path;

use caps::{CapSet, Capability, CapsHashSet};
use nix::unistd::{
    Gid, Uid, User, getegid, geteuid, getgroups, initgroups, setegid, seteuid, setgroups,
    setresgid, setresuid,
};

use crate::cli::error::CliError;

/// The account that the run continues as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// `None` for a user without an entry in the system's list.
    name: Option<CString>,
    user: u32,
    group: u32,
}

/// The user and the group of `nobody` on a system that does not list the user.
const NOBODY: u32 = 65_534;

impl Account {
    /// The account to change to: the one that `wanted` names. Without it, root becomes the user who
    /// called sudo, or `nobody`. A root that may not change its user, as in a container with CAP_NET_RAW alone, stays what it is:
    /// it has no privileges beyond its files.
    ///
    /// `None` if the run keeps the account that started it.
    pub(crate) fn resolve(
        wanted: Option<&str>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, CliError> {
        let current = geteuid();
        let account = match wanted {
            Some(wanted) => Self::named(wanted)?,
            None if !current.is_root() || !can_change_user() => return Ok(None),
            None => Self::of_sudo(environment).map_or_else(Self::nobody, Ok)?,
        };
        if account.user == current.as_raw() {
            return Ok(None);
        }
        if !current.is_root() {
            let wanted = wanted.unwrap_or_default();
            return Err(
                CliError::new(format_args!("cannot become `{wanted}`: only root can"))
                    .hint("omit `--user`: only root can change the user"),
            );
        }
        if !can_change_user() {
            return Err(CliError::new(
                "cannot change the user: the capabilities CAP_SETUID and CAP_SETGID are missing",
            )
            .hint("omit `--user`, or start tlscope as that user with the capability CAP_NET_RAW"));
        }
        Ok(Some(account))
    }

    fn named(wanted: &str) -> Result<Self, CliError> {
        let number = wanted.parse().ok().map(Uid::from_raw);
        let found = match number {
            Some(user) => User::from_uid(user),
            None => User::from_name(wanted),
        };
        let found = found.map_err(|error| {
            CliError::new(format_args!("cannot look up user `{wanted}`: {error}"))
        })?;
        match (found, number) {
            (Some(user), _) => Ok(user.into()),
            (None, Some(user)) => Ok(Self {
                name: None,
                user: user.as_raw(),
                group: user.as_raw(),
            }),
            (None, None) => Err(CliError::new(format_args!("no user `{wanted}`"))),
        }
    }

    /// The user who called sudo, unless that was root.
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

    fn nobody() -> Result<Self, CliError> {
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

    /// What to try if this account lacks a permission that the account which started the run has.
    pub(crate) fn hint(&self) -> String {
        self.lacks("write there")
    }

    /// The same for files that are only read.
    pub(crate) fn reading_hint(&self) -> String {
        self.lacks("read it")
    }

    fn lacks(&self, what: &str) -> String {
        let name = self.name.as_ref().map(|name| name.to_string_lossy());
        let name = name.unwrap_or_else(|| self.user.to_string().into());
        format!("tlscope runs as user `{name}`, who cannot {what}; choose another with `--user`")
    }

    /// Creates a directory and its parents, owned by this account, which may not create them itself.
    ///
    /// Directories that exist keep their owner.
    ///
    /// # Errors
    ///
    /// If a directory cannot be created.
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

    /// Makes this account the owner of a file.
    ///
    /// # Errors
    ///
    /// If the owner cannot be changed.
    pub(crate) fn own(&self, file: &File) -> io::Result<()> {
        fchown(file, Some(self.user), Some(self.group))
    }

    /// Does something with this account's permissions, and then takes back those of before.
    ///
    /// # Errors
    ///
    /// If the permissions cannot be changed, or not changed back.
    pub(crate) fn act<T>(&self, act: impl FnOnce() -> T) -> Result<T, CliError> {
        let (user, group) = (geteuid(), getegid());
        let groups = getgroups().map_err(refused)?;
        self.take_groups()
            .and_then(|()| setegid(Gid::from_raw(self.group)))
            .and_then(|()| seteuid(Uid::from_raw(self.user)))
            .map_err(refused)?;
        let done = act();
        seteuid(user)
            .and_then(|()| setegid(group))
            .and_then(|()| setgroups(&groups))
            .map_err(refused)?;
        Ok(done)
    }

    /// Opens a file to read it, as this account if that may.
    ///
    /// # Errors
    ///
    /// If neither this account nor the one that started the run may, or the file cannot be opened.
    pub(crate) fn open(&self, path: &Path) -> io::Result<File> {
        let opened = self.act(|| File::open(path));
        match opened.map_err(|error| io::Error::other(error.to_string()))? {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => File::open(path),
            opened => opened,
        }
    }

    fn take_groups(&self) -> nix::Result<()> {
        let group = Gid::from_raw(self.group);
        match &self.name {
            Some(name) => initgroups(name, group),
            None => setgroups(&[group]),
        }
    }

    /// Becomes this account for good. Permitted capabilities survive, to be dropped later.
    pub(crate) fn assume(&self) -> Result<(), CliError> {
        let (user, group) = (Uid::from_raw(self.user), Gid::from_raw(self.group));
        caps::securebits::set_keepcaps(true).map_err(refused)?;
        self.take_groups()
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

/// Whether this process may become another user: containers often have a root that may not.
fn can_change_user() -> bool {
    [Capability::CAP_SETUID, Capability::CAP_SETGID]
        .iter()
        .all(|needed| caps::has_cap(None, CapSet::Effective, *needed).unwrap_or(true))
}

/// Puts CAP_NET_RAW into effect if this process may use it.
///
/// A program whose file permits the capability without effect (`setcap cap_net_raw+p`) can be started where the capability
/// is not available, as in a container that drops it. If this fails, opening an interface reports it.
pub(crate) fn enable_capture() {
    let has = |set| caps::has_cap(None, set, Capability::CAP_NET_RAW).unwrap_or(false);
    if has(CapSet::Permitted) && !has(CapSet::Effective) {
        let _ = caps::raise(None, CapSet::Effective, Capability::CAP_NET_RAW);
    }
}

/// Drops all capabilities of this thread, and of those that it starts, except CAP_NET_RAW.
pub(crate) fn keep_capture_only() -> Result<(), CliError> {
    let permitted = caps::read(None, CapSet::Permitted).map_err(refused)?;
    let kept = CapsHashSet::from([Capability::CAP_NET_RAW]);
    keep(&permitted.intersection(&kept).copied().collect())
}

/// Drops all capabilities of this thread, and of those that it starts.
pub(crate) fn drop_all() -> Result<(), CliError> {
    keep(&CapsHashSet::new())
}

/// Drops all capabilities of this thread except those that read the `/proc` files of other users.
pub(crate) fn keep_inspection_only() -> Result<(), CliError> {
    let permitted = caps::read(None, CapSet::Permitted).map_err(refused)?;
    let kept = CapsHashSet::from([Capability::CAP_SYS_PTRACE, Capability::CAP_DAC_READ_SEARCH]);
    keep(&permitted.intersection(&kept).copied().collect())
}

fn keep(kept: &CapsHashSet) -> Result<(), CliError> {
    // The kernel requires effective ⊆ permitted at every step, so effective is emptied first and set last.
    caps::clear(None, CapSet::Inheritable)
        .and_then(|()| caps::clear(None, CapSet::Effective))
        .and_then(|()| caps::set(None, CapSet::Permitted, kept))
        .and_then(|()| caps::set(None, CapSet::Effective, kept))
        .map_err(refused)
}

fn refused(error: impl std::fmt::Display) -> CliError {
    CliError::new(format_args!("cannot give up privileges: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_becomes_the_user_who_called_sudo_or_nobody() {
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
    fn a_directory_is_created_with_its_parents() {
        let account = Account {
            name: None,
            user: geteuid().as_raw(),
            group: getegid().as_raw(),
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
    fn an_account_is_given_by_name_or_number() {
        assert_eq!(Account::named("root").unwrap().user, 0);
        assert_eq!(Account::named("4242").unwrap().user, 4242);
        assert!(Account::named("no such user").is_err());
    }

    #[test]
    fn a_thread_that_dropped_all_capabilities_has_none() {
        let left = std::thread::spawn(|| {
            drop_all().unwrap();
            caps::read(None, CapSet::Permitted).unwrap()
        });
        assert!(left.join().unwrap().is_empty());
    }

    #[test]
    fn a_permitted_capability_is_put_into_effect_and_no_other_is() {
        let [permitted, effective] = std::thread::spawn(|| {
            keep_capture_only().unwrap();
            caps::clear(None, CapSet::Effective).unwrap();
            enable_capture();
            [CapSet::Permitted, CapSet::Effective].map(|set| caps::read(None, set).unwrap())
        })
        .join()
        .unwrap();
        assert!(permitted.is_subset(&CapsHashSet::from([Capability::CAP_NET_RAW])));
        assert_eq!(effective, permitted); // both are empty without the capability
    }
}
