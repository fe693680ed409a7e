//! Names of programs and functions, and what they are called with.

use super::Scan;
use crate::features::Feature;
use crate::lexicon::{self, Classes, WordHash, word, words};
use crate::token::Token;

/// Commands of a mail protocol that name an address.
pub(super) const MAIL: &[WordHash] = words!["rcpt", "mail"];

/// Commands of a mail protocol that stand alone.
pub(super) const GREETINGS: &[WordHash] =
    words!["ehlo", "helo", "vrfy", "expn", "starttls", "noop", "rset"];

/// What a line of code calls to run a program or to open a connection.
const CALLS: &[WordHash] = words![
    "socket",
    "pty",
    "subprocess",
    "system",
    "exec",
    "execl",
    "execve",
    "passthru",
    "shell_exec",
    "fsockopen",
    "tcpsocket",
    "spawn",
    "popen",
    "child_process",
    "bin",
    "downloadstring",
    "iex",
    "curl",
    "wget",
    "nc",
    "whoami",
    "rsocket",
    "fork",
];

/// What PowerShell is called with so that nobody sees what it does.
const HIDING: &[WordHash] = words![
    "enc",
    "encodedcommand",
    "ec",
    "hidden",
    "nop",
    "iex",
    "downloadstring",
    "bypass",
];

impl Scan<'_, '_> {
    /// The rules that begin at a word.
    pub(super) fn word(&mut self, token: &Token, before: Option<&Token>, rest: &[Token]) {
        let at = token.start;
        let next = rest.first();
        self.mail(token, rest);
        if !token.has(lexicon::COMMAND.or(Classes::RUNS).or(Classes::CODE_CALL)) {
            return;
        }
        // `alias ll='ls -l'` is a line of everyone's profile.
        let aliased = token.reads(word!("alias"))
            && rest.get(1).is_some_and(|next| next.is(b'='))
            && !rest.get(2).is_some_and(Token::is_quote);
        self.found.add_if(aliased, Feature::CommandAssign, at);
        if token.has(Classes::CODE_CALL) {
            let call = next.is_some_and(|next| next.is(b'(') && !next.is_spaced());
            let argument = rest
                .get(1)
                .is_some_and(|next| next.is_quote() || next.is_any(b")$"))
                || rest.get(1).is_some_and(|next| next.has(Classes::CODE_CALL));
            let method = before.is_some_and(|before| before.is_any(b".>") && !token.is_spaced());
            let input = rest
                .get(1)
                .is_some_and(|next| next.is(b'$') || next.has(Classes::CODE_CALL));
            let strong = !token.reads_any(words![
                "print", "printf", "compile", "function", "include", "require", "eval", "execute",
            ]) || (input && token.reads(word!("eval")));
            self.found.add_if(
                call && argument && strong && !method,
                Feature::CommandCodeCall,
                at,
            );
        }
        if token.has(Classes::RUNS) {
            let runs = next
                .is_some_and(|next| next.is_spaced() && next.is_command() && next.length() >= 2);
            self.found.add_if(runs, Feature::CommandRuns, at);
        }
        self.shell_code(token, rest);
        self.windows(token, before, rest);
    }

