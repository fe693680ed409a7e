//! The wall around a server: what is tried from within, by a process that has it, and what a real
//! server's and a real compiling process's kernel says of them.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Instant;

use belljar_tests::{Client, ServerProcess, TestBundle, command};
use serde_json::{Value, json};

use crate::kit::{Folder, PATIENCE};

// The numbers of the errors that the kernel answers with.
const EPERM: i64 = 1;
const EACCES: i64 = 13;
const EEXIST: i64 = 17;
const ENOSYS: i64 = 38;
/// The signal that ends a process with a forbidden call.
const SIGSYS: i32 = 31;

/// What comes of attempts behind the wall of a server with those settings.
fn tried(settings: &[(&str, &str)], attempts: &Value) -> Value {
    let output = probe(settings, attempts);
    let error = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{attempts}: {error}"))
}

fn probe(settings: &[(&str, &str)], attempts: &Value) -> Output {
    let mut command = command();
    command.args(["wall-probe", "--raise"]);
    for (key, value) in settings {
        // By a variable, as secret ones have no flag.
        let name = key.replace('.', "_").to_ascii_uppercase();
        command.env(format!("BELLJAR_{name}"), value);
    }
    command.arg(attempts.to_string()).output().unwrap()
}

fn refused(number: i64) -> Value {
    json!({ "refused": number })
}

/// A folder with what a server reads and keeps, and something beside it.
struct Ground(Folder);

impl Ground {
    fn new() -> Self {
        let ground = Self(Folder::new());
        for folder in ["data", "tls", "outside"] {
            std::fs::create_dir(ground.0.path(folder)).unwrap();
        }
        for file in ["data/kept", "tls/server.pem", "outside/secret"] {
            std::fs::write(ground.0.path(file), "text").unwrap();
        }
        ground
    }

    fn path(&self, name: &str) -> String {
        self.0.path(name).to_str().unwrap().to_owned()
    }

    fn try_all(&self, more: &[(&str, &str)], attempts: &Value) -> Value {
        let (data, certificate) = (self.path("data"), self.path("tls/server.pem"));
        let settings = [("data_dir", data.as_str()), ("tls.cert", &certificate)];
        tried(&[&settings[..], more].concat(), attempts)
    }
}

#[test]
fn files_that_no_setting_names_are_beyond_the_wall() {
    let ground = Ground::new();
    let program = ground.path("outside/program");
    std::fs::copy("/bin/true", &program).unwrap();
    std::fs::copy("/bin/true", ground.path("data/program")).unwrap();
    std::os::unix::fs::symlink("../outside/secret", ground.path("data/link")).unwrap();
    let attempts = json!([
        {"read": ground.path("data/kept")},
        {"read": ground.path("tls/server.pem")},
        {"create": ground.path("data/new")},
        {"read": ground.path("outside/secret")},
        {"read": ground.path("data/link")},
        {"read": ground.path("outside")},
        {"read": "/etc/passwd"},
        {"create": ground.path("outside/new")},
        {"create": ground.path("tls/new")},
        {"write": ground.path("outside")},
        {"execute": program},
        {"execute": ground.path("data/program")},
        {"execute": "/bin/sh"},
    ]);
    let outcomes = ground.try_all(&[], &attempts);
    let (done, no) = (json!("done"), refused(EACCES));
    let mut expected = vec![done; 3];
    expected.resize(13, no);
    assert_eq!(outcomes, json!(expected));
    assert!(!Path::new(&ground.path("outside/new")).exists());
    // The same can be done by who has no wall, and is not what the test has got wrong.
    let open = ground.try_all(&[("hardening", "off")], &attempts);
    let mut expected = vec![json!("done"); 13];
    // It is there now.
    expected[2] = refused(EEXIST);
    assert_eq!(open, json!(expected));
}

