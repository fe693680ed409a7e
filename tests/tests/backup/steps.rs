//! Everything is killed at each step that it takes on the disk: each system call that changes a
//! file, by its name and the file's. The steps are those of a run that was traced and let be, so a
//! step that is added is tried, too.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use belljar_bundle::Digest;
use belljar_tests::command;
use serde_json::json;

use crate::kit::{
    Ground, backup, backup_after_others, backup_command, done, infer, refused, restore,
    restore_command, run, upload,
};

/// Calls that change what is on the disk, or say that it has to be there.
const CALLS: &str = "openat,mkdir,mkdirat,write,pwrite64,ftruncate,fallocate,fsync,fdatasync,syncfs,\
    rename,renameat,renameat2,link,linkat,unlink,unlinkat,rmdir,fchmod,chmod,fchown";

/// What SIGKILL leaves of a process, to a shell and to whoever has started it.
const SIGKILL: i32 = 9;

const PATIENCE: Duration = Duration::from_secs(60);

/// One step: a call, and the file that it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    call: String,
    file: PathBuf,
}

impl Step {
    /// The step in a line of strace's, which names files in full. None for what only reads.
    fn parse(line: &str, below: &Path) -> Option<Self> {
        let (head, rest) = line.split_once('(')?;
        let call = head.split_whitespace().last()?;
        if call == "openat" && !rest.contains("O_CREAT") {
            return None;
        }
        // Calls on open files have it in angle brackets behind the number; what is written may look
        // like a path as well. Others have it in quotation marks: the first of two, before a rename.
        let name = match rest.split_once('<') {
            Some((number, name)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                name.split('>').next()?
            }
            _ => rest.split('"').nth(1)?,
        };
        if !name.starts_with(below.to_str()?) {
            return None;
        }
        Some(Self {
            call: call.to_owned(),
            file: name.into(),
        })
    }
}

/// Whether processes can be traced here; says so where they cannot.
fn can_trace() -> bool {
    let tried = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .output();
    let can = tried.is_ok_and(|output| output.status.success());
    if !can {
        let is_required = std::env::var_os("TEST_PROGRAMS").is_some();
        assert!(!is_required, "no process can be traced on this machine");
        println!("not tried: no process can be traced on this machine (`strace`)");
    }
    can
}

/// The command, traced into a file.
fn traced(command: &Command, log: &Path) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-f", "--seccomp-bpf", "-qq", "-y", "-s", "4096", "-e"]);
    strace.arg(format!("trace={CALLS}")).arg("-o").arg(log);
    with(strace, command)
}

/// The command, killed at a step.
fn killed_at(command: &Command, step: &Step) -> Command {
    with(at(quiet(), step), command)
}

/// strace of a process and what it starts, telling nobody.
fn quiet() -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null"]);
    strace
}

/// strace, told to kill at a step.
fn at(mut strace: Command, step: &Step) -> Command {
    strace.arg("-P").arg(&step.file);
    kill_at(strace, &step.call, 1)
}

/// strace, told to kill at the call of that name that is the nth of those it sees.
fn kill_at(mut strace: Command, call: &str, nth: u32) -> Command {
    strace.arg("-e").arg(format!("trace={call}")).arg("-e");
    strace.arg(format!("inject={call}:signal=KILL:when={nth}"));
    strace
}

fn with(mut strace: Command, command: &Command) -> Command {
    strace.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    strace
}

/// The steps in what was traced.
fn steps(log: &Path, below: &Path) -> BTreeSet<Step> {
    let log = String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned();
    log.lines()
        .filter_map(|line| Step::parse(line, below))
        .collect()
}

fn was_killed(output: &Output) -> bool {
    // strace ends as what it has traced did.
    output.status.signal() == Some(SIGKILL)
}

