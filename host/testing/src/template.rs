//! Texts with values of the request in them, in the language of Jinja: no files, no clock, no
//! chance, and a bounded amount of work and of text.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};

/// The longest template, in bytes.
pub const TEMPLATE_BYTES_MAX: usize = 64 * 1024;

/// What making one text may cost: about one unit for each instruction, and one for each 64 bytes
/// that are made on the way.
pub const TEMPLATE_FUEL: u64 = 100_000;

/// The longest text that a template may make, in bytes.
pub const TEMPLATE_OUTPUT_BYTES_MAX: usize = 1024 * 1024;

/// The templates of one rule file.
#[derive(Debug)]
pub(crate) struct Templates {
    environment: Environment<'static>,
    count: usize,
}

/// A text that may have values of the request in it.
#[derive(Clone, Debug)]
pub(crate) enum Template {
    /// There is nothing to put in.
    Plain(String),
    /// The place of the template among all.
    Made {
        name: String,
        /// Whether it names the whole body, which is worth copying for no other.
        names_body: bool,
    },
}

/// Why a template makes no text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It is too long to be read.
    #[error("a template of {bytes} bytes; the most is {TEMPLATE_BYTES_MAX}")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// It is none.
    #[error("this is no template: {words}")]
    Invalid {
        /// What is wrong, and in which of its lines.
        words: String,
    },
    /// It goes on for too long, or makes too much on the way.
    #[error("the template takes more than {TEMPLATE_FUEL} units of fuel")]
    OutOfFuel,
    /// It makes too much.
    #[error("the template makes {bytes} bytes; the most is {TEMPLATE_OUTPUT_BYTES_MAX}")]
    TooMuch {
        /// How much it makes.
        bytes: usize,
    },
    /// Something that it names is not there, or cannot be used as it is.
    #[error("the template fails: {words}")]
    Failed {
        /// What failed, and in which of its lines.
        words: String,
    },
}

impl Templates {
    pub(crate) fn new() -> Self {
        let mut environment = Environment::empty();
        for (name, filter) in filters() {
            filter(&mut environment, name);
        }
        environment.add_function("range", minijinja::functions::range);
        environment.set_fuel(Some(TEMPLATE_FUEL));
        // What is not there is an error and not an empty text; asking whether it is there is none.
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        // A rule says what is said, to its last line end.
        if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
            environment.set_syntax(syntax);
        }
        let count = 0;
        Self { environment, count }
    }

    /// Reads a template.
    pub(crate) fn add(&mut self, source: &str) -> Result<Template, TemplateError> {
        if source.len() > TEMPLATE_BYTES_MAX {
            let bytes = source.len();
            return Err(TemplateError::TooLong { bytes });
        }
        if !["{{", "{%", "{#"].iter().any(|mark| source.contains(mark)) {
            return Ok(Template::Plain(source.to_owned()));
        }
        let name = self.count.to_string();
        let added = self
            .environment
            .add_template_owned(name.clone(), source.to_owned());
        added.map_err(|error| TemplateError::Invalid {
            words: words(&error),
        })?;
        self.count += 1;
        let names_body = source.contains("body");
        Ok(Template::Made { name, names_body })
    }

    /// The text that a template makes of values.
    pub(crate) fn render(
        &self,
        template: &Template,
        values: impl FnOnce(bool) -> Value,
    ) -> Result<String, TemplateError> {
        let (name, names_body) = match template {
            Template::Plain(text) => return Ok(text.clone()),
            Template::Made { name, names_body } => (name, *names_body),
        };
        let made = self
            .environment
            .get_template(name)
            .and_then(|template| template.render(values(names_body)));
        match made {
            Ok(text) if text.len() > TEMPLATE_OUTPUT_BYTES_MAX => {
                let bytes = text.len();
                Err(TemplateError::TooMuch { bytes })
            }
            Ok(text) => Ok(text),
            Err(error) if error.kind() == ErrorKind::OutOfFuel => Err(TemplateError::OutOfFuel),
            Err(error) => Err(TemplateError::Failed {
                words: words(&error),
            }),
        }
    }
}

type AddFilter = fn(&mut Environment<'static>, &'static str);