/// Acts: `hardening_read_paths`.
#[test]
fn a_path_can_be_named_to_be_read_and_not_to_be_written() {
    let ground = Ground::new();
    let outside = ground.path("outside");
    let outcomes = ground.try_all(
        &[("hardening_read_paths", &outside)],
        &json!([{"read": ground.path("outside/secret")}, {"create": ground.path("outside/new")}]),
    );
    assert_eq!(outcomes, json!(["done", refused(EACCES)]));
}

#[test]
fn ports_that_no_setting_names_can_neither_be_listened_on_nor_connected_to() {
    let ground = Ground::new();
    let there = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let free = || port(&TcpListener::bind("127.0.0.1:0").unwrap());
    let (own, metrics, other) = (free(), free(), free());
    let outcomes = ground.try_all(
        &[
            ("listen", &format!("127.0.0.1:{own}")),
            ("metrics.listen", &format!("127.0.0.1:{metrics}")),
        ],
        &json!([
            {"listen": own},
            {"listen": metrics},
            {"listen": other},
            {"connect": port(&there)},
        ]),
    );
    let expected = [
        "done".into(),
        "done".into(),
        refused(EACCES),
        refused(EACCES),
    ];
    assert_eq!(outcomes, json!(expected));
}

#[test]
fn another_machine_that_a_setting_names_can_be_called() {
    let ground = Ground::new();
    let there = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = there.local_addr().unwrap().port();
    let secret = ground.path("tls/secret");
    std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let attempts = json!([{"connect": port}, {"read": "/etc/hosts"}]);
    let outcomes = ground.try_all(
        &[
            ("webhook.url", &format!("http://127.0.0.1:{port}/hook")),
            ("webhook.allow_http", "true"),
            ("webhook.secret_file", &secret),
        ],
        &attempts,
    );
    assert_eq!(outcomes, json!(["done", "done"]));
    let unnamed = ground.try_all(&[], &attempts);
    assert_eq!(unnamed, json!([refused(EACCES), refused(EACCES)]));
}

#[test]
fn other_processes_and_their_abstract_sockets_are_beyond_the_wall() {
    use std::os::linux::net::SocketAddrExt as _;
    let ground = Ground::new();
    let name = format!("belljar-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let _there = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
    let attempts = json!([{"signal": std::process::id()}, {"abstract": name}]);
    let outcomes = ground.try_all(&[], &attempts);
    assert_eq!(outcomes, json!([refused(EPERM), refused(EPERM)]));
    let open = ground.try_all(&[("hardening", "off")], &attempts);
    assert_eq!(open, json!(["done", "done"]));
}

#[test]
fn a_call_that_no_server_makes_is_not_there_or_ends_the_process() {
    let ground = Ground::new();
    let outcomes = ground.try_all(&[], &json!(["watch", "privileges", "socket"]));
    assert_eq!(outcomes, json!([refused(ENOSYS), refused(EPERM), "done"]));
    let data = ground.path("data");
    for attempt in ["namespace", "root"] {
        let output = probe(&[("data_dir", &data)], &json!([attempt]));
        assert_eq!(output.status.signal(), Some(SIGSYS), "{attempt}");
        let open = [("data_dir", data.as_str()), ("hardening", "off")];
        assert_eq!(probe(&open, &json!([attempt])).status.signal(), None);
    }
}

#[test]
fn the_compiling_process_has_a_tighter_wall_within_it() {
    let ground = Ground::new();
    let data = ground.path("data");
    // What the server may do, and a compiling process may not.
    let attempts = [
        (json!({"read": ground.path("data/kept")}), EACCES),
        (json!({"create": ground.path("data/new")}), EACCES),
        (json!({"read": "/proc/self/status"}), EACCES),
        (json!("socket"), ENOSYS),
    ];
    let only: Vec<&Value> = attempts.iter().map(|(attempt, _)| attempt).collect();
    assert_eq!(ground.try_all(&[], &json!(only)), json!(vec!["done"; 4]));
    std::fs::remove_file(ground.path("data/new")).unwrap();
    let within: Vec<Value> = [json!("compiler")]
        .into_iter()
        .chain(only.into_iter().cloned())
        .collect();
    let expected: Vec<Value> = [json!("done")]
        .into_iter()
        .chain(attempts.iter().map(|(_, number)| refused(*number)))
        .collect();
    assert_eq!(ground.try_all(&[], &json!(within)), json!(expected));
    // Another process, a signal to one and what no server does are the end of it.
    for attempt in [
        json!({"execute": "/bin/true"}),
        json!({"signal": 1}),
        json!("root"),
    ] {
        let output = probe(&[("data_dir", &data)], &json!(["compiler", attempt]));
        assert_eq!(output.status.signal(), Some(SIGSYS), "{attempt}");
    }
}

/// What the kernel says of the threads of a process: whether it gains no privileges, and how many
/// filters of calls it has.
fn kept(process: u32) -> Vec<(String, String)> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let of = |status: &str, name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().to_owned()
    };
    tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok())
        .map(|it| (of(&it, "NoNewPrivs:"), of(&it, "Seccomp_filters:")))
        .collect()
}