#[tokio::test]
async fn a_restore_that_is_killed_at_any_step_leaves_nothing_or_everything() {
    if !can_trace() {
        return;
    }
    let ground = Ground::new();
    let server = ground.server("data").await;
    upload(&server.admin(), "m", "1.0.0", &[7; 4096]).await;
    let file = ground.path("b.tar");
    backup(server.data_dir(), &file);
    server.kill();
    let (place, log) = (ground.path("place"), ground.path("steps"));
    done(
        traced(&restore_command(&file, &place), &log)
            .output()
            .unwrap(),
    );
    let steps = steps(&log, &place);
    println!("{} steps", steps.len());
    for call in ["openat", "mkdir", "write", "syncfs", "rename", "fsync"] {
        assert!(steps.iter().any(|step| step.call == call), "no {call}");
    }
    let mut kills = 0;
    for step in &steps {
        let _ = fs::remove_dir_all(&place);
        let output = killed_at(&restore_command(&file, &place), step)
            .output()
            .unwrap();
        kills += usize::from(was_killed(&output));
        let is_there = place.exists();
        assert!(
            !is_there || matches!(step.call.as_str(), "rename" | "fsync"),
            "in place before all of it was on disk: {step:?}"
        );
        if is_there {
            done(run([
                "fsck".as_ref(),
                "--data-dir".as_ref(),
                place.as_os_str(),
            ]));
            fs::remove_dir_all(&place).unwrap();
        }
        // What the killed one has left is in nobody's way.
        restore(&file, &place);
        assert!(!ground.path("place.restoring").exists(), "{step:?}");
    }
    // SQLite leaves out a step now and then, where its file is large enough already.
    assert!(kills * 10 >= steps.len() * 9, "{kills} of {}", steps.len());
    let restored = ground.server("place").await;
    infer(&restored.anonymous(), "m").await.expect_status(200);
}

#[tokio::test]
async fn a_backup_that_is_killed_at_any_step_leaves_no_file_that_is_not_whole() {
    if !can_trace() {
        return;
    }
    let ground = Ground::new();
    let server = ground.server("data").await;
    upload(&server.admin(), "m", "1.0.0", &vec![7; 1 << 20]).await;
    // A folder of its own, so that what is left in it shows.
    let folder = ground.path("backups");
    fs::create_dir(&folder).unwrap();
    let (file, log) = (folder.join("b.tar"), ground.path("steps"));
    let command = || backup_command(server.data_dir(), &file);
    done(traced(&command(), &log).output().unwrap());
    let calls: BTreeSet<String> = steps(&log, &folder)
        .into_iter()
        .map(|step| step.call)
        .collect();
    println!("{calls:?}");
    assert!(calls.contains("fsync") && calls.len() > 3, "{calls:?}");
    for call in &calls {
        let mut killed = 0;
        // The file has another name each time, so the calls are counted. The first of each, and of
        // those that come often each hundredth.
        for nth in [1, 2, 3, 5, 8, 13, 100, 200, 400] {
            let _ = fs::remove_file(&file);
            let output = with(kill_at(quiet(), call, nth), &command())
                .output()
                .unwrap();
            if !was_killed(&output) {
                break;
            }
            killed += 1;
            if file.exists() {
                done(run([&"restore".into(), &"--check".into(), &file]));
            }
            infer(&server.anonymous(), "m").await.expect_status(200);
        }
        assert!(killed > 0, "{call}");
    }
    let _ = fs::remove_file(&file);
    backup_after_others(server.data_dir(), &file).await;
    restore(&file, &ground.path("there"));
}

fn repair_command(data: &Path) -> Command {
    let mut command = command();
    command.args(["fsck", "--repair", "all", "--data-dir"]);
    command.arg(data);
    command
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.unwrap().success());
}

