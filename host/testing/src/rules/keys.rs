//! The one list of the keys of a rule file. The reader refuses by it what it does not know, and
//! the reference page is written from it.

/// A table of a rule file and what may stand in it.
#[derive(Debug)]
pub struct RuleTable {
    /// The name of the table in the reference, as it is written in a file.
    pub name: &'static str,
    /// What the table is.
    pub doc: &'static str,
    /// Its keys, in the order of the reference.
    pub keys: &'static [RuleKey],
}

/// A key of a rule file.
#[derive(Debug)]
pub struct RuleKey {
    /// The key.
    pub name: &'static str,
    /// What stands behind it.
    pub value: &'static str,
    /// The meaning.
    pub doc: &'static str,
}

const fn key(name: &'static str, value: &'static str, doc: &'static str) -> RuleKey {
    RuleKey { name, value, doc }
}

/// The top of a file.
pub(super) static FILE: RuleTable = RuleTable {
    name: "(top)",
    doc: "The file itself.",
    keys: &[
        key(
            "strict",
            "`true` or `false`",
            "Whether a request that no rule matches is an error and not passed on to the model.",
        ),
        key(
            "rule",
            "list of tables",
            "The rules, each as `[[rule]]`. The first that matches answers.",
        ),
    ],
};

/// A rule.
pub(super) static RULE: RuleTable = RuleTable {
    name: "[[rule]]",
    doc: "A rule. One without `match` matches everything.",
    keys: &[
        key(
            "name",
            "text",
            "The name, which `x-belljar-rule` has: up to 64 of `a-z`, `A-Z`, `0-9`, `.`, `_` and `-`, another for each rule.",
        ),
        key(
            "match",
            "table",
            "What has to be so of the request. All of it has to be.",
        ),
        key("answer", "table", "What the request is answered with."),
    ],
};

/// The conditions of a rule.
pub(super) static MATCH: RuleTable = RuleTable {
    name: "[rule.match]",
    doc: "Conditions. A rule matches where all of them hold.",
    keys: &[
        key(
            "model",
            "pattern or list",
            "The model that is asked for. In a pattern `*` stands for any characters.",
        ),
        key(
            "path",
            "pattern or list",
            "The path of the request, without its query.",
        ),
        key(
            "stream",
            "`true` or `false`",
            "Whether a stream is asked for.",
        ),
        key(
            "header",
            "table of text conditions",
            "Headers of the request, by name. Those that hold secrets are never looked at.",
        ),
        key("last_user", "text condition", "What the user said last."),
        key(
            "system",
            "text condition",
            "What system and developer say, joined by line ends.",
        ),
        key(
            "last",
            "message condition",
            "The last message of the conversation.",
        ),
        key(
            "message",
            "message condition or list",
            "A message that is anywhere in the conversation. With a list there has to be one for each.",
        ),
        key(
            "tool_result",
            "message condition or list",
            "A result of a tool that is anywhere in the conversation.",
        ),
        key(
            "offers_tool",
            "pattern or list",
            "A tool that the request offers.",
        ),
        key(
            "calls_tool",
            "pattern or list",
            "A tool that the assistant has called in an earlier turn.",
        ),
        key(
            "body",
            "body condition or list",
            "Values of the body, by JSONPath (RFC 9535).",
        ),
        key(
            "not",
            "table",
            "Conditions of which one at least must not hold.",
        ),
    ],
};

/// A condition on a text.
pub(super) static TEXT: RuleTable = RuleTable {
    name: "text condition",
    doc: "A text alone has to be equal. All that a table says has to hold.",
    keys: &[
        key("equals", "text", "The whole text."),
        key("contains", "text", "A part of the text."),
        key("starts_with", "text", "Its beginning."),
        key("ends_with", "text", "Its end."),
        key(
            "matches",
            "regular expression",
            "An expression that is found in the text. Its named groups are `captured` in templates.",
        ),
        key(
            "ignore_case",
            "`true` or `false`",
            "Whether upper and lower case are the same in all of these.",
        ),
        key(
            "present",
            "`true` or `false`",
            "Whether there is such a text at all.",
        ),
    ],
};

/// A condition on a message.
pub(super) static MESSAGE: RuleTable = RuleTable {
    name: "message condition",
    doc: "A text condition, and who the message is from.",
    keys: &[
        key(
            "role",
            "`system`, `developer`, `user`, `assistant` or `tool`",
            "Who it is from.",
        ),
        key("tool", "pattern or list", "The tool whose result it is."),
        key("equals", "text", "As in a text condition."),
        key("contains", "text", "As in a text condition."),
        key("starts_with", "text", "As in a text condition."),
        key("ends_with", "text", "As in a text condition."),
        key("matches", "regular expression", "As in a text condition."),
        key(
            "ignore_case",
            "`true` or `false`",
            "As in a text condition.",
        ),
    ],
};