/// The filters there are: those that make texts of texts and lists, and values of texts.
fn filters() -> [(&'static str, AddFilter); 16] {
    use minijinja::filters as made;
    [
        ("upper", |to, name| to.add_filter(name, made::upper)),
        ("lower", |to, name| to.add_filter(name, made::lower)),
        ("title", |to, name| to.add_filter(name, made::title)),
        ("capitalize", |to, name| {
            to.add_filter(name, made::capitalize)
        }),
        ("trim", |to, name| to.add_filter(name, made::trim)),
        ("replace", |to, name| to.add_filter(name, made::replace)),
        ("default", |to, name| to.add_filter(name, made::default)),
        ("length", |to, name| to.add_filter(name, made::length)),
        ("join", |to, name| to.add_filter(name, made::join)),
        ("split", |to, name| to.add_filter(name, made::split)),
        ("first", |to, name| to.add_filter(name, made::first)),
        ("last", |to, name| to.add_filter(name, made::last)),
        ("reverse", |to, name| to.add_filter(name, made::reverse)),
        ("int", |to, name| to.add_filter(name, made::int)),
        ("round", |to, name| to.add_filter(name, made::round)),
        ("tojson", |to, name| to.add_filter(name, made::tojson)),
    ]
}

/// The names of the filters there are.
#[must_use]
pub fn template_filters() -> Vec<&'static str> {
    filters().iter().map(|(name, _)| *name).collect()
}

/// What is wrong, without the name of the template, which is ours.
fn words(error: &minijinja::Error) -> String {
    let detail = error.detail().map(str::to_owned);
    let detail = detail.unwrap_or_else(|| error.kind().to_string());
    match error.line() {
        Some(line) if line > 1 => format!("{detail}, in its line {line}"),
        _ => detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::context;

    fn made(source: &str) -> Result<String, TemplateError> {
        let mut templates = Templates::new();
        let template = templates.add(source)?;
        templates.render(
            &template,
            |_| context! { name => "World", list => [1, 2, 3] },
        )
    }

    #[test]
    fn values_are_put_in() {
        assert_eq!(made("Hello, {{ name }}!").unwrap(), "Hello, World!");
        assert_eq!(made("no braces: { }").unwrap(), "no braces: { }");
        assert_eq!(made("{{ name|upper }}\n").unwrap(), "WORLD\n");
        assert_eq!(
            made("<{{ '<&>' }}>").unwrap(),
            "<<&>>",
            "nothing is escaped"
        );
        assert_eq!(
            made("{% for n in list %}{{ n }},{% endfor %}").unwrap(),
            "1,2,3,"
        );
        assert_eq!(made("{{ list|tojson }}").unwrap(), "[1, 2, 3]");
        assert_eq!(made("{% if other %}a{% else %}b{% endif %}").unwrap(), "b");
        assert_eq!(made("{{ other|default('none') }}").unwrap(), "none");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = made("a\n{{ name").unwrap_err();
        assert!(matches!(error, TemplateError::Invalid { .. }), "{error}");
        assert!(error.to_string().ends_with("in its line 2"), "{error}");
        let error = made("{{ nobody.name }}").unwrap_err();
        assert!(matches!(error, TemplateError::Failed { .. }), "{error}");
        let error = made("{{ nobody }}").unwrap_err();
        assert!(matches!(error, TemplateError::Failed { .. }), "{error}");
        let error = made(&format!("{{{{{}", " ".repeat(TEMPLATE_BYTES_MAX))).unwrap_err();
        assert!(matches!(error, TemplateError::TooLong { .. }), "{error}");
    }

    /// Each would take forever, or all of the memory.
    #[test]
    fn no_template_is_endless_or_boundless() {
        let loops = (0..6).map(|depth| format!("{{% for a{depth} in range(10000) %}}"));
        let loops: String = loops.collect();
        let ends = "{% endfor %}".repeat(6);
        let doubled = (0..40).map(|_| "{% set a = a ~ a %}");
        let doubled: String = doubled.collect();
        for source in [
            format!("{loops}x{ends}"),
            format!("{{% set a = 'aaaaaaaa' %}}{doubled}{{{{ a }}}}"),
            "{{ 'a' * 100000000000 }}".to_owned(),
            "{{ [1] * 100000000000 }}".to_owned(),
            "{{ range(100000000000) }}".to_owned(),
        ] {
            let error = made(&source).unwrap_err();
            assert!(
                matches!(
                    error,
                    TemplateError::OutOfFuel | TemplateError::Failed { .. }
                ),
                "{source}: {error}"
            );
        }
        let error = made(&format!(
            "{{{{ 'a' * {} }}}}",
            TEMPLATE_OUTPUT_BYTES_MAX + 1
        ));
        assert!(
            matches!(error, Err(TemplateError::TooMuch { .. })),
            "{error:?}"
        );
        // Reading is bounded, too.
        let deep = format!("{{{{ {}1{} }}}}", "(".repeat(20_000), ")".repeat(20_000));
        assert!(matches!(made(&deep), Err(TemplateError::Invalid { .. })));
        let deep = "{% if 1 %}".repeat(5_000);
        assert!(matches!(made(&deep), Err(TemplateError::Invalid { .. })));
    }

    #[test]
    fn nothing_of_the_machine_is_there() {
        for source in [
            "{% include '/etc/passwd' %}",
            "{% import '0' as a %}",
            "{{ now() }}",
            "{{ env('HOME') }}",
            "{{ debug() }}",
        ] {
            assert!(made(source).is_err(), "{source}");
        }
    }
}
