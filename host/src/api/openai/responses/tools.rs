//! Tools that a model may call, as requests for responses describe them.

use crate::api::check::at_most;
use crate::api::openai::wire::{check_name, input_schema, object};
use crate::api::prompt::PromptSize;
use crate::api::schema::{self, Rules};
use crate::http::error::ApiError;
use crate::http::json::describe;
use belljar_sandbox::wit::text::{self, ToolChoice};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Tools of one request.
const TOOLS_MAX: usize = 128;

#[derive(Debug, Deserialize)]
struct Tool {
    r#type: String,
    name: Option<String>,
    description: Option<String>,
    parameters: Option<Box<RawValue>>,
    strict: Option<bool>,
    format: Option<Box<RawValue>>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    r#type: String,
    name: Option<String>,
    mode: Option<String>,
    tools: Option<Vec<Self>>,
}

/// Types of tools that run in OpenAI's service, by how they begin; here they are not there.
const OF_THE_SERVICE: [&str; 14] = [
    "web_search",
    "file_search",
    "code_interpreter",
    "computer",
    "image_generation",
    "mcp",
    "local_shell",
    "shell",
    "apply_patch",
    "tool_search",
    "programmatic_tool_calling",
    "namespace",
    "container",
    "skill",
];

/// The tools that the model may call, and the names of the custom ones.
pub(super) fn tools(
    tools: Vec<Box<RawValue>>,
    size: &mut PromptSize,
) -> Result<(Vec<text::Tool>, Vec<String>), ApiError> {
    at_most("tools", tools.len(), TOOLS_MAX, "tools")?;
    let (mut all, mut custom) = (Vec::new(), Vec::new());
    for (index, tool) in tools.into_iter().enumerate() {
        let at = format!("tools[{index}]");
        let place = |member: &str| format!("{at}.{member}");
        let tool: Tool = serde_json::from_str(tool.get())
            .map_err(|error| ApiError::invalid_argument(&at, describe(&error)))?;
        let kind = tool.r#type.as_str();
        if OF_THE_SERVICE.iter().any(|begin| kind.starts_with(begin)) {
            continue;
        }
        if !matches!(kind, "function" | "custom") {
            let message = "expected `function`, `custom`, or the type of a tool of OpenAI's";
            return Err(ApiError::invalid_argument(place("type"), message));
        }
        let name = tool
            .name
            .ok_or_else(|| ApiError::missing_argument(place("name")))?;
        check_name(&name, &place("name"))?;
        let strict = tool.strict.unwrap_or(false);
        let parameters = match tool.parameters {
            Some(schema) if kind == "function" && schema.get() != "null" => {
                let schema = object(&schema, &place("parameters"))?;
                let rules = Rules {
                    is_of_object: true,
                    is_strict: strict,
                };
                if let Some(fault) = schema::fault(&schema, rules) {
                    let message = format!("invalid schema: {fault}");
                    return Err(ApiError::invalid_argument(place("parameters"), message));
                }
                Some(schema)
            }
            _ if kind == "custom" => Some(input_schema(tool.format.as_deref(), &at)?),
            _ => None,
        };
        if kind == "custom" {
            custom.push(name.clone());
        }
        size.add_text(&name);
        size.add_text(tool.description.as_deref().unwrap_or_default());
        size.add_text(parameters.as_deref().unwrap_or_default());
        all.push(text::Tool {
            name,
            description: tool.description,
            parameters,
            strict,
        });
    }
    Ok((all, custom))
}

/// Which tool the model is to call, and those that it may.
pub(super) fn choice(
    choice: Option<Box<RawValue>>,
    mut tools: Vec<text::Tool>,
) -> Result<(ToolChoice, Vec<text::Tool>), ApiError> {
    let wrong = || {
        let message = "expected `none`, `auto`, `required`, or an object that names a tool";
        ApiError::invalid_argument("tool_choice", message)
    };
    let needs_tools = |choice: ToolChoice, tools: Vec<text::Tool>| {
        if tools.is_empty() {
            let message = "is only allowed when there are tools";
            return Err(ApiError::invalid_argument("tool_choice", message));
        }
        Ok((choice, tools))
    };
    let Some(choice) = choice.filter(|choice| choice.get() != "null") else {
        return Ok((ToolChoice::Automatic, tools));
    };
    if let Ok(word) = serde_json::from_str::<String>(choice.get()) {
        return match word.as_str() {
            "auto" => Ok((ToolChoice::Automatic, tools)),
            "none" => Ok((ToolChoice::Forbidden, tools)),
            "required" => needs_tools(ToolChoice::Required, tools),
            _ => Err(wrong()),
        };
    }
    let choice: Choice = serde_json::from_str(choice.get()).map_err(|_| wrong())?;
    let unknown = || {
        let message = "names a tool that is not among the tools";
        ApiError::invalid_argument("tool_choice", message)
    };
    match choice.r#type.as_str() {
        "function" | "custom" => {
            let name = choice
                .name
                .ok_or_else(|| ApiError::missing_argument("tool_choice.name".to_owned()))?;
            if !tools.iter().any(|tool| tool.name == name) {
                return Err(unknown());
            }
            Ok((ToolChoice::Named(name), tools))
        }
        "allowed_tools" => {
            let names: Vec<String> = choice
                .tools
                .unwrap_or_default()
                .into_iter()
                .filter_map(|tool| tool.name)
                .collect();
            if names
                .iter()
                .any(|name| !tools.iter().any(|tool| tool.name == *name))
            {
                return Err(unknown());
            }
            tools.retain(|tool| names.contains(&tool.name));
            match choice.mode.as_deref() {
                None | Some("auto") => Ok((ToolChoice::Automatic, tools)),
                Some("required") => needs_tools(ToolChoice::Required, tools),
                Some(_) => {
                    let message = "expected `auto` or `required`";
                    Err(ApiError::invalid_argument("tool_choice.mode", message))
                }
            }
        }
        kind if OF_THE_SERVICE.iter().any(|begin| kind.starts_with(begin)) => {
            Ok((ToolChoice::Automatic, tools))
        }
        _ => Err(wrong()),
    }
}