/// The processes that another one has started.
fn children(process: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let lists = tasks.flatten().map(|task| task.path().join("children"));
    let lists = lists.filter_map(|list| std::fs::read_to_string(list).ok());
    let lists: Vec<String> = lists.collect();
    let words = lists.iter().flat_map(|list| list.split_whitespace());
    words.filter_map(|word| word.parse().ok()).collect()
}

#[tokio::test]
async fn every_thread_of_a_server_and_of_its_compiling_process_is_behind_the_wall() {
    let folder = Folder::new();
    let own = kept(std::process::id()).remove(0);
    let before: usize = own.1.parse().unwrap_or_default();
    let server = ServerProcess::start(&folder.path("server")).await;
    let behind = |filters: usize| ("1".to_owned(), (before + filters).to_string());
    let threads = kept(server.pid());
    assert!(threads.len() > 3, "{threads:?}");
    assert!(threads.iter().all(|it| *it == behind(2)), "{threads:?}");
    // One that is in its `load` for a while, with what ends it.
    let bundle = TestBundle::hostile("sleeps_in_load").tar();
    let admin = server.admin();
    let upload = tokio::spawn(async move { admin.upload(bundle).await });
    let deadline = Instant::now() + PATIENCE;
    let compiling = loop {
        let walled = |child: &u32| {
            let threads = kept(*child);
            threads.len() > 1 && threads.iter().all(|it| *it == behind(4))
        };
        if let Some(child) = children(server.pid()).into_iter().find(walled) {
            break child;
        }
        assert!(Instant::now() < deadline, "{:?}", server.log());
        tokio::task::yield_now().await;
    };
    let name = std::fs::read_to_string(format!("/proc/{compiling}/comm")).unwrap();
    assert_eq!(name.trim(), "belljar-compile");
    upload.abort();
    assert_eq!(server.terminate().await.code(), Some(0));
}

/// Runs what makes a process with a kernel around it that answers these calls with an error.
fn without<T: Send>(calls: &[i64], error: u32, run: impl FnOnce() -> T + Send) -> T {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
    let rules = calls.iter().map(|call| (*call, Vec::new())).collect();
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(error),
        arch,
    );
    let filter: BpfProgram = filter.unwrap().try_into().unwrap();
    // Of a thread of its own, which ends with it; what it starts has it as well.
    std::thread::scope(|scope| {
        let within = scope.spawn(|| {
            seccompiler::apply_filter(&filter).unwrap();
            run()
        });
        within.join().unwrap()
    })
}

/// Starts a server that is to refuse, and what it says.
fn refusal(data_dir: &Path) -> (Option<i32>, String) {
    let mut command = command();
    command.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--set",
        "hardening=required",
    ]);
    let output = command.arg("--data-dir").arg(data_dir).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), told)
}

