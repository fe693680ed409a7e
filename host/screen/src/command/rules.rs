//! The rules that begin at a sign, and what they need near it.

use crate::features::Feature;
use crate::lexicon::{self, Classes};
use crate::look_ahead::{Rule, Traits};

/// Any command.
const COMMAND: Traits = Traits::of(lexicon::COMMAND);

/// The rules that begin at a sign.
pub(super) const RULES: &[Rule] = &[
    Rule::at(
        b";|&",
        &[
            Feature::CommandSeparated,
            Feature::CommandSeparatedWord,
            Feature::CommandLeading,
            Feature::CommandShort,
            Feature::CommandPipeShell,
        ],
    )
    .ahead(COMMAND),
    Rule::at(b"`", &[Feature::CommandSubstitution]).ahead(COMMAND),
    Rule::at(b"`'\"\\", &[Feature::CommandSplit])
        .before(Traits::WORD)
        .next(Traits::WORD),
    Rule::at(b"\\", &[Feature::CommandNewline]).next(Traits::WORD),
    Rule::at(
        b"$",
        &[
            Feature::CommandSplit,
            Feature::CommandNested,
            Feature::CommandSubstitution,
            Feature::CommandVariable,
            Feature::CommandTemplate,
            Feature::CommandAssign,
            Feature::CommandPhp,
            Feature::CommandShellCode,
        ],
    )
    .next(Traits::WORD.or(Traits::signs(b"({@*'\""))),
    Rule::at(b"=", &[Feature::CommandAssign]).before(Traits::WORD),
    Rule::at(b"{", &[Feature::CommandSubstitution]).ahead(Traits::signs(b",")),
    Rule::at(b"{", &[Feature::CommandTemplate])
        .ahead(Traits::WORD.or(Traits::NUMBER).or(Traits::signs(b"'\"`"))),
    Rule::at(b"<", &[Feature::CommandHereString]),
    Rule::at(
        b"<",
        &[
            Feature::CommandPhp,
            Feature::CommandTemplate,
            Feature::CommandSsi,
        ],
    )
    .next(Traits::signs(b"?%!")),
    Rule::at(b">", &[Feature::CommandRedirect]).next(Traits::signs(b"&/")),
    Rule::at(b">", &[Feature::CommandRedirect]).ahead(Traits::signs(b":")),
    Rule::at(b"(", &[Feature::CommandFunction])
        .next(Traits::signs(b")"))
        .ahead(Traits::signs(b"{")),
    Rule::at(b"%", &[Feature::CommandWindowsFor]).before(Traits::WORD),
    Rule::at(b"%", &[Feature::CommandWindowsFor]).ahead(Traits::signs(b"(")),
    Rule::at(b"%", &[Feature::CommandVariable])
        .next(Traits::WORD)
        .ahead(Traits::signs(b"%")),
    Rule::at(b"/", &[Feature::CommandDevice, Feature::CommandProgramPath])
        .next(Traits::of(Classes::DIRECTORY)),
    Rule::at(b"/", &[Feature::CommandGlob]).ahead(Traits::signs(b"?[")),
];
