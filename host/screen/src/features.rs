//! Names everything that the grammars look for, and collects what they found.

use std::fmt;

use crate::Category;

/// Which way a feature may push the score. Training keeps to it, so that no list of texts can
/// teach the model that `union select` is a sign of peace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// A sign of an attack: the weight is never negative.
    Attack,
    /// A sign of people talking: the weight is never positive.
    Talk,
}

macro_rules! features {
    ($($variant:ident $sign:ident $category:ident $name:literal $meaning:literal;)*) => {
        /// One thing the screen looks for. The name is stable: logs and the weights carry it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Feature {
            $(#[doc = $meaning] $variant,)*
        }

        impl Feature {
            /// All features, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name, such as `sql.union_select`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What the feature is a sign of; `None` for how the text as a whole reads.
            pub const fn category(self) -> Option<Category> {
                match self { $(Self::$variant => features!(@category $category),)* }
            }

            /// Which way it may push the score.
            pub const fn sign(self) -> Sign {
                match self { $(Self::$variant => Sign::$sign,)* }
            }
        }
    };
    (@category Shape) => { None };
    (@category $category:ident) => { Some(Category::$category) };
}

features! {
    SqlUnionSelect Attack Sql "sql.union_select" "`union`, perhaps `all`, then `select`.";
    SqlLeadingLogic Attack Sql "sql.leading_logic" "The text begins with `or`, `order by` and a value.";
    SqlUnionEnd Attack Sql "sql.union_end" "A value, then `union` and not much more.";
    SqlTautology Attack Sql "sql.tautology" "A condition on constants: `or 1=1`, `and 'a'='a`.";
    SqlWeakCondition Attack Sql "sql.weak_condition" "`or`, a value, a comparison, a value.";
    SqlLogicEnd Attack Sql "sql.logic_end" "`or` and one value, and the text ends or a comment begins.";
    SqlQuoteLogic Attack Sql "sql.quote_logic" "A quote that nothing opened, then `or`, `union`, `having`.";
    SqlValueLogic Attack Sql "sql.value_logic" "A number or a bracket, then `or`, `union`, `having`.";
    SqlQuoteOperator Attack Sql "sql.quote_operator" "A quote that nothing opened, then an operator.";
    SqlQuoteEnd Attack Sql "sql.quote_end" "A quote that nothing opened, then `;`, `)` or a comment.";
    SqlCommentEnd Attack Sql "sql.comment_end" "The text ends in a comment sign.";
    SqlCommentOpen Attack Sql "sql.comment_open" "A comment sign follows a value and hides what follows.";
    SqlInlineComment Attack Sql "sql.inline_comment" "A comment instead of a space, or one that a server runs.";
    SqlStacked Attack Sql "sql.stacked" "`;`, then a second statement.";
    SqlStatement Attack Sql "sql.statement" "The text begins with a statement.";
    SqlVerbObject Attack Sql "sql.verb_object" "`drop table`, `insert into`, `select … from`.";
    SqlSubselect Attack Sql "sql.subselect" "`(select`.";
    SqlSelectList Attack Sql "sql.select_list" "`select` and a value list with no column names.";
    SqlTime Attack Sql "sql.time" "A function that waits.";
    SqlError Attack Sql "sql.error" "A function that leaks by its error.";
    SqlSchema Attack Sql "sql.schema" "A table of the database about itself.";
    SqlWhoami Attack Sql "sql.whoami" "A function or variable that tells version or user.";
    SqlFunctionCall Attack Sql "sql.function_call" "A call of a function that only SQL has.";
    SqlBuild Attack Sql "sql.build" "A string built from character codes.";
    SqlHex Attack Sql "sql.hex" "A long hexadecimal literal.";
    SqlValueList Attack Sql "sql.value_list" "Three or more numbers or nulls with commas between.";
    SqlOrderBy Attack Sql "sql.order_by" "`order by` or `group by` and a number.";
    SqlFile Attack Sql "sql.file" "Reads or writes a file of the server.";
    SqlProcedure Attack Sql "sql.procedure" "A procedure that runs commands.";
    SqlVariable Attack Sql "sql.variable" "`@name`, `@@name`, `declare @`.";
    SqlMixedCase Attack Sql "sql.mixed_case" "A keyword in odd case: `uNiOn`.";
    SqlDense Attack Sql "sql.dense" "Most words are words of SQL.";
    SqlOperators Attack Sql "sql.operators" "Operators of one server only: `->>`, `?&`, `<=>`, `rlike`.";
    SqlBrokenString Attack Sql "sql.broken_string" "The piece between two broken strings: `' or `, `'='`.";
    SqlDocument Attack Sql "sql.document" "An operator of a document store: `$ne`, `$where`.";
    CommandSeparated Attack Command "command.separated" "A separator, then a command that is no ordinary word.";
    CommandSeparatedWord Attack Command "command.separated_word" "A separator, then a command that is also a word.";
    CommandLeading Attack Command "command.leading" "The text begins with a separator and a command.";
    CommandShort Attack Command "command.short" "A few tokens, a separator and a command.";
    CommandNested Attack Command "command.nested" "A substitution within a substitution.";
    CommandNewline Attack Command "command.newline" "A line break that was spelt out, then a command or nothing.";
    CommandSubstitution Attack Command "command.substitution" "`$(…)` or backticks around a command.";
    CommandPipeShell Attack Command "command.pipe_shell" "A pipe into a shell.";
    CommandRuns Attack Command "command.runs" "A command that runs another command.";
    CommandShellCode Attack Command "command.shell_code" "A shell or interpreter with code that runs programs, opens connections or is talked to.";
    CommandOneLiner Attack Command "command.one_liner" "A shell or interpreter with a line of code that calls nothing itself.";
    CommandReads Attack Command "command.reads" "Prints a file that holds secrets.";
    CommandFetch Attack Command "command.fetch" "Fetches a file or opens a connection to an address.";
    CommandPing Attack Command "command.ping" "Pings an address a given number of times.";
    CommandSplit Attack Command "command.split" "A word cut up with quotes, `$@` or backslashes.";
    CommandVariable Attack Command "command.variable" "Spaces or letters taken from variables: `${IFS}`, `${HOME:0:1}`.";
    CommandAssign Attack Command "command.assign" "An assignment, then the variable as a command.";
    CommandHereString Attack Command "command.here_string" "`<<<`.";
    CommandFunction Attack Command "command.function" "`() { … }`, as in shellshock and fork bombs.";
    CommandSsi Attack Command "command.ssi" "A directive of a server-side include.";
    CommandCodeCall Attack Command "command.code_call" "A call that runs code, with its argument.";
    CommandPhp Attack Command "command.php" "Opens PHP code.";
    CommandWindowsFor Attack Command "command.windows_for" "`for %x in (…)`, `if not …==`.";
    CommandWindows Attack Command "command.windows" "A Windows command with its switches.";
    CommandGlob Attack Command "command.glob" "A path with wildcards in its letters: `/b?n/c?t`.";
    CommandDevice Attack Command "command.device" "`/dev/tcp` and the like.";
    CommandProgramPath Attack Command "command.program_path" "A program by its path: `/bin/sh`, `/usr/bin/id`.";
    CommandRedirect Attack Command "command.redirect" "Writes output to a file or a descriptor.";
    CommandMail Attack Command "command.mail" "A command of a mail protocol on a line of its own.";
    CommandTemplate Attack Command "command.template" "An expression of a template engine that calls code.";
    CommandPrompt Attack Command "command.prompt" "A shell prompt.";
    CommandBackground Attack Command "command.background" "The text ends in a separator.";
    PathStep Attack PathTraversal "path.step" "One step up.";
    PathSteps Attack PathTraversal "path.steps" "Three steps up or more in a row.";
    PathManySteps Attack PathTraversal "path.many_steps" "Four steps up or more in a row.";
    PathSpelt Attack PathTraversal "path.spelt" "A step up that was spelt in escapes.";
    PathOdd Attack PathTraversal "path.odd" "A step up in a form only filters need: `....//`, `..\\/`, `.%00./`.";
    PathWhole Attack PathTraversal "path.whole" "The text is one path that goes up, far or in a form of attacks.";
    PathSensitive Attack PathTraversal "path.sensitive" "A file that holds secrets or tells about the server, and that attackers ask for.";
    PathSystem Attack PathTraversal "path.system" "A file or folder of a system that people work with, too.";
    PathAbsolute Attack PathTraversal "path.absolute" "The text is one absolute path to such a file.";
    PathHex Attack PathTraversal "path.hex" "Dots and slashes spelt in hexadecimal.";
    PathRepeat Attack PathTraversal "path.repeat" "A path that repeats `./`, a dot or a letter to overflow.";
    PathWrapper Attack PathTraversal "path.wrapper" "A stream wrapper: `php://`, `expect://`, `file://`.";
    PathPlaceholder Attack PathTraversal "path.placeholder" "A placeholder of a list of attacks.";
    ScriptTag Attack Script "script.tag" "A script element.";
    ScriptHandler Attack Script "script.handler" "An event handler in a tag.";
    ScriptHandlerBreak Attack Script "script.handler_break" "An event handler behind a quote that nothing opened.";
    ScriptUrl Attack Script "script.url" "A URL whose scheme runs script, or data with markup.";
    ScriptLeadingUrl Attack Script "script.leading_url" "The text begins with such a URL.";
    ScriptCall Attack Script "script.call" "A call such as `alert(`.";
    ScriptObject Attack Script "script.object" "An object of the browser that attacks read.";
    ScriptRiskyTag Attack Script "script.risky_tag" "A tag that can run script or load something.";
    ScriptOddTag Attack Script "script.odd_tag" "A tag in a form only filters need: `<img/src`, `<scr<script`.";
    ScriptLeadingTag Attack Script "script.leading_tag" "The text begins with a tag.";
    ScriptBreak Attack Script "script.break" "Closes what it stands in, then opens a tag.";
    ScriptQuoteCall Attack Script "script.quote_call" "A quote that nothing opened, then a call.";
    ScriptStyle Attack Script "script.style" "Style that runs script or loads something.";
    ScriptAttribute Attack Script "script.attribute" "An attribute that loads or runs something.";
    ScriptOpenTag Attack Script "script.open_tag" "A tag that does not end.";
    ScriptMarkup Attack Script "script.markup" "The text is markup and nothing else.";
    ScriptEncoded Attack Script "script.encoded" "Code spelt in character codes or in brackets only.";
    ScriptTemplate Attack Script "script.template" "An expression of a template in double braces.";
    ScriptProof Attack Script "script.proof" "The word that lists of attacks use as proof.";
    LdapBreak Attack Ldap "ldap.break" "Closes a filter and opens the next: `)(`.";
    LdapStar Attack Ldap "ldap.star" "A wildcard that closes a filter: `*)`.";
    LdapAttribute Attack Ldap "ldap.attribute" "An attribute in a filter: `(uid=`.";
    LdapOperator Attack Ldap "ldap.operator" "An operator of a filter: `(|(`, `(&(`, `(!(`.";
    LdapOpen Attack Ldap "ldap.open" "A filter whose brackets do not match.";
    LdapBare Attack Ldap "ldap.bare" "The text is a filter or the end of one.";
    XxeDoctype Attack Xxe "xxe.doctype" "A document type with declarations inside.";
    XxeEntity Attack Xxe "xxe.entity" "An entity declaration.";
    XxeExternal Attack Xxe "xxe.external" "An entity from outside.";
    XxeParameter Attack Xxe "xxe.parameter" "A parameter entity.";
    XxeReference Attack Xxe "xxe.reference" "A reference to an entity that XML does not define.";
    XxeInclude Attack Xxe "xxe.include" "XInclude, a schema location or a style sheet from outside.";
    XxeElement Attack Xxe "xxe.element" "A declaration of an element or attribute.";
    XxeLeading Attack Xxe "xxe.leading" "The text begins with an XML declaration.";
    ShapeQuoteOdd Attack Shape "shape.quote_odd" "A kind of quote that does not come in pairs.";
    ShapeBracketOdd Attack Shape "shape.bracket_odd" "A bracket closes that nothing opened.";
    ShapeStartsMid Attack Shape "shape.starts_mid" "The text begins in the middle of something: with a quote, `)`, `;`.";
    ShapeNoSpaces Attack Shape "shape.no_spaces" "Not one space, and more than a word.";
    ShapeNoPlain Attack Shape "shape.no_plain" "Not one plain word.";
    ShapeLines Talk Shape "shape.lines" "Three lines or more with something on each.";
    ShapePlain2 Talk Shape "shape.plain_2" "Two plain words or more.";
    ShapePlain4 Talk Shape "shape.plain_4" "Four plain words or more.";
    ShapePlain8 Talk Shape "shape.plain_8" "Eight plain words or more.";
    ShapePlain16 Talk Shape "shape.plain_16" "Sixteen plain words or more.";
    ShapePlain40 Talk Shape "shape.plain_40" "Forty plain words or more.";
    ShapeRun3 Talk Shape "shape.run_3" "Three plain words in a row.";
    ShapeRun5 Talk Shape "shape.run_5" "Five plain words in a row.";
    ShapeRun8 Talk Shape "shape.run_8" "Eight plain words in a row.";
    ShapeStop1 Talk Shape "shape.stop_1" "A function word.";
    ShapeStop3 Talk Shape "shape.stop_3" "Three function words or more.";
    ShapeStop8 Talk Shape "shape.stop_8" "Eight function words or more.";
    ShapeShare1 Talk Shape "shape.share_1" "A tenth of the tokens are plain words.";
    ShapeShare3 Talk Shape "shape.share_3" "Three tenths of the tokens are plain words.";
    ShapeShare5 Talk Shape "shape.share_5" "Half of the tokens are plain words.";
    ShapeForeign Talk Shape "shape.foreign" "Letters of other scripts or with accents.";
    ShapeForeignMany Talk Shape "shape.foreign_many" "Many of them.";
    ShapeTalks Talk Shape "shape.talks" "One of the first words addresses the reader.";
    ShapeAsks Talk Shape "shape.asks" "A question mark ends a word.";
    ShapeQuotes Talk Shape "shape.quotes" "Code is quoted and prose stands around it.";
    ShapeWordsOnly Talk Shape "shape.words_only" "Words and little else.";
}

