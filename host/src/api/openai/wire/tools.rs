//! Tools that a model may call, and calls that it made.

use super::check::{StringOrObject, at_most};
use super::content::PromptSize;
use crate::http::error::ApiError;
use belljar_sandbox::wit::text::{self, ToolChoice};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Tools of one request.
const TOOLS_MAX: usize = 128;
/// Characters of a tool's name.
const NAME_BYTES_MAX: usize = 64;

/// A tool: today always a function.
#[derive(Debug, Deserialize)]
pub(super) struct Tool {
    r#type: String,
    function: Option<Function>,
}

/// A function, as a tool or by itself.
#[derive(Debug, Deserialize)]
pub(super) struct Function {
    name: String,
    description: Option<String>,
    /// Kept as it was written: the order of a schema's fields is the order of the answer's.
    parameters: Option<Box<RawValue>>,
    strict: Option<bool>,
}

/// A call made in an earlier turn.
#[derive(Debug, Deserialize)]
pub(super) struct ToolCall {
    #[serde(default)]
    id: String,
    function: Option<FunctionCall>,
}

/// The function of a call, and what it was called with.
#[derive(Debug, Deserialize)]
pub(super) struct FunctionCall {
    name: String,
    #[serde(default)]
    arguments: String,
}

/// A choice that names a function.
#[derive(Debug, Deserialize)]
pub(super) struct NamedChoice {
    r#type: Option<String>,
    function: Option<FunctionName>,
    /// Of the older `function_call`.
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
struct FunctionName {
    name: String,
}

impl ToolCall {
    pub(super) fn of_function(function: FunctionCall) -> Self {
        Self {
            id: String::new(),
            function: Some(function),
        }
    }

    pub(super) fn read(self, place: &str) -> Result<text::ToolCall, ApiError> {
        let Some(FunctionCall { name, arguments }) = self.function else {
            return Err(ApiError::missing_argument(format!("{place}.function")));
        };
        check_name(&name, &format!("{place}.function.name"))?;
        Ok(text::ToolCall {
            id: self.id,
            name,
            arguments,
        })
    }
}

/// The tools of a request, whichever of the two ways they came.
pub(super) fn tools(
    tools: Option<Vec<Tool>>,
    functions: Option<Vec<Function>>,
    size: &mut PromptSize,
) -> Result<Vec<text::Tool>, ApiError> {
    let mut all = Vec::new();
    let tools = tools.unwrap_or_default();
    at_most("tools", tools.len(), TOOLS_MAX, "tools")?;
    for (index, tool) in tools.into_iter().enumerate() {
        let place = format!("tools[{index}]");
        if tool.r#type != "function" {
            return Err(ApiError::invalid_argument(
                format!("{place}.type"),
                "expected `function`",
            ));
        }
        let place = format!("{place}.function");
        let function = tool
            .function
            .ok_or_else(|| ApiError::missing_argument(place.clone()))?;
        all.push(function.read(&place, size)?);
    }
    let functions = functions.unwrap_or_default();
    at_most("functions", functions.len(), TOOLS_MAX, "functions")?;
    for (index, function) in functions.into_iter().enumerate() {
        all.push(function.read(&format!("functions[{index}]"), size)?);
    }
    Ok(all)
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
        let parameters = parameters
            .map(|schema| object(&schema, &format!("{place}.parameters")))
            .transpose()?;
        size.add_text(parameters.as_deref().unwrap_or_default());
        Ok(text::Tool {
            name,
            description,
            parameters,
            strict: strict.unwrap_or(false),
        })
    }
}

/// The text of a JSON object.
pub(super) fn object(json: &RawValue, place: &str) -> Result<String, ApiError> {
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
    tools: &[text::Tool],
) -> Result<ToolChoice, ApiError> {
    let needs_tools = |choice: ToolChoice| {
        if tools.is_empty() {
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
            function,
            name,
        })) => {
            if r#type.is_some_and(|kind| kind != "function") {
                return Err(ApiError::invalid_argument(
                    format!("{param}.type"),
                    "expected `function`",
                ));
            }
            let name = function.map(|function| function.name).or(name);
            let name =
                name.ok_or_else(|| ApiError::missing_argument(format!("{param}.function.name")))?;
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

/// Names end up in prompts and in other programs: letters, digits, `_` and `-`, up to 64.
fn check_name(name: &str, place: &str) -> Result<(), ApiError> {
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
