//! `belljar dev`: a project on a server, built and pushed anew at each save, while the last version
//! that worked serves on.

mod build;
mod server;
mod versions;
mod watch;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use belljar_bundle::pack::{project_base, project_id};
use belljar_bundle::{BaseName, Digest, ModelId, ModelName, ModelVersion};
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use self::server::OwnServer;
use self::watch::Watch;
use super::answers::{array, text};
use super::bases::base_of;
use super::client::{Client, ClientArgs, Refusal};
use super::packing::pack_project_for;
use super::project::Language;
use super::rows::Rows;
use super::upload::push_file;
use super::{Failure, block_on, output, temporary};

#[derive(Args, Debug)]
#[command(
    after_help = "Each state of the project is pushed as a version of its own, VERSION-dev.N; \
                        those before it are removed. Ends with Ctrl-C."
)]
pub(super) struct DevArgs {
    /// Project folder
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Command that builds it (default: that of its language)
    #[arg(long, value_name = "COMMAND")]
    build: Option<String>,
    #[command(flatten)]
    client: ClientArgs,
}

/// How a project becomes a bundle.
enum How {
    /// A command makes its component.
    Built(String),
    /// The server has the component.
    OnBase(BaseName),
    /// Something else makes its component.
    Found,
}

/// Serves a project until a signal ends that.
pub(super) fn dev(args: &DevArgs) -> Result<(), Failure> {
    if !args.folder.is_dir() {
        let told = anyhow!("{} is no folder", args.folder.display());
        return Err(Failure::usage(told));
    }
    let id = project_id(&args.folder).map_err(Failure::usage)?;
    let base = project_base(&args.folder).map_err(Failure::usage)?;
    let language = Language::of_folder(&args.folder);
    let command = || {
        language?
            .commands()
            .first()
            .map(|first| (*first).to_owned())
    };
    let how = match (args.build.clone(), base) {
        (Some(command), _) => How::Built(command),
        (None, Some(base)) => How::OnBase(base),
        (None, None) => command().map_or(How::Found, How::Built),
    };
    // Before anything is started: a mistake is told at once.
    let watch = Watch::begin(&args.folder, !matches!(how, How::Found))?;
    block_on(async {
        let stopped_data_dir = args.client.stopped_data_dir()?;
        let mut own = match &stopped_data_dir {
            Some(data_dir) => Some(OwnServer::start(data_dir, args.client.place().config()).await?),
            None => None,
        };
        let outcome = serve(args, id, how, watch, own.as_mut()).await;
        if let Some(own) = own {
            own.end().await;
        }
        outcome
    })
}

/// Goes on until a signal ends it.
async fn serve(
    args: &DevArgs,
    project: ModelId,
    how: How,
    watch: Watch,
    own: Option<&mut OwnServer>,
) -> Result<(), Failure> {
    let client = Client::new(&args.client)?;
    introduce(&client, &project, &how, own.is_some())?;
    let mut session = Session {
        folder: &args.folder,
        how,
        client,
        name: project.name,
        last: None,
        pushed: None,
        has_told: false,
    };
    let outcome = session.go_on(watch, own).await;
    // The server may stay, and nobody mends what is told there.
    session.forget().await;
    Ok(outcome?)
}

/// Says what is watched, and where it is served.
fn introduce(client: &Client, id: &ModelId, how: &How, is_own: bool) -> Result<()> {
    let mut rows = Rows::under(format!("{} as {}", id.name, id));
    let started = if is_own { " (started for this)" } else { "" };
    let mut url = client.url(&[]).to_string();
    url.truncate(url.trim_end_matches('/').len());
    rows.row("server", &format!("{url}{started}"));
    match how {
        How::Built(command) => rows.row("build", command),
        How::OnBase(base) => rows.row("build", &format!("none: it is built on {base}")),
        How::Found => rows.row("build", "none: the component is watched"),
    }
    output::line(rows.into_text())
}

/// A project while it is worked on.
struct Session<'a> {
    folder: &'a Path,
    how: How,
    client: Client,
    /// The name that the project has had last.
    name: ModelName,
    /// The number that was given last, and the version that it is of.
    last: Option<(ModelVersion, u64)>,
    /// The version that serves, and what it was made of.
    pushed: Option<(ModelId, State)>,
    /// Whether the answers of the model tell of a failure.
    has_told: bool,
}

/// A state of the project: the version that it says, and all the rest.
type State = (ModelVersion, Digest);

/// What became of a state of the project.
enum Done {
    /// It serves.
    Active {
        id: ModelId,
        built: Duration,
        pushed: Duration,
    },
    /// It makes the same bundle as the one that serves.
    Same,
}