/// How many features there are.
pub const FEATURES: usize = Feature::ALL.len();

impl Feature {
    /// The number of the feature.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether it counts in a field that nobody talks in: how the text reads does not.
    pub const fn counts_strictly(self) -> bool {
        self.category().is_some()
    }

    /// The feature with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|feature| feature.name() == name)
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What was found in one text: which features, and where first.
#[derive(Debug, Clone)]
pub struct Found {
    first: [Option<u32>; FEATURES],
    /// What says nothing in this text.
    ordinary: [bool; FEATURES],
    /// When to stop looking; `None` to look at all of the text for all features.
    goal: Option<Goal>,
}

/// The log odds from which on nothing can change the verdict.
#[derive(Debug, Clone)]
struct Goal {
    /// What each feature adds. Not negative for any that is looked for last.
    weights: [f32; FEATURES],
    /// What is still missing.
    missing: f32,
}

impl Default for Found {
    fn default() -> Self {
        Self {
            first: [None; FEATURES],
            ordinary: [false; FEATURES],
            goal: None,
        }
    }
}

impl Found {
    /// Finds features until they add up to `log_odds` by these weights.
    pub(crate) fn up_to(log_odds: f32, weights: [f32; FEATURES]) -> Self {
        // Sums in another order differ in their last digits, which must not decide.
        const SLACK: f32 = 0.01;
        Self {
            first: [None; FEATURES],
            ordinary: [false; FEATURES],
            goal: Some(Goal {
                weights,
                missing: log_odds + SLACK,
            }),
        }
    }

