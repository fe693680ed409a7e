//! `belljar chat`: a conversation with a model of a server, in the terminal or line by line from a
//! script.

mod conversation;
mod events;
mod lines;

use std::time::Instant;

use anyhow::{Result, anyhow};
use clap::Args;
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::client::{Client, ClientArgs, read_json};
use super::{Failure, block_on, output};
use conversation::{Conversation, Used};
use events::{Event, Events};
use lines::{Command, Input, Line, Lines};

#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(super) struct ChatArgs {
    /// Model to talk to: NAME, NAME@VERSION, or an alias
    #[arg(value_name = "MODEL", default_value = "fake")]
    model: String,
    /// What the model is told before anything else
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Tokens of an answer at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: Option<u32>,
    /// How freely it chooses, from 0 to 2
    #[arg(long, value_name = "NUMBER")]
    temperature: Option<f32>,
    /// Have equal conversations get equal answers
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    client: ClientArgs,
}

/// What can be typed, for `--help` and `/help`.
const HELP: &str = "Type a message and Return. A line that ends with \\ goes on in the next.\n\
    /system TEXT  tell the model TEXT before anything else; without TEXT, show it\n\
    /reset        forget the conversation, and keep the system message\n\
    /stats        show tokens and times of this conversation\n\
    /help         show this\n\
    /quit         end, as Ctrl-D does\n\
    A message that begins with / is typed with two. Ctrl-C ends an answer early.\n\
    Where stdin is no terminal, each of its lines is a message, and the first\n\
    that fails ends the command.";

/// Talks until the input ends.
///
/// # Errors
///
/// When no server is found, and when a message fails that was not typed by a person.
pub(super) fn chat(args: &ChatArgs) -> Result<(), Failure> {
    block_on(async {
        let client = Client::new(&args.client)?;
        let mut lines = Lines::new()?;
        let mut conversation = Conversation::new(args.system.clone());
        loop {
            let input = tokio::task::block_in_place(|| lines.next())?;
            let message = match input {
                Input::End => return Ok(()),
                Input::Line(Line::Nothing) => continue,
                Input::Line(Line::Unknown(word)) => {
                    output::note(&format!("there is no {word}: /help says what there is"));
                    continue;
                }
                Input::Line(Line::Command(Command::Quit)) => return Ok(()),
                Input::Line(Line::Command(command)) => {
                    obey(command, &mut conversation);
                    continue;
                }
                Input::Line(Line::Message(message)) => message,
            };
            conversation.ask(message);
            match answer(&client, args, &conversation).await {
                Ok((said, used)) => conversation.answered(said, used),
                Err(error) => {
                    // It can be said again, or otherwise.
                    conversation.take_back();
                    if !lines.is_of_a_person() {
                        return Err(error.into());
                    }
                    output::error(&format!("{error:#}"));
                }
            }
        }
    })
}

fn obey(command: Command, conversation: &mut Conversation) {
    match command {
        Command::System(None) => {
            output::note(conversation.system().unwrap_or("no system message"));
        }
        Command::System(Some(text)) => conversation.set_system(text),
        Command::Reset => {
            conversation.reset();
            output::note("the conversation begins anew");
        }
        Command::Stats => output::note(&conversation.stats()),
        Command::Help => output::note(HELP),
        Command::Quit => {}
    }
}

/// What is asked for: a chat completion as a stream.
#[derive(Serialize)]
struct ChatRequest<'a> {
    model: &'a str,
    messages: Vec<Value>,
    stream: bool,
    stream_options: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
}

/// Prints the answer to the last message as it comes, and gives it back whole, or as far as it
/// came where the person has ended it.
async fn answer(
    client: &Client,
    args: &ChatArgs,
    conversation: &Conversation,
) -> Result<(String, Used)> {
    let body = ChatRequest {
        model: &args.model,
        messages: conversation.messages(),
        stream: true,
        stream_options: json!({"include_usage": true}),
        max_completion_tokens: args.max_tokens,
        temperature: args.temperature,
        seed: args.seed,
    };
    let request = client.request(Method::POST, &["v1", "chat", "completions"]);
    let sent = Instant::now();
    let mut response = client.answer(request.json(&body), None).await?;
    if !response.status().is_success() {
        read_json(response).await?;
        return Err(anyhow!(
            "the answer is no stream: is this a belljar server?"
        ));
    }
    let mut events = Events::default();
    let mut said = String::new();
    let mut used = Used::default();
    'stream: loop {
        let chunk = tokio::select! {
            chunk = response.chunk() => chunk,
            // Dropping the response ends the run.
            _ = tokio::signal::ctrl_c() => {
                output::note("\n(ended early)");
                break 'stream;
            }
        };
        let Some(chunk) = chunk? else {
            return Err(anyhow!("the answer broke off"));
        };
        events.receive(&chunk)?;
        while let Some(event) = events.next()? {
            match event {
                Event::Text(text) => {
                    used.first.get_or_insert_with(|| sent.elapsed());
                    output::text(&text)?;
                    said.push_str(&text);
                }
                Event::Finish(reason) => used.reason = reason,
                Event::Usage(counts) => used.counts = counts,
                Event::Failed(message) => {
                    output::text("\n")?;
                    return Err(anyhow!(message));
                }
                Event::Done => break 'stream,
            }
        }
    }
    used.whole = sent.elapsed();
    output::text("\n")?;
    if used.reason == "length" {
        output::note("(the answer is as long as it may be)");
    }
    Ok((said, used))
}