impl Session<'_> {
    /// Builds and pushes at each change, until a signal comes. A change ends what is being done.
    async fn go_on(&mut self, mut watch: Watch, mut own: Option<&mut OwnServer>) -> Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        loop {
            let doing = async {
                let done = self.do_once().await;
                self.tell(done).await?;
                // What is done is done: only a change goes on from here.
                std::future::pending::<Result<()>>().await
            };
            let lost = async {
                match &mut own {
                    Some(own) => own.ended().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                failed = doing => return failed,
                changed = watch.changed() => changed?,
                lost = lost => return Err(lost),
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
                _ = hang_up.recv() => return Ok(()),
            }
        }
    }

    /// Builds the project as it is, packs it, and pushes it until it serves.
    async fn do_once(&mut self) -> Result<Done> {
        if let Ok(project) = project_id(self.folder) {
            // What a save before has left half done is of no use to anybody. Whether the server can
            // be talked to is found out below.
            let _ = self.sweep(&project).await;
        }
        let began = Instant::now();
        if let How::Built(command) = &self.how {
            build::build(self.folder, command).await?;
        }
        let built = began.elapsed();
        let project = project_id(self.folder)?;
        self.name = project.name.clone();
        let number = self.next_number(&project).await?;
        let version = versions::numbered(&project.version, number)?;
        let packed = temporary::file()?;
        let base = base_of(&self.client, self.folder).await?;
        let manifest = tokio::task::block_in_place(|| {
            pack_project_for(self.folder, base.as_ref(), Some(&version), &packed)
        })?;
        let state = (project.version.clone(), manifest.digest_without_version());
        if let Some((_, serving)) = &self.pushed
            && *serving == state
        {
            return Ok(Done::Same);
        }
        self.last = Some((project.version.clone(), number));
        let began = Instant::now();
        let pushed = push_file(&self.client, packed).await;
        if pushed.is_ok() {
            let before = self.pushed.replace((manifest.id().clone(), state));
            // The server has forgotten it with the activation.
            self.has_told = false;
            // It may be of another version of the project, whose numbers are not looked for below.
            if let Some((before, _)) = before.filter(|(before, _)| before.name == project.name) {
                self.remove(&before.name, &before.version.to_string())
                    .await?;
            }
        }
        self.sweep(&project).await?;
        pushed?;
        Ok(Done::Active {
            id: manifest.id().clone(),
            built,
            pushed: began.elapsed(),
        })
    }

    /// The first number that no version of the model has, and that was not given before.
    async fn next_number(&self, project: &ModelId) -> Result<u64> {
        let versions = self.versions(&project.name).await?;
        let taken = versions.iter();
        let taken = taken.filter_map(|version| versions::number(&project.version, &version.number));
        let given = self.last.iter();
        let given = given.filter(|(version, _)| *version == project.version);
        let given = given.map(|(_, number)| *number);
        Ok(taken.chain(given).max().unwrap_or(0).saturating_add(1))
    }

    /// Removes what was pushed before the version that serves, and what has failed.
    async fn sweep(&self, project: &ModelId) -> Result<()> {
        for version in self.versions(&project.name).await? {
            let is_dev = versions::number(&project.version, &version.number).is_some();
            if is_dev && !version.is_active {
                self.remove(&project.name, &version.number).await?;
            }
        }
        Ok(())
    }

    async fn remove(&self, name: &ModelName, number: &str) -> Result<()> {
        let path = ["models", name.as_str(), number];
        let request = self.client.request(Method::DELETE, &path);
        self.client.send(request).await.map(drop)
    }

    /// The versions of a model; none where there is no such model.
    async fn versions(&self, name: &ModelName) -> Result<Vec<Listed>> {
        let request = self.client.request(Method::GET, &["models", name.as_str()]);
        let model = match self.client.send(request).await {
            Ok(model) => model,
            Err(error) if code(&error) == Some("model_not_found") => return Ok(Vec::new()),
            Err(error) => return Err(error).context("the server's models cannot be listed"),
        };
        let active = text(&model, "active");
        let listed = |version: &Value| {
            let number = text(version, "version").to_owned();
            Listed {
                is_active: number == active,
                number,
            }
        };
        Ok(array(&model, "versions").iter().map(listed).collect())
    }

    /// Tells what has become of a state, here and in the answers of the model.
    async fn tell(&mut self, done: Result<Done>) -> Result<()> {
        let mut rows = Rows::under(jiff::Zoned::now().strftime("%H:%M:%S").to_string());
        match done {
            Ok(Done::Active { id, built, pushed }) => {
                rows.row("serves", &id.to_string());
                let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
                rows.row("built in", &seconds(built));
                rows.row("pushed in", &seconds(pushed));
            }
            Ok(Done::Same) => {
                self.forget().await;
                rows.row("the same", "nothing in the bundle has changed");
            }
            Err(error) => {
                let error = Failure::from(error).to_string();
                self.note(&error).await;
                let (first, rest) = error.split_once('\n').unwrap_or((&error, ""));
                rows.row("FAILED", first);
                if let Some((serving, _)) = &self.pushed {
                    rows.row("serves on", &serving.to_string());
                }
                if !rest.is_empty() {
                    output::note(rest);
                }
            }
        }
        output::line(rows.into_text())
    }

    /// Has the answers of the model tell why its next version is not there. Where nothing answers
    /// yet there is nothing to tell it in.
    async fn note(&mut self, error: &str) {
        let path = ["models", self.name.as_str(), "dev-error"];
        let request = self.client.request(Method::PUT, &path);
        // Tools colour what they write, and the server takes no such characters.
        let message = error.replace(|c: char| c.is_control() && !c.is_whitespace(), "?");
        let sent = self
            .client
            .send(request.json(&json!({"message": message})))
            .await;
        match sent {
            Ok(_) => self.has_told = true,
            Err(refused) => {
                const NOTHING_ANSWERS: [&str; 2] = ["model_not_found", "model_not_active"];
                if !code(&refused).is_some_and(|code| NOTHING_ANSWERS.contains(&code)) {
                    output::note(&format!(
                        "the answers of {} do not tell it: {refused:#}",
                        self.name
                    ));
                }
            }
        }
    }

    /// Has them tell it no more.
    async fn forget(&mut self) {
        if !std::mem::take(&mut self.has_told) {
            return;
        }
        let path = ["models", self.name.as_str(), "dev-error"];
        let request = self.client.request(Method::DELETE, &path);
        if let Err(error) = self.client.send(request).await {
            output::note(&format!(
                "the answers of {} tell it still: {error:#}",
                self.name
            ));
        }
    }
}

/// A version as the server lists it.
struct Listed {
    number: String,
    is_active: bool,
}

/// The code of a refusal.
fn code(error: &anyhow::Error) -> Option<&str> {
    let refusal = error.downcast_ref::<Refusal>()?;
    Some(&refusal.code)
}
