//! What the parser makes of a script, before anything is expanded.

use std::cell::OnceCell;
use std::rc::Rc;

/// Commands one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// In order.
    pub items: Vec<Item>,
}

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What to run.
    pub chain: Chain,
    /// Ended by `&`.
    pub background: bool,
    /// As it was typed, for `jobs`.
    pub text: String,
}

/// Pipelines joined by `&&` and `||`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Always runs.
    pub first: Pipeline,
    /// Each runs or not, by the status so far.
    pub rest: Vec<(Link, Pipeline)>,
}

/// When the next pipeline of a chain runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// `&&`: after status 0.
    And,
    /// `||`: after any other.
    Or,
}

/// Commands joined by `|`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// `!` stands before it.
    pub negated: bool,
    /// At least one.
    pub commands: Vec<Command>,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Words.
    Simple(Simple),
    /// A construct with its redirections.
    Compound(Compound, Vec<Redirect>),
    /// `name() body`.
    Function(String, Rc<Command>),
}

/// Assignments, words and redirections; any of them may be missing, not all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Simple {
    /// `name=word` before the first word.
    pub assignments: Vec<(String, Word)>,
    /// The command and its arguments.
    pub words: Vec<Word>,
    /// In the order they apply.
    pub redirects: Vec<Redirect>,
}

/// A construct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compound {
    /// `{ list; }`.
    Group(List),
    /// `( list )`.
    Subshell(List),
    /// `if`: conditions with their bodies, and the `else`.
    If(Vec<(List, List)>, Option<List>),
    /// `while` and `until`.
    Loop {
        /// `until` instead of `while`.
        until: bool,
        /// Decides whether to go on.
        condition: List,
        /// What is repeated.
        body: List,
    },
    /// `for name in words`; without `in`, over the positional parameters.
    For {
        /// The variable.
        name: String,
        /// What it takes, `None` for `"$@"`.
        words: Option<Vec<Word>>,
        /// What is repeated.
        body: List,
    },
    /// `case`.
    Case {
        /// What is compared.
        subject: Word,
        /// Patterns and what to run for the first that matches.
        arms: Vec<(Vec<Word>, List)>,
    },
}

/// One redirection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The descriptor it changes; `None` for the usual one of its kind.
    pub fd: Option<i32>,
    /// What it does.
    pub kind: RedirectKind,
}

/// What a redirection does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedirectKind {
    /// `< file`.
    Read(Word),
    /// `> file` (and `>|`).
    Write(Word),
    /// `>> file`.
    Append(Word),
    /// `<> file`.
    ReadWrite(Word),
    /// `>& n`, `<& n`, `>& -`.
    Duplicate(Word),
    /// `&> file`, `&>> file`: descriptors 1 and 2.
    Both {
        /// `&>>`.
        append: bool,
        /// The file.
        file: Word,
    },
    /// `<< end` and `<<- end`: filled in when the lines after the command have been read.
    HereDocument(Rc<OnceCell<Word>>),
    /// `<<< word`.
    HereString(Word),
}

/// A word as typed, in parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word(pub Vec<Part>);

/// A part of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Plain characters. Inside [`Part::Double`], quoted ones.
    Literal(String),
    /// `'text'` and `\c`.
    Quoted(String),
    /// `"parts"`.
    Double(Vec<Part>),
    /// `$name`, `${name...}`.
    Parameter(Parameter),
    /// `$(list)` and backquotes.
    Command(List),
    /// `$((expression))`, to be expanded and then computed.
    Arithmetic(Word),
}

/// A parameter expansion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// A variable's name, a number, or one of `@ * # ? $ ! - 0`.
    pub name: String,
    /// What is done with the value.
    pub operation: Operation,
}

/// What `${...}` does with a value. The flag says whether `:` makes empty count as unset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `${x}`: nothing.
    Value,
    /// `${#x}`: its length in characters.
    Length,
    /// `${x-word}`: the word if unset.
    Default(bool, Word),
    /// `${x=word}`: the same, and assigns it.
    Assign(bool, Word),
    /// `${x?word}`: an error if unset.
    Error(bool, Word),
    /// `${x+word}`: the word if set.
    Alternative(bool, Word),
    /// `${x#pattern}`, `${x##pattern}`, `${x%pattern}`, `${x%%pattern}`.
    Trim {
        /// `%`: from the end.
        suffix: bool,
        /// Doubled: as much as matches.
        longest: bool,
        /// What is cut off.
        pattern: Word,
    },
}

impl Word {
    /// The text, if the word is nothing but plain characters: only such words can be keywords,
    /// names of functions, or aliases.
    pub fn plain(&self) -> Option<&str> {
        match &self.0[..] {
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// A word of plain characters.
    pub fn literal(text: &str) -> Self {
        Word(vec![Part::Literal(text.to_owned())])
    }
}