/// A condition on values of the body.
pub(super) static BODY: RuleTable = RuleTable {
    name: "body condition",
    doc: "A JSONPath alone has to find something.",
    keys: &[
        key(
            "path",
            "JSONPath",
            "Which values: those of the body, as the client sent it. Needed.",
        ),
        key("equals", "any value", "What one of them is."),
        key("contains", "text", "A part of one of them that is a text."),
        key(
            "starts_with",
            "text",
            "The beginning of one of them that is a text.",
        ),
        key(
            "ends_with",
            "text",
            "The end of one of them that is a text.",
        ),
        key(
            "matches",
            "regular expression",
            "An expression that is found in one of them that is a text.",
        ),
        key(
            "ignore_case",
            "`true` or `false`",
            "Whether upper and lower case are the same in these.",
        ),
        key("count", "integer", "How many there are."),
        key("present", "`true` or `false`", "Whether there are any."),
    ],
};

/// What a request is answered with.
pub(super) static ANSWER: RuleTable = RuleTable {
    name: "[rule.answer]",
    doc: "An answer. Of `text`, `json`, `echo`, `generated`, `sequence`, `data_set`, `data` and `embedding` there is one at most.",
    keys: &[
        key("text", "template", "What is said."),
        key("reasoning", "template", "What is thought before."),
        key("refusal", "template", "What is said in place of an answer."),
        key("tool_calls", "list of tables", "Calls of tools."),
        key(
            "json",
            "any value",
            "What is said, as JSON. Texts in it are templates.",
        ),
        key("echo", "`true`", "What the user said last is said."),
        key("generated", "`true`", "The model answers."),
        key(
            "fault",
            "fault",
            "What goes wrong, in the syntax of `x-belljar-fault`; by itself, or with an answer that is cut, slowed or spoilt.",
        ),
        key(
            "sequence",
            "list of tables",
            "Answers of which the first request gets the first; counted apart in each world.",
        ),
        key(
            "repeat",
            "`last` or `cycle`",
            "What comes after the end of a sequence: its last answer (the default), or its first.",
        ),
        key(
            "data_set",
            "file",
            "A data set beside the rule file, in JSONL.",
        ),
        key("data", "text", "A data set as it is, in JSONL."),
        key(
            "embedding",
            "list of numbers",
            "The vector of each text of `/v1/embeddings`.",
        ),
        key(
            "delay",
            "duration",
            "How long after the request the answer begins: `250ms`, `2s`.",
        ),
        key(
            "latency",
            "latency",
            "The pace of the answer, in the syntax of `x-belljar-latency`.",
        ),
        key(
            "finish_reason",
            "`stop`, `length`, `tool_calls` or `content_filter`",
            "Why the answer ends. By itself `tool_calls` where there are some, else `stop`.",
        ),
        key(
            "usage",
            "table",
            "What the answer says that it used, in place of what is counted.",
        ),
    ],
};

/// A call of a tool.
pub(super) static TOOL_CALL: RuleTable = RuleTable {
    name: "tool call",
    doc: "A call of a tool.",
    keys: &[
        key("name", "template", "The tool."),
        key(
            "arguments",
            "table, or template",
            "Its arguments. A table is made JSON, and texts in it are templates; a text goes out as it is, valid JSON or not.",
        ),
        key(
            "id",
            "template",
            "The id of the call. By itself `call_` and a number that follows from the answer.",
        ),
    ],
};

/// What an answer says that it used.
pub(super) static USAGE: RuleTable = RuleTable {
    name: "usage",
    doc: "Tokens. What is left out is counted.",
    keys: &[
        key("prompt_tokens", "integer", "Tokens of the prompt."),
        key("completion_tokens", "integer", "Tokens of the answer."),
        key(
            "reasoning_tokens",
            "integer",
            "Of those, tokens of reasoning.",
        ),
        key(
            "cached_tokens",
            "integer",
            "Tokens of the prompt that were in the cache.",
        ),
    ],
};

/// A line of a data set.
pub(super) static LINE: RuleTable = RuleTable {
    name: "line of a data set",
    doc: "An object with `request` and `answer`, or with `messages` alone, as files for fine-tuning have it.",
    keys: &[
        key(
            "request",
            "text, or object",
            "What the user said last; or members that the body has to have, whatever else it has.",
        ),
        key(
            "answer",
            "text, or object",
            "What is said; or an answer as in `[rule.answer]`. Nothing in it is a template.",
        ),
        key(
            "messages",
            "list of objects",
            "A conversation with `role` and `content`, the last of which is the answer to those before it.",
        ),
    ],
};

/// All tables, in the order of the reference.
#[must_use]
pub fn rule_tables() -> [&'static RuleTable; 10] {
    [
        &FILE, &RULE, &MATCH, &TEXT, &MESSAGE, &BODY, &ANSWER, &TOOL_CALL, &USAGE, &LINE,
    ]
}
