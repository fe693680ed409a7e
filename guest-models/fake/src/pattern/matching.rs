//! Holds texts against a pattern, without calling itself for each character: the stack of this
//! guest is small, and the text can be long.

use alloc::vec::Vec;

use super::{Class, Node, Pattern};

/// How many steps a search may take. What needs more is taken not to match: no text made here
/// comes near it.
const STEPS_MAX: u32 = 200_000;
/// How large the program of a pattern may get; counts are written out.
const PROGRAM_MAX: usize = 20_000;

/// A step of the program. Places are those of other steps.
#[derive(Clone, Debug)]
enum Step<'a> {
    Character(char),
    Any,
    Class(&'a Class),
    /// Goes on at the first place, and where that fails at the second.
    Split(usize, usize),
    Jump(usize),
    /// Remembers the place in the text: where a group begins or ends, or a round of a count.
    Save(usize),
    /// Goes on where the round has taken something: one of nothing would go on for ever.
    Moved(usize),
    Back(usize),
    Start,
    End,
    Edge(bool),
    /// The program inside is up to the place given, and is followed by that.
    Look {
        ahead: bool,
        wanted: bool,
        after: usize,
    },
    Found,
}

impl Pattern {
    /// Whether a match is anywhere in the text.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let mut program = Vec::new();
        let mut places = self.groups * 2;
        if compile(&self.node, &mut program, &mut places).is_none() {
            return false;
        }
        program.push(Step::Found);
        let text: Vec<char> = text.chars().collect();
        let mut machine = Machine {
            program: &program,
            text: &text,
            folds: self.folds,
            places,
            steps_left: STEPS_MAX,
        };
        (0..=text.len()).any(|start| machine.run(0, start).is_some())
    }
}

/// Appends the program of a node. `places` is how many places of the text it remembers.
fn compile<'a>(node: &'a Node, program: &mut Vec<Step<'a>>, places: &mut usize) -> Option<()> {
    if program.len() > PROGRAM_MAX {
        return None;
    }
    match node {
        Node::Empty => {}
        Node::Character(character) => program.push(Step::Character(*character)),
        Node::Any => program.push(Step::Any),
        Node::Class(class) => program.push(Step::Class(class)),
        Node::Back(group) => program.push(Step::Back(*group)),
        Node::Start => program.push(Step::Start),
        Node::End => program.push(Step::End),
        Node::Edge { wanted } => program.push(Step::Edge(*wanted)),
        Node::Group(number, inner) => {
            program.push(Step::Save(number * 2));
            compile(inner, program, places)?;
            program.push(Step::Save(number * 2 + 1));
        }
        Node::Sequence(nodes) => {
            for node in nodes {
                compile(node, program, places)?;
            }
        }
        Node::Alternatives(branches) => {
            let mut jumps = Vec::new();
            for (index, branch) in branches.iter().enumerate() {
                let split = program.len();
                let is_last = index + 1 == branches.len();
                if !is_last {
                    program.push(Step::Found);
                }
                compile(branch, program, places)?;
                if !is_last {
                    jumps.push(program.len());
                    program.push(Step::Found);
                    let after = program.len();
                    put(program, split, Step::Split(split + 1, after));
                }
            }
            let end = program.len();
            for jump in jumps {
                put(program, jump, Step::Jump(end));
            }
        }
        Node::Repeat {
            node,
            least,
            most,
            lazy,
        } => {
            for _ in 0..*least {
                compile(node, program, places)?;
            }
            let order = |inside: usize, after: usize| {
                if *lazy {
                    Step::Split(after, inside)
                } else {
                    Step::Split(inside, after)
                }
            };
            match most {
                None => {
                    let split = program.len();
                    program.push(Step::Found);
                    let place = *places;
                    *places += 1;
                    program.push(Step::Save(place));
                    compile(node, program, places)?;
                    program.push(Step::Moved(place));
                    program.push(Step::Jump(split));
                    let after = program.len();
                    put(program, split, order(split + 1, after));
                }
                Some(most) => {
                    let mut splits = Vec::new();
                    for _ in *least..*most {
                        splits.push(program.len());
                        program.push(Step::Found);
                        compile(node, program, places)?;
                    }
                    let end = program.len();
                    for split in splits {
                        put(program, split, order(split + 1, end));
                    }
                }
            }
        }
        Node::Look {
            node,
            ahead,
            wanted,
        } => {
            let look = program.len();
            program.push(Step::Found);
            compile(node, program, places)?;
            program.push(Step::Found);
            let (ahead, wanted, after) = (*ahead, *wanted, program.len());
            put(
                program,
                look,
                Step::Look {
                    ahead,
                    wanted,
                    after,
                },
            );
        }
    }
    (program.len() <= PROGRAM_MAX).then_some(())
}

