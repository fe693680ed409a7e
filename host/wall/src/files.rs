//! Files, ports and other processes, by landlock.

use std::io;
use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus,
    NetPort, PathBeneath, PathFd, RestrictionStatus, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, Scope, make_bitflags,
};
use rustix::io::Errno;

use crate::{Missing, Reach};

/// The newest version whose rights are taken away. Those of later ones (sockets of the file system
/// with 9, UDP with 10) have been tried on no kernel yet, and a right that is taken away by mistake
/// is a server that fails.
const NEWEST: ABI = ABI::V6;

const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
/// Without links, pipes and devices: the server makes none.
const KEEP: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    ReadFile | ReadDir | WriteFile | RemoveDir | RemoveFile | MakeDir | MakeReg | MakeSock | Refer
        | Truncate
});
const UPDATE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir | WriteFile});
const SOCKETS: BitFlags<AccessFs> = make_bitflags!(AccessFs::{MakeSock | RemoveFile});
const EXECUTE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir | Execute});

/// Takes everything from this thread, and what it starts, that is not in its reach. Gives the
/// version of landlock that keeps it.
pub(crate) fn restrict(reach: &Reach) -> Result<u32, Missing> {
    let ruleset = Ruleset::default();
    // The library keeps what the kernel has, and not why it has nothing.
    let why = Errno::from_io_error(&io::Error::last_os_error());
    let status = enforce(ruleset, reach).map_err(|error| refusal(&error, why))?;
    match status.landlock {
        LandlockStatus::Available {
            effective_abi,
            kernel_abi,
        } => Ok(kernel_abi.map_or(effective_abi as u32, i32::unsigned_abs)),
        LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => Err(without(why)),
    }
}

fn enforce(ruleset: Ruleset, reach: &Reach) -> Result<RestrictionStatus, RulesetError> {
    let mut scopes = BitFlags::from(Scope::Signal);
    if !reach.abstract_sockets {
        scopes |= Scope::AbstractUnixSocket;
    }
    let mut rules = ruleset
        // Version 1 knows no rule that would let a file be moved to another folder, as every
        // upload is.
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::Refer)?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(scopes)?
        .create()?;
    for (paths, access) in [
        (&reach.read, READ),
        (&reach.keep, KEEP),
        (&reach.update, UPDATE),
        (&reach.sockets, SOCKETS),
        (&reach.execute, EXECUTE),
    ] {
        for (file, access) in paths.iter().filter_map(|path| opened(path, access)) {
            rules = rules.add_rule(PathBeneath::new(file, access))?;
        }
    }
    for port in &reach.listen {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
    }
    for port in &reach.connect {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    rules.restrict_self()
}

/// A place, if it is there, with the rights that such a place can have.
fn opened(path: &Path, access: BitFlags<AccessFs>) -> Option<(PathFd, BitFlags<AccessFs>)> {
    let file = PathFd::new(path).ok()?;
    let access = if path.is_dir() {
        access
    } else {
        access & AccessFs::from_file(NEWEST)
    };
    Some((file, access)).filter(|(_, access)| !access.is_empty())
}

fn refusal(error: &RulesetError, why: Option<Errno>) -> Missing {
    match error {
        RulesetError::HandleAccesses(_) => match why {
            Some(Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM | Errno::ACCESS) => without(why),
            _ => Missing(
                "landlock of this kernel (version 1) lets no file be moved between folders: it is \
                 of use from Linux 5.19 on"
                    .to_owned(),
            ),
        },
        _ => Missing(format!("landlock refuses: {error}")),
    }
}

/// Why there is no landlock.
fn without(why: Option<Errno>) -> Missing {
    Missing(
        match why {
            Some(Errno::OPNOTSUPP) => {
                "the kernel has landlock and it is not enabled: boot with `landlock` in `lsm=`"
            }
            Some(Errno::PERM | Errno::ACCESS) => {
                "the calls of landlock are forbidden here, as some containers' filters do"
            }
            _ => "the kernel has no landlock, or a filter hides it (Linux 5.19 and newer have it)",
        }
        .to_owned(),
    )
}
