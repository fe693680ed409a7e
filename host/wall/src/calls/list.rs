//! The lists of system calls.
//!
//! One line a kind. Calls that only older processors have (`open`, `stat`, `poll`) stand apart:
//! where there is none of them, the newer one of the same meaning is used.

use libc::{c_int, c_long};

/// Makes a list of the calls that every processor has, and of those that x86-64 has beside them.
macro_rules! calls {
    ($(#[$about:meta])* $name:ident: $($call:ident)* | $($x86_64:ident)*) => {
        $(#[$about])*
        pub(super) const $name: &[c_long] = &[
            $(libc::$call,)*
            $(#[cfg(target_arch = "x86_64")] libc::$x86_64,)*
        ];
    };
}

calls! {
    /// What the compiling process goes on to call: its files are read and written, memory and
    /// threads made, time passes. The server calls all of it as well.
    COMPILERS:
    // Files that are named, and those that are open.
    SYS_openat SYS_close SYS_read SYS_readv SYS_pread64 SYS_preadv SYS_preadv2 SYS_write SYS_writev
    SYS_pwrite64 SYS_pwritev SYS_pwritev2 SYS_lseek SYS_fstat SYS_newfstatat SYS_statx SYS_fcntl
    SYS_readlinkat SYS_faccessat SYS_faccessat2 SYS_getcwd
    // Memory, and files that are memory.
    SYS_mmap SYS_munmap SYS_mremap SYS_mprotect SYS_madvise SYS_brk SYS_mincore SYS_membarrier
    SYS_memfd_create SYS_ftruncate
    // Threads and their ends.
    SYS_futex SYS_set_robust_list SYS_get_robust_list SYS_set_tid_address SYS_rseq SYS_exit
    SYS_exit_group SYS_sched_yield SYS_sched_getaffinity SYS_getcpu SYS_getpid SYS_gettid
    SYS_getppid SYS_getuid SYS_geteuid SYS_getgid SYS_getegid SYS_getrusage SYS_uname SYS_sysinfo
    // Signals to itself.
    SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigreturn SYS_sigaltstack SYS_restart_syscall
    // Time, chance, waiting.
    SYS_clock_gettime SYS_clock_getres SYS_clock_nanosleep SYS_nanosleep SYS_gettimeofday
    SYS_getrandom SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_pwait SYS_epoll_pwait2 SYS_eventfd2
    SYS_ppoll
    | SYS_open SYS_stat SYS_lstat SYS_access SYS_readlink SYS_time SYS_poll SYS_epoll_wait
      SYS_epoll_create SYS_eventfd SYS_arch_prctl
}

calls! {
    /// What the server calls beside that. What has conditions (`clone`, `ioctl`, `prctl`, `socket`,
    /// `socketpair`) is in no list.
    SERVERS:
    // Files and folders, where landlock lets it. Not the owner and mode of what is only named:
    // landlock does not keep those, and all that needs it has the file open or is in `chmod`.
    SYS_close_range SYS_dup SYS_dup3 SYS_flock SYS_fsync SYS_fdatasync SYS_sync_file_range
    SYS_truncate SYS_fallocate SYS_fadvise64 SYS_copy_file_range SYS_sendfile SYS_splice SYS_tee
    SYS_statfs SYS_fstatfs SYS_getdents64 SYS_mkdirat SYS_unlinkat SYS_renameat SYS_renameat2
    SYS_linkat SYS_fchmod SYS_fchmodat SYS_fchown SYS_utimensat SYS_umask SYS_chdir SYS_fchdir
    SYS_pipe2 SYS_msync SYS_mlock SYS_munlock SYS_readahead
    // Connections.
    SYS_bind SYS_listen SYS_accept SYS_accept4 SYS_connect SYS_getsockname SYS_getpeername
    SYS_setsockopt SYS_getsockopt SYS_sendto SYS_recvfrom SYS_sendmsg SYS_recvmsg SYS_sendmmsg
    SYS_recvmmsg SYS_shutdown SYS_pselect6
    // The compiling process, from its start to its end, and how it and the guest threads give way.
    SYS_execve SYS_wait4 SYS_waitid SYS_kill SYS_tkill SYS_tgkill SYS_pidfd_open
    SYS_pidfd_send_signal SYS_setpgid SYS_getpgid SYS_getsid SYS_getpriority SYS_setpriority
    SYS_sched_getparam SYS_sched_getscheduler SYS_sched_setaffinity SYS_sched_get_priority_max
    SYS_sched_get_priority_min SYS_getrlimit SYS_setrlimit SYS_prlimit64 SYS_getresuid
    SYS_getresgid SYS_getgroups SYS_times SYS_capget
    // Signals that are waited for, and timers.
    SYS_rt_sigtimedwait SYS_rt_sigpending SYS_rt_sigsuspend SYS_signalfd4 SYS_timerfd_create
    SYS_timerfd_settime SYS_timerfd_gettime SYS_setitimer SYS_getitimer SYS_futex_waitv
    // Where memory is.
    SYS_get_mempolicy SYS_mbind
    // A wall within this one, which can only take away more.
    SYS_seccomp SYS_landlock_create_ruleset SYS_landlock_add_rule SYS_landlock_restrict_self
    | SYS_getdents SYS_mkdir SYS_rmdir SYS_unlink SYS_rename SYS_link SYS_chmod SYS_dup2 SYS_pipe
      SYS_select SYS_fork SYS_vfork SYS_getpgrp SYS_alarm SYS_pause SYS_signalfd SYS_utimes
}

calls! {
    /// What no server calls, and who has got into one would.
    NO_SERVERS:
    // Other processes from within.
    SYS_ptrace SYS_process_vm_readv SYS_process_vm_writev SYS_pidfd_getfd SYS_kcmp
    // Another view of the machine.
    SYS_unshare SYS_setns SYS_mount SYS_umount2 SYS_pivot_root SYS_chroot SYS_move_mount
    SYS_open_tree SYS_fsopen SYS_fsconfig SYS_fsmount SYS_fspick SYS_mount_setattr
    SYS_open_by_handle_at
    // Another user, another power, another kind of process.
    SYS_setuid SYS_setgid SYS_setreuid SYS_setregid SYS_setresuid SYS_setresgid SYS_setfsuid
    SYS_setfsgid SYS_setgroups SYS_capset SYS_personality
    // The kernel and its deeper parts, where most of its holes were.
    SYS_bpf SYS_perf_event_open SYS_userfaultfd SYS_io_uring_setup SYS_io_uring_enter
    SYS_io_uring_register SYS_keyctl SYS_add_key SYS_request_key SYS_init_module
    SYS_finit_module SYS_delete_module SYS_kexec_load SYS_fanotify_init SYS_fanotify_mark
    // The machine as a whole.
    SYS_reboot SYS_swapon SYS_swapoff SYS_sethostname SYS_setdomainname SYS_settimeofday
    SYS_clock_settime SYS_clock_adjtime SYS_adjtimex SYS_acct SYS_quotactl SYS_syslog SYS_vhangup
    | SYS_kexec_file_load SYS_iopl SYS_ioperm SYS_modify_ldt
}

calls! {
    /// What only the server calls, and a compiling process never.
    NO_COMPILERS:
    SYS_execve SYS_execveat SYS_kill SYS_tkill SYS_pidfd_open SYS_pidfd_send_signal
    SYS_rt_sigqueueinfo SYS_rt_tgsigqueueinfo SYS_bind SYS_listen SYS_accept SYS_accept4
    | SYS_fork SYS_vfork
}

/// Options of `prctl`: names of threads and of memory, huge pages, the wall's own, and what a
/// library asks.
pub(super) const PRCTL: &[c_int] = &[
    libc::PR_SET_NAME,
    libc::PR_GET_NAME,
    PR_SET_VMA,
    PR_GET_AUXV,
    libc::PR_SET_THP_DISABLE,
    libc::PR_SET_PDEATHSIG,
    libc::PR_SET_NO_NEW_PRIVS,
    libc::PR_GET_NO_NEW_PRIVS,
    libc::PR_GET_SECCOMP,
    libc::PR_GET_DUMPABLE,
    libc::PR_CAPBSET_READ,
];

/// Names a part of memory, for who looks at a process. Not in the library for every target.
pub(super) const PR_SET_VMA: c_int = 0x5356_4d41;
/// Asks what the processor and the kernel have. Not in the library for every target.
pub(super) const PR_GET_AUXV: c_int = 0x4155_5856;

/// Requests of `ioctl` that put text into a terminal as if its user had typed it (`TIOCSTI`,
/// `TIOCLINUX`), by their numbers on x86-64 and aarch64: their type differs by C library.
pub(super) const TYPING: [u64; 2] = [0x5412, 0x541c];