#[test]
fn a_kernel_that_lacks_a_part_is_told_and_a_required_wall_refuses_it() {
    let folder = Folder::new();
    let data = folder.path("data");
    let landlock = [libc::SYS_landlock_create_ruleset];
    for (calls, error, words) in [
        (&landlock[..], libc::ENOSYS, "the kernel has no landlock"),
        (&landlock, libc::EOPNOTSUPP, "it is not enabled"),
        (
            &landlock,
            libc::EPERM,
            "the calls of landlock are forbidden here",
        ),
        (
            &[libc::SYS_seccomp],
            libc::EINVAL,
            "the kernel takes no filter of system calls",
        ),
    ] {
        let error = error.unsigned_abs();
        let (code, told) = without(calls, error, || refusal(&data));
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains("`hardening` is `required`"), "{told}");
        assert!(told.contains(words), "{words}: {told}");
        // The other parts are there, and are not complained of.
        let is_landlock = calls.contains(&landlock[0]);
        assert_eq!(told.contains("files: NOT KEPT"), is_landlock, "{told}");
        assert_eq!(told.contains("\n  calls: NOT KEPT"), !is_landlock, "{told}");
        assert!(!told.contains("privileges: NOT KEPT"), "{told}");
    }
    assert!(!data.join("belljar.db").exists(), "nothing was begun");
}

#[test]
fn without_it_the_rest_stands_and_a_server_serves_and_says_so() {
    let folder = Folder::new();
    let data = folder.path("data");
    let calls = [libc::SYS_landlock_create_ruleset, libc::SYS_seccomp];
    let (url, log) = without(&calls, libc::ENOSYS.unsigned_abs(), || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(async {
            let server = ServerProcess::start(&data).await;
            let metrics = server.admin().get("/metrics").await.text();
            let log = server.log();
            assert_eq!(server.terminate().await.code(), Some(0));
            (metrics, log)
        })
    });
    for guard in ["files", "network", "processes", "calls", "compiler"] {
        let told = format!("the wall around the server is not whole: {guard}: NOT KEPT");
        assert!(log.contains(&told), "{guard}: {log}");
        assert!(
            url.contains(&format!("belljar_wall{{guard=\"{guard}\"}} 0")),
            "{url}"
        );
    }
    assert!(
        url.contains("belljar_wall{guard=\"privileges\"} 1"),
        "{url}"
    );
}

/// The server of the tests, started as another user where the tests run as root.
fn as_nobody(command: &mut Command, folder: &Path) {
    const NOBODY: u32 = 65_534;
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
        command.uid(NOBODY).gid(NOBODY);
    }
}

/// Acts: `hardening`.
#[tokio::test]
async fn a_required_wall_is_whole_here_for_any_user_and_models_are_compiled_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    // Where that user can reach it.
    let program = folder.path().join("belljar");
    std::fs::copy(belljar_tests::program(), &program).unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let server = ServerProcess::start_of(Command::new(&program), &data, |command| {
        command.args(["--set", "hardening=required"]);
        as_nobody(command, &data);
    })
    .await;
    // Of another version from now on: what is compiled is compiled by the one that serves.
    std::fs::remove_file(&program).unwrap();
    std::fs::copy("/bin/true", &program).unwrap();
    let metrics = server.admin().get("/metrics").await.text();
    for guard in [
        "files",
        "network",
        "processes",
        "calls",
        "privileges",
        "compiler",
    ] {
        let told = format!("belljar_wall{{guard=\"{guard}\"}} 1");
        assert!(metrics.contains(&told), "{guard}: {metrics}");
    }
    let admin = server.admin();
    let uploaded = admin
        .upload(TestBundle::echo("walled", "1.0.0").tar())
        .await;
    assert!(
        uploaded.status < 300,
        "{}: {}",
        uploaded.text(),
        server.log()
    );
    infers(&admin, "walled").await;
    assert_eq!(server.terminate().await.code(), Some(0));
}

async fn infers(client: &Client, model: &str) {
    let body = json!({"model": model, "inputs": {"x": [1, 2]}});
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = client.post("/infer", &body).await;
        if answer.status == 200 {
            return;
        }
        assert!(Instant::now() < deadline, "{}", answer.text());
    }
}