#[tokio::test]
async fn a_repair_that_is_killed_at_any_step_is_gone_on_with_and_loses_nothing() {
    if !can_trace() {
        return;
    }
    let ground = Ground::new();
    let server = ground.server("data").await;
    let admin = server.admin();
    upload(&admin, "m", "1.0.0", b"an asset").await;
    // Without it the server is ready.
    let deactivated = admin.post("/models/m/deactivate", &json!({})).await;
    deactivated.expect_status(200);
    let data = server.data_dir().to_owned();
    assert!(server.terminate().await.success());
    // What is moved away, and what follows from it in the database; what is deleted; what is
    // written anew.
    let blob = |content: &[u8]| {
        let hex = Digest::of(content).hex();
        Path::new("bundles/blobs/sha256").join(&hex[..2]).join(&hex)
    };
    let kept = [
        (blob(b"an asset"), &b"an asseT"[..]),
        (blob(b"nobody's"), b"nobody's"),
    ];
    for (path, content) in &kept {
        let path = data.join(path);
        let mut folder = fs::DirBuilder::new();
        folder.recursive(true).mode(0o700);
        folder.create(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    fs::write(data.join("backup.db.new"), b"x").unwrap();
    fs::remove_file(data.join("directory.json")).unwrap();
    let (harmed, log) = (ground.path("harmed"), ground.path("steps"));
    copy(&data, &harmed);
    done(traced(&repair_command(&data), &log).output().unwrap());
    let steps = steps(&log, &data);
    println!("{} steps", steps.len());
    for call in ["openat", "mkdir", "pwrite64", "rename", "unlink", "fsync"] {
        assert!(steps.iter().any(|step| step.call == call), "no {call}");
    }
    let mut kills = 0;
    for step in &steps {
        fs::remove_dir_all(&data).unwrap();
        copy(&harmed, &data);
        let output = killed_at(&repair_command(&data), step).output().unwrap();
        kills += usize::from(was_killed(&output));
        // It ends well where nothing is left to be put right.
        done(repair_command(&data).output().unwrap());
        for (path, content) in &kept {
            let path = data.join("lost+found").join(path);
            assert_eq!(fs::read(path).unwrap(), *content, "{step:?}");
        }
    }
    // SQLite leaves out a step now and then.
    assert!(kills * 10 >= steps.len() * 9, "{kills} of {}", steps.len());
    let server = ground.server("data").await;
    upload(&server.admin(), "m", "1.0.0", b"an asset").await;
    infer(&server.anonymous(), "m").await.expect_status(200);
}

/// strace beside a process that runs. Given once it is attached.
fn attached(mut strace: Command, process: u32, log: &Path) -> Child {
    strace.arg("-f").arg("-p").arg(process.to_string());
    let errors = fs::File::create(log).unwrap();
    let child = strace.stdout(Stdio::null()).stderr(errors).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !fs::read_to_string(log).unwrap().contains("attached") {
        assert!(Instant::now() < deadline, "nothing is traced");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

#[tokio::test]
async fn a_server_that_is_killed_at_any_step_of_its_backup_starts_again_and_has_lost_nothing() {
    if !can_trace() {
        return;
    }
    let ground = Ground::new();
    let (file, log, told) = (
        ground.path("b.tar"),
        ground.path("steps"),
        ground.path("told"),
    );
    let mut server = ground.server("data").await;
    upload(&server.admin(), "m", "1.0.0", &[7; 4096]).await;
    let mut strace = Command::new("strace");
    strace.args(["-y", "-s", "4096", "-e"]);
    strace.arg(format!("trace={CALLS}")).arg("-o").arg(&log);
    let mut strace = attached(strace, server.pid(), &told);
    backup(server.data_dir(), &file);
    server.kill();
    strace.wait().unwrap();
    // What else a server writes meanwhile has other names, or is tried elsewhere.
    let aside = ground.path("data").join("backup.db.new");
    let steps = steps(&log, &aside);
    println!("{steps:?}");
    for call in ["openat", "pwrite64", "unlink"] {
        assert!(steps.iter().any(|step| step.call == call), "{steps:?}");
    }
    for step in &steps {
        fs::remove_file(&file).unwrap();
        server = ground.server("data").await;
        let mut strace = Command::new("strace");
        strace.arg("-o").arg("/dev/null");
        let mut strace = attached(at(strace, step), server.pid(), &told);
        let output = backup_command(server.data_dir(), &file).output().unwrap();
        refused(&output);
        assert!(!file.exists(), "{step:?}");
        server.kill();
        strace.wait().unwrap();
        server = ground.server("data").await;
        infer(&server.anonymous(), "m").await.expect_status(200);
        backup(server.data_dir(), &file);
        assert!(!aside.exists(), "{step:?}");
        server.kill();
    }
    restore(&file, &ground.path("there"));
}
