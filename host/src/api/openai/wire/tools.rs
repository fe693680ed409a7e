//! Tools that a model may call, and calls that it made.

use crate::api::check::{StringOrObject, at_most};
use crate::api::prompt::PromptSize;
use crate::api::schema::{self, Rules};
use crate::http::error::ApiError;
use crate::http::json::describe;
use belljar_sandbox::wit::text::{self, ToolChoice};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// Tools of one request.
const TOOLS_MAX: usize = 128;
/// Characters of a tool's name.
const NAME_BYTES_MAX: usize = 64;

/// A tool: a function, or a custom one, whose input is a text of any form.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(super) struct Tool {
    /// `function` or `custom`.
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<Function>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom: Option<Custom>,
}

/// A custom tool, whose input is a text.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = CustomTool)]
struct Custom {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// `text`, or a grammar: a regular expression, or rules in the syntax of Lark.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Box<RawValue>>,
}

/// The schema of a custom tool's input: a text, which follows an expression (`pattern`) or a grammar
/// (`x-lark`) where one is given.
///
/// # Errors
///
/// A format of another type, and a grammar without its syntax or definition. Whether a grammar
/// itself is sound says the model that is to follow it.
pub(crate) fn input_schema(format: Option<&RawValue>, place: &str) -> Result<String, ApiError> {
    #[derive(Deserialize)]
    struct Format {
        r#type: Option<String>,
        #[serde(flatten)]
        inline: Grammar,
        grammar: Option<Grammar>,
    }
    #[derive(Deserialize)]
    struct Grammar {
        syntax: Option<String>,
        definition: Option<String>,
    }
    let at = |member: &str| format!("{place}.format{member}");
    let mut schema = serde_json::Map::from_iter([("type".to_owned(), "string".into())]);
    if let Some(format) = format {
        let format: Format = serde_json::from_str(format.get())
            .map_err(|error| ApiError::invalid_argument(at(""), describe(&error)))?;
        match format.r#type.as_deref() {
            None => return Err(ApiError::missing_argument(at(".type"))),
            Some("text") => {}
            Some("grammar") => {
                // Chat completions have the two in an object, responses beside the type.
                let inner = if format.grammar.is_some() {
                    ".grammar"
                } else {
                    ""
                };
                let at = |member: &str| at(&format!("{inner}{member}"));
                let grammar = format.grammar.unwrap_or(format.inline);
                let definition = grammar.definition;
                let definition =
                    definition.ok_or_else(|| ApiError::missing_argument(at(".definition")))?;
                let (keyword, text) = match grammar.syntax.as_deref() {
                    Some("regex") => ("pattern", format!("^(?:{definition})$")),
                    Some("lark") => ("x-lark", definition),
                    _ => {
                        let message = "expected `lark` or `regex`";
                        return Err(ApiError::invalid_argument(at(".syntax"), message));
                    }
                };
                schema.insert(keyword.to_owned(), text.into());
            }
            Some(_) => {
                let message = "expected `text` or `grammar`";
                return Err(ApiError::invalid_argument(at(".type"), message));
            }
        }
    }
    Ok(serde_json::Value::Object(schema).to_string())
}