fn put<'a>(program: &mut [Step<'a>], place: usize, step: Step<'a>) {
    if let Some(slot) = program.get_mut(place) {
        *slot = step;
    }
}

struct Machine<'a> {
    program: &'a [Step<'a>],
    text: &'a [char],
    folds: bool,
    places: usize,
    steps_left: u32,
}

impl Machine<'_> {
    /// Where a match from there ends; none where there is none.
    fn run(&mut self, step: usize, at: usize) -> Option<usize> {
        let nothing: Vec<Option<usize>> = alloc::vec![None; self.places];
        let mut waiting = Vec::from([(step, at, nothing)]);
        while let Some((mut step, mut at, mut saved)) = waiting.pop() {
            loop {
                self.steps_left = self.steps_left.checked_sub(1)?;
                let here = self.text.get(at).copied();
                let goes_on = match self.program.get(step)? {
                    Step::Found => return Some(at),
                    Step::Character(wanted) => here.is_some_and(|here| self.same(here, *wanted)),
                    Step::Any => here.is_some_and(|here| here != '\n'),
                    Step::Class(class) => here.is_some_and(|here| class.has(here, self.folds)),
                    Step::Split(first, second) => {
                        waiting.push((*second, at, saved.clone()));
                        step = *first;
                        continue;
                    }
                    Step::Jump(to) => {
                        step = *to;
                        continue;
                    }
                    Step::Save(place) => {
                        if let Some(slot) = saved.get_mut(*place) {
                            *slot = Some(at);
                        }
                        step += 1;
                        continue;
                    }
                    Step::Moved(place) => {
                        if saved.get(*place).copied().flatten() == Some(at) {
                            break;
                        }
                        step += 1;
                        continue;
                    }
                    Step::Back(group) => {
                        let place = |place: usize| saved.get(place).copied().flatten();
                        let taken = place(group * 2)
                            .zip(place(group * 2 + 1))
                            .and_then(|(from, to)| self.text.get(from..to))
                            .unwrap_or_default();
                        let follows = self.text.get(at..at + taken.len()) == Some(taken);
                        if !follows {
                            break;
                        }
                        at += taken.len();
                        step += 1;
                        continue;
                    }
                    Step::Start | Step::End | Step::Edge(_) => {
                        if !self.is_at(step, at) {
                            break;
                        }
                        step += 1;
                        continue;
                    }
                    Step::Look {
                        ahead,
                        wanted,
                        after,
                    } => {
                        let (ahead, wanted, after) = (*ahead, *wanted, *after);
                        let found = if ahead {
                            self.run(step + 1, at).is_some()
                        } else {
                            (0..=at).any(|from| self.run(step + 1, from) == Some(at))
                        };
                        if found != wanted {
                            break;
                        }
                        step = after;
                        continue;
                    }
                };
                if !goes_on {
                    break;
                }
                at += 1;
                step += 1;
            }
        }
        None
    }

    fn same(&self, one: char, other: char) -> bool {
        one == other || self.folds && one.eq_ignore_ascii_case(&other)
    }

    /// Whether a place is what a step asks for.
    fn is_at(&self, step: usize, at: usize) -> bool {
        let is_word = |at: Option<usize>| {
            at.and_then(|at| self.text.get(at))
                .is_some_and(|&character| character.is_ascii_alphanumeric() || character == '_')
        };
        match self.program.get(step) {
            Some(Step::Start) => at == 0,
            Some(Step::End) => at == self.text.len(),
            Some(Step::Edge(wanted)) => {
                (is_word(at.checked_sub(1)) != is_word(Some(at))) == *wanted
            }
            _ => false,
        }
    }
}