    /// `sh -c …`, `perl -e …`, `nc -e …`, `curl http://…`, `ping -c 3 …`.
    fn shell_code(&mut self, token: &Token, rest: &[Token]) {
        let at = token.start;
        let option = rest
            .iter()
            .zip(rest.iter().skip(1))
            .take(4)
            .find(|(dash, name)| dash.is(b'-') && !name.is_spaced());
        let letter = option
            .filter(|(_, name)| name.is_word() && !name.is_spaced())
            .map(|(_, name)| self.cx.word(name));
        if token.has(Classes::SHELL) {
            let talks = letter == Some("i");
            let code = letter.is_some_and(|letter| ["c", "e", "r"].contains(&letter));
            let calls = rest
                .iter()
                .any(|next| next.reads_any(CALLS) || next.is(b'`'));
            // `-ExecutionPolicy Bypass -File setup.ps1` is how a script of one's own is run.
            let file = rest.iter().any(|next| next.reads(word!("file")));
            let hides = token.reads_any(words!["powershell", "pwsh"])
                && rest
                    .iter()
                    .any(|next| next.reads_any(HIDING) && !(file && next.reads(word!("bypass"))));
            self.found.add_if(
                talks || hides || (code && calls),
                Feature::CommandShellCode,
                at,
            );
            self.found
                .add_if(code && !calls, Feature::CommandOneLiner, at);
        }
        if token.reads_any(words!["nc", "ncat", "netcat", "telnet", "socat"]) {
            let listens = option.is_some() || rest.first().is_some_and(|next| next.is_number());
            self.found.add_if(listens, Feature::CommandFetch, at);
            let mut pairs = rest.iter().zip(rest.iter().skip(1));
            let hands_over = pairs.any(|(dash, name)| {
                dash.is(b'-') && !name.is_spaced() && name.reads_any(words!["e", "c", "ne", "ce"])
            });
            self.found.add_if(hands_over, Feature::CommandShellCode, at);
        }
        if token.reads_any(words!["curl", "wget", "fetch", "iwr", "certutil"]) {
            let address = rest
                .iter()
                .take(6)
                .any(|next| next.reads(word!("http")) || next.is_number());
            self.found.add_if(address, Feature::CommandFetch, at);
        }
        if token.reads_any(words!["ping", "nslookup", "sleep", "timeout"]) {
            let number = rest.iter().take(4).any(|next| next.is_number());
            let begins = rest
                .first()
                .is_some_and(|next| next.is(b'-') || next.is_number() || next.is(b'/'));
            self.found
                .add_if(number && begins, Feature::CommandPing, at);
        }
        if token.reads_any(words![
            "cat", "tac", "type", "more", "less", "head", "tail", "nl"
        ]) {
            let file = rest.iter().take(3).any(|next| next.is_any(b"/\\%$<"));
            let secret = rest.iter().any(|next| {
                next.reads(word!("passwd"))
                    || next.reads(word!("shadow"))
                    || next.reads(word!("sam"))
                    || next.reads(word!("hosts"))
            });
            self.found.add_if(file && secret, Feature::CommandReads, at);
        }
    }

    fn windows(&mut self, token: &Token, before: Option<&Token>, rest: &[Token]) {
        if !token.has(Classes::WINDOWS) {
            return;
        }
        let at = token.start;
        let switch = matches!(rest, [slash, name, ..] if slash.is(b'/') && slash.length() == 1 && slash.is_spaced()
            && name.is_word() && !name.is_spaced() && name.length() <= 3);
        let drive = matches!(rest, [drive, colon, slash, ..] if drive.length() == 1 && colon.is(b':') && slash.is(b'\\'));
        // `reg query HKCU\…` looks something up.
        let looks = rest.first().is_some_and(|next| next.reads(word!("query")))
            && before.is_none()
            && !rest
                .iter()
                .any(|next| next.reads_any(words!["sam", "security"]));
        let hive = !looks
            && rest
                .iter()
                .take(3)
                .any(|next| next.reads(word!("hklm")) || next.reads(word!("hkcu")));
        let account = token.reads(word!("net"))
            && (rest.len() > 1 || before.is_some())
            && rest.first().is_some_and(|next| {
                next.reads_any(words![
                    "user",
                    "localgroup",
                    "view",
                    "share",
                    "use",
                    "start"
                ])
            });
        // `schtasks /query`: a switch is no program.
        let start = before
            .is_none_or(|before| !before.is_word() && (!before.is(b'/') || token.is_spaced()));
        self.found.add_if(
            // With switches and alone it is a line of everyday use.
            start && (hive || account || (before.is_some() && (switch || drive))),
            Feature::CommandWindows,
            at,
        );
        let compares = token.reads(word!("if"))
            && rest.iter().any(|next| {
                next.is(b'=') && next.length() == 2
                    || next.reads(word!("equ"))
                    || next.reads_any(words!["exist", "defined", "errorlevel"])
            });
        let plain = self.cx.context.plain <= 4 && !self.cx.context.talks;
        let test = rest.first().is_some_and(|next| {
            next.has(Classes::LOGIC)
                || next.is_any(b"\"(%")
                || next.reads_any(words!["exist", "defined", "errorlevel"])
        });
        self.found.add_if(
            compares && plain && test && start,
            Feature::CommandWindowsFor,
            at,
        );
        let loops =
            token.reads(word!("for")) && rest.first().is_some_and(|next| next.is_any(b"/%"));
        self.found.add_if(loops, Feature::CommandWindowsFor, at);
    }

    fn mail(&mut self, token: &Token, rest: &[Token]) {
        let mail = token.reads_any(MAIL)
            && rest
                .first()
                .is_some_and(|next| next.reads(word!("to")) || next.reads(word!("from")))
            && rest.get(1).is_some_and(|next| next.is(b':'));
        let greets = token.reads_any(GREETINGS);
        // `noop` alone is a word; behind a line break it is a command.
        let short = token.begins_line() && token.start > 0 && self.cx.context.words <= 4;
        self.found
            .add_if(mail || (greets && short), Feature::CommandMail, token.start);
    }
}