/// A function, as a tool or by itself.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = FunctionTool)]
pub(super) struct Function {
    #[schema(pattern = "^[a-zA-Z0-9_-]{1,64}$")]
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// A JSON Schema. Kept as it was written: the order of its fields is the order of the answer's.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

/// A call made in an earlier turn.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = EarlierToolCall)]
pub(super) struct ToolCall {
    #[schema(value_type = String, required)]
    id: Option<String>,
    /// `function` or `custom`.
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<FunctionCall>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom: Option<CustomCall>,
}

/// A custom tool that was called, and its input.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = EarlierCustomCall)]
struct CustomCall {
    #[schema(pattern = "^[a-zA-Z0-9_-]{1,64}$")]
    name: String,
    #[serde(default)]
    input: String,
}

/// The function of a call, and what it was called with.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = EarlierFunctionCall)]
pub(super) struct FunctionCall {
    #[schema(pattern = "^[a-zA-Z0-9_-]{1,64}$")]
    name: String,
    #[serde(default)]
    arguments: String,
}

/// A choice that names a function.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = NamedToolChoice)]
pub(super) struct NamedChoice {
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<ToolName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom: Option<ToolName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_tools: Option<AllowedTools>,
    /// Of the older `function_call`.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// `none`, `auto`, `required`, or an object, as it is described.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) enum ToolChoiceOption {
    Word(String),
    Named(NamedChoice),
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
struct ToolName {
    name: String,
}

/// The tools that may be called, of all that there are.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
struct AllowedTools {
    /// `auto` or `required`.
    mode: String,
    tools: Vec<AllowedTool>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
struct AllowedTool {
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<ToolName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom: Option<ToolName>,
}

impl ToolCall {
    pub(super) fn read(self, place: &str) -> Result<text::ToolCall, ApiError> {
        let missing = |member: &str| ApiError::missing_argument(format!("{place}.{member}"));
        let id = self.id.filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| missing("id"))?;
        if let Some(kind) = &self.r#type
            && !matches!(kind.as_str(), "function" | "custom")
        {
            let message = "expected `function` or `custom`";
            return Err(ApiError::invalid_argument(format!("{place}.type"), message));
        }
        let (function, place) = match (self.function, self.custom) {
            (Some(function), _) => (function, format!("{place}.function.name")),
            (None, Some(CustomCall { name, input })) => {
                let arguments = input;
                let function = FunctionCall { name, arguments };
                (function, format!("{place}.custom.name"))
            }
            (None, None) => return Err(missing("function")),
        };
        check_name(&function.name, &place)?;
        Ok(function.with_id(id))
    }
}

impl FunctionCall {
    /// The call as it was before there were tools: without an id.
    pub(super) fn read(self, place: &str) -> Result<text::ToolCall, ApiError> {
        check_name(&self.name, &format!("{place}.name"))?;
        Ok(self.with_id(String::new()))
    }

    fn with_id(self, id: String) -> text::ToolCall {
        let Self { name, arguments } = self;
        text::ToolCall {
            id,
            name,
            arguments,
        }
    }
}

/// The tools of a request, whichever of the two ways they came, and the names of the custom ones.
pub(super) fn tools(
    tools: Option<Vec<Tool>>,
    functions: Option<Vec<Function>>,
    size: &mut PromptSize,
) -> Result<(Vec<text::Tool>, Vec<String>), ApiError> {
    let mut all = Vec::new();
    let mut custom = Vec::new();
    let tools = tools.unwrap_or_default();
    at_most("tools", tools.len(), TOOLS_MAX, "tools")?;
    for (index, tool) in tools.into_iter().enumerate() {
        let place = format!("tools[{index}]");
        let missing = |member: &str| ApiError::missing_argument(format!("{place}.{member}"));
        match tool.r#type.as_str() {
            "function" => {
                let function = tool.function.ok_or_else(|| missing("function"))?;
                all.push(function.read(&format!("{place}.function"), size)?);
            }
            "custom" => {
                let tool = tool.custom.ok_or_else(|| missing("custom"))?;
                custom.push(tool.name.clone());
                let function = Function {
                    name: tool.name,
                    description: tool.description,
                    parameters: None,
                    strict: None,
                };
                let place = format!("{place}.custom");
                let mut read = function.read(&place, size)?;
                let schema = input_schema(tool.format.as_deref(), &place)?;
                size.add_text(&schema);
                read.parameters = Some(schema);
                all.push(read);
            }
            _ => {
                return Err(ApiError::invalid_argument(
                    format!("{place}.type"),
                    "expected `function` or `custom`",
                ));
            }
        }
    }
    let functions = functions.unwrap_or_default();
    at_most("functions", functions.len(), TOOLS_MAX, "functions")?;
    for (index, function) in functions.into_iter().enumerate() {
        all.push(function.read(&format!("functions[{index}]"), size)?);
    }
    Ok((all, custom))
}

impl Function {
    fn read(self, place: &str, size: &mut PromptSize) -> Result<text::Tool, ApiError> {
        let Self {
            name,
            description,
            parameters,
            strict,
        } = self;
        check_name(&name, &format!("{place}.name"))?;
        size.add_text(&name);
        size.add_text(description.as_deref().unwrap_or_default());
        let strict = strict.unwrap_or(false);
        let place = format!("{place}.parameters");
        let parameters = parameters
            .map(|schema| object(&schema, &place))
            .transpose()?;
        let schema = parameters.as_deref().unwrap_or_default();
        size.add_text(schema);
        let rules = Rules {
            is_of_object: true,
            is_strict: strict,
        };
        if parameters.is_some()
            && let Some(fault) = schema::fault(schema, rules)
        {
            let message = format!("invalid schema: {fault}");
            return Err(ApiError::invalid_argument(place, message));
        }
        Ok(text::Tool {
            name,
            description,
            parameters,
            strict,
        })
    }
}

/// The text of a JSON object.
pub(crate) fn object(json: &RawValue, place: &str) -> Result<String, ApiError> {
    if json.get().starts_with('{') {
        Ok(json.get().to_owned())
    } else {
        Err(ApiError::invalid_argument(place, "expected an object"))
    }
}

/// Which tool the model is to call.
pub(super) fn choice(
    choice: Option<StringOrObject<NamedChoice>>,
    param: &str,
    tools: &mut Vec<text::Tool>,
) -> Result<ToolChoice, ApiError> {
    let has_tools = !tools.is_empty();
    let needs_tools = |choice: ToolChoice| {
        if !has_tools {
            Err(ApiError::invalid_argument(
                param,
                "is only allowed when there are tools",
            ))
        } else {
            Ok(choice)
        }
    };
    match choice {
        None => Ok(ToolChoice::Automatic),
        Some(StringOrObject::Text(choice)) => match choice.as_str() {
            "auto" => Ok(ToolChoice::Automatic),
            "none" => Ok(ToolChoice::Forbidden),
            "required" => needs_tools(ToolChoice::Required),
            _ => Err(ApiError::invalid_argument(
                param,
                "expected `none`, `auto`, `required` or a named tool",
            )),
        },
        Some(StringOrObject::Object(NamedChoice {
            r#type,
            allowed_tools: Some(allowed),
            ..
        })) if r#type.as_deref() == Some("allowed_tools") => allowed.read(param, tools),
        Some(StringOrObject::Object(NamedChoice {
            r#type,
            function,
            custom,
            name,
            ..
        })) => {
            let member = match r#type.as_deref() {
                None | Some("function") => "function",
                Some("custom") => "custom",
                Some("allowed_tools") => {
                    return Err(ApiError::missing_argument(format!("{param}.allowed_tools")));
                }
                Some(_) => {
                    return Err(ApiError::invalid_argument(
                        format!("{param}.type"),
                        "expected `function`, `custom` or `allowed_tools`",
                    ));
                }
            };
            let named = if member == "custom" { custom } else { function };
            let name = named.map(|named| named.name).or(name);
            let name =
                name.ok_or_else(|| ApiError::missing_argument(format!("{param}.{member}.name")))?;
            if !tools.iter().any(|tool| tool.name == name) {
                return Err(ApiError::invalid_argument(
                    param,
                    "names a tool that is not among the tools",
                ));
            }
            Ok(ToolChoice::Named(name))
        }
    }
}

