//! The filters, run over every call as the kernel would.
#![allow(clippy::unwrap_used)]

use super::*;
use seccompiler::sock_filter;

/// What a filter says to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    Allow,
    NoSuchCall,
    End,
}

/// A call: its number, and the arguments that filters look at.
type Call = (c_long, [u64; 3]);

/// Runs a filter over a call, for the instructions that filters are made of here.
fn run(program: &[sock_filter], (number, arguments): Call) -> Answer {
    const ARCH: u32 = if cfg!(target_arch = "x86_64") {
        0xc000_003e
    } else {
        0xc000_00b7
    };
    let word = |offset: u32| match offset {
        0 => u32::try_from(number).unwrap(),
        4 => ARCH,
        offset => {
            let (at, half) = ((offset - 16) / 8, offset % 8);
            (arguments[at as usize] >> (half * 8)) as u32
        }
    };
    let (mut at, mut value) = (0, 0);
    loop {
        let sock_filter { code, jt, jf, k } = program[at].clone();
        at += 1;
        let mut jump = |taken: bool| at += usize::from(if taken { jt } else { jf });
        match code {
            0x20 => value = word(k),
            0x54 => value &= k,
            0x15 => jump(value == k),
            0x25 => jump(value > k),
            0x35 => jump(value >= k),
            0x05 => at += k as usize,
            0x06 if k == libc::SECCOMP_RET_ALLOW => return Answer::Allow,
            0x06 if k == libc::SECCOMP_RET_KILL_PROCESS => return Answer::End,
            0x06 if k == libc::SECCOMP_RET_ERRNO | 38 => return Answer::NoSuchCall,
            _ => panic!("{code:x} {k:x} is none of the instructions known here"),
        }
    }
}

/// What both filters say, of which the stricter holds.
fn answer(calls: Calls, call: Call) -> Answer {
    let filters = filters(calls, true).unwrap();
    filters.iter().map(|it| run(it, call)).max().unwrap()
}

#[test]
fn what_an_intruder_wants_ends_the_process() {
    for calls in [Calls::Server, Calls::Compiler] {
        for call in list::NO_SERVERS {
            assert_eq!(answer(calls, (*call, [0; 3])), Answer::End, "{call}");
        }
        for flag in NAMESPACES {
            let clone = (libc::SYS_clone, [bits(flag | libc::SIGCHLD), 0, 0]);
            assert_eq!(answer(calls, clone), Answer::End, "{flag:x}");
        }
    }
    for call in list::NO_COMPILERS {
        assert_eq!(answer(Calls::Compiler, (*call, [0; 3])), Answer::End);
        assert_ne!(answer(Calls::Server, (*call, [0; 3])), Answer::End);
    }
}

#[test]
fn a_call_is_in_one_list_and_what_is_in_none_is_not_there() {
    let mut seen = std::collections::BTreeSet::new();
    for call in [list::COMPILERS, list::SERVERS, list::NO_SERVERS].concat() {
        assert!(seen.insert(call), "{call} is there twice");
    }
    let conditional = [
        libc::SYS_clone,
        libc::SYS_prctl,
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_ioctl,
    ];
    for number in 0..600 {
        let told = answer(Calls::Server, (number, [0; 3]));
        if list::NO_SERVERS.contains(&number) {
            assert_eq!(told, Answer::End, "{number}");
        } else if conditional.contains(&number) {
        } else if seen.contains(&number) {
            assert_eq!(told, Answer::Allow, "{number}");
        } else {
            assert_eq!(told, Answer::NoSuchCall, "{number}");
        }
    }
    // Libraries fall back to `clone`, whose flags can be looked at.
    let clone3 = (libc::SYS_clone3, [0; 3]);
    assert_eq!(answer(Calls::Server, clone3), Answer::NoSuchCall);
    // The numbers of the x32 interface are other calls of the same processor.
    let x32 = (0x4000_0000 + libc::SYS_read, [0; 3]);
    assert_eq!(answer(Calls::Server, x32), Answer::NoSuchCall);
}

#[test]
fn a_call_with_conditions_is_let_through_with_good_arguments_alone() {
    let flag = bits;
    let thread = flag(libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND);
    let child = flag(libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD);
    let stream = flag(libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK);
    let own = u64::from(std::process::id());
    let (yes, no, end) = (Answer::Allow, Answer::NoSuchCall, Answer::End);
    let cases: [(c_long, [u64; 3], Answer, Answer); 19] = [
        (libc::SYS_clone, [thread, 0, 0], yes, yes),
        (libc::SYS_clone, [child, 0, 0], yes, end),
        (libc::SYS_prctl, [flag(libc::PR_SET_NAME), 0, 0], yes, yes),
        (
            libc::SYS_prctl,
            [flag(libc::PR_SET_NO_NEW_PRIVS), 1, 0],
            yes,
            no,
        ),
        (libc::SYS_prctl, [flag(libc::PR_SET_SECCOMP), 2, 0], no, no),
        (libc::SYS_prctl, [flag(libc::PR_SET_DUMPABLE), 1, 0], no, no),
        (libc::SYS_socket, [flag(libc::AF_INET), stream, 0], yes, no),
        (
            libc::SYS_socket,
            [flag(libc::AF_INET6), flag(libc::SOCK_DGRAM), 0],
            yes,
            no,
        ),
        (libc::SYS_socket, [flag(libc::AF_UNIX), stream, 0], yes, no),
        (
            libc::SYS_socket,
            [flag(libc::AF_INET), flag(libc::SOCK_RAW), 0],
            no,
            no,
        ),
        (
            libc::SYS_socket,
            [flag(libc::AF_NETLINK), stream, 0],
            no,
            no,
        ),
        (libc::SYS_socket, [flag(libc::AF_PACKET), stream, 0], no, no),
        (
            libc::SYS_socketpair,
            [flag(libc::AF_UNIX), stream, 0],
            yes,
            no,
        ),
        (libc::SYS_ioctl, [0, 0x5401, 0], yes, no),
        (libc::SYS_ioctl, [0, 0x5412, 0], no, no),
        (libc::SYS_ioctl, [0, 0x541c, 0], no, no),
        (libc::SYS_tgkill, [own, own, 6], yes, yes),
        (libc::SYS_tgkill, [1, 1, 9], yes, no),
        (libc::SYS_execve, [0; 3], yes, end),
    ];
    for (call, arguments, server, compiler) in cases {
        let of = |calls| answer(calls, (call, arguments));
        assert_eq!(of(Calls::Server), server, "{call} {arguments:x?}");
        assert_eq!(of(Calls::Compiler), compiler, "{call} {arguments:x?}");
    }
    let plain = filters(Calls::Server, false).unwrap();
    let typing = (libc::SYS_ioctl, [0, 0x5412, 0]);
    assert!(
        plain.iter().all(|it| run(it, typing) == yes),
        "no terminal, no conditions"
    );
    let limit = |new| answer(Calls::Compiler, (libc::SYS_prlimit64, [0, 7, new]));
    assert_eq!((limit(0), limit(1 << 32)), (yes, no));
}