    /// Passes over these features from now on.
    pub(crate) fn pass_over(&mut self, features: &[Feature]) {
        for feature in features {
            if let Some(ordinary) = self.ordinary.get_mut(feature.index()) {
                *ordinary = true;
            }
        }
    }

    /// True when what was found suffices. Only weights that are not negative may follow.
    #[inline]
    pub(crate) fn is_enough(&self) -> bool {
        self.goal.as_ref().is_some_and(|goal| goal.missing <= 0.0)
    }

    /// True when the feature was found.
    pub fn has(&self, feature: Feature) -> bool {
        self.position(feature).is_some()
    }

    /// Where it was found first, as a byte offset in the decoded text.
    pub fn position(&self, feature: Feature) -> Option<u32> {
        self.first.get(feature.index()).copied().flatten()
    }

    /// All features found.
    pub fn features(&self) -> impl Iterator<Item = Feature> {
        Feature::ALL
            .iter()
            .copied()
            .filter(|feature| self.has(*feature))
    }

    #[inline]
    pub(crate) fn add(&mut self, feature: Feature, at: u32) {
        let Some(first) = self.first.get_mut(feature.index()) else {
            return;
        };
        if let Some(first) = first {
            *first = at.min(*first);
            return;
        }
        if self.ordinary.get(feature.index()).copied().unwrap_or(false) {
            return;
        }
        *first = Some(at);
        if let Some(goal) = &mut self.goal {
            goal.missing -= goal.weights.get(feature.index()).copied().unwrap_or(0.0);
        }
    }

    #[inline]
    pub(crate) fn add_if(&mut self, holds: bool, feature: Feature, at: u32) {
        if holds {
            self.add(feature, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_begin_with_their_category() {
        for feature in Feature::ALL {
            assert_eq!(Feature::named(feature.name()), Some(*feature));
            let prefix = feature
                .category()
                .map_or("shape", |category| match category {
                    Category::PathTraversal => "path",
                    other => other.name(),
                });
            assert!(
                feature.name().starts_with(&format!("{prefix}.")),
                "{feature}"
            );
        }
    }
}