impl AllowedTools {
    /// Takes the tools away that may not be called.
    fn read(self, param: &str, tools: &mut Vec<text::Tool>) -> Result<ToolChoice, ApiError> {
        let place = format!("{param}.allowed_tools");
        let choice = match self.mode.as_str() {
            "auto" => ToolChoice::Automatic,
            "required" => ToolChoice::Required,
            _ => {
                let message = "expected `auto` or `required`";
                return Err(ApiError::invalid_argument(format!("{place}.mode"), message));
            }
        };
        let names = self.tools.into_iter();
        let names = names.filter_map(|tool| tool.function.or(tool.custom));
        let names: Vec<String> = names.map(|named| named.name).collect();
        if let Some(at) = names
            .iter()
            .position(|name| !tools.iter().any(|tool| tool.name == *name))
        {
            let message = "names a tool that is not among the tools";
            return Err(ApiError::invalid_argument(
                format!("{place}.tools[{at}]"),
                message,
            ));
        }
        tools.retain(|tool| names.contains(&tool.name));
        if tools.is_empty() {
            return Err(ApiError::invalid_argument(
                format!("{place}.tools"),
                "expected at least one tool",
            ));
        }
        Ok(choice)
    }
}

/// Names end up in prompts and in other programs: letters, digits, `_` and `-`, up to 64.
pub(crate) fn check_name(name: &str, place: &str) -> Result<(), ApiError> {
    let good = (1..=NAME_BYTES_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if good {
        Ok(())
    } else {
        let message = format!("expected 1 to {NAME_BYTES_MAX} letters, digits, `_` and `-`");
        Err(ApiError::invalid_argument(place, message))
    }
}
