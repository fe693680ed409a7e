"""A row of the tables of mistakes, which tests/authors/mistakes tries."""


class Mistake:
    """What is wrong, where; the changes of files (a name, a text, another in its place; without a
    text the file is written), the commands, and what is told. There, `{line}` is the number of the
    line `at`: of the one in a file that has a text. A dear one compiles an interpreter; one on a base
    is a project that is pushed as its source, to a server that has the base."""

    def __init__(
        self, what, language, kind, changes, commands, told, dear=False, at=None, on_base=False
    ):
        self.what = what
        self.language = language
        self.kind = kind
        self.changes = changes
        self.commands = commands
        self.told = told
        self.dear = dear
        self.at = at
        self.on_base = on_base
        # Of the project's folder, and of the model.
        self.name = f"{language}-{kind}" + ("-on-base" if on_base else "")
