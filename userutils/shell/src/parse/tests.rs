use proptest::prelude::*;

use super::*;
use crate::ast::*;

fn no_aliases(_: &str) -> Option<String> {
    None
}

fn parse_all(text: &str) -> Result<Vec<List>, SyntaxError> {
    let mut parser = Parser::new(text, &no_aliases);
    std::iter::from_fn(|| parser.next_command().transpose()).collect()
}

/// The only command of a text.
fn only(text: &str) -> Command {
    let mut lists = parse_all(text).unwrap();
    assert_eq!(lists.len(), 1, "{lists:?}");
    let mut items = lists.remove(0).items;
    assert_eq!(items.len(), 1, "{items:?}");
    items.remove(0).chain.first.commands.remove(0)
}

fn simple(text: &str) -> Simple {
    match only(text) {
        Command::Simple(simple) => simple,
        other => panic!("not simple: {other:?}"),
    }
}

fn incomplete(text: &str) -> bool {
    matches!(parse_all(text), Err(SyntaxError::Incomplete(_)))
}

fn wrong(text: &str) -> String {
    match parse_all(text) {
        Err(SyntaxError::Wrong { line, what }) => format!("{line}: {what}"),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn words_keep_their_quoting() {
    let words = simple(r#"echo a'b c'"d $x"\e # rest"#).words;
    assert_eq!(words[0], Word::literal("echo"));
    let x = Part::Parameter(Parameter { name: "x".into(), operation: Operation::Value });
    let expected = vec![
        Part::Literal("a".into()),
        Part::Quoted("b c".into()),
        Part::Double(vec![Part::Literal("d ".into()), x]),
        Part::Quoted("e".into()),
    ];
    assert_eq!(words[1], Word(expected));
    assert_eq!(words.len(), 2);
}

#[test]
fn scheme_paths_and_hashes_inside_words_are_plain() {
    let words = simple("cat sys:uname /scheme/rand a#b $").words;
    let plain: Vec<_> = words.iter().map(|word| word.plain().unwrap()).collect();
    assert_eq!(plain, ["cat", "sys:uname", "/scheme/rand", "a#b", "$"]);
}

#[test]
fn assignments_stand_before_the_command() {
    let command = simple("A=1 B= env C=3");
    let names: Vec<_> = command.assignments.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["A", "B"]);
    assert_eq!(command.assignments[1].1, Word::default());
    assert_eq!(command.words.len(), 2);
    assert_eq!(simple("1=2").words.len(), 1);
}

#[test]
fn redirections_may_stand_anywhere() {
    let command = simple("> ram:x echo 2>&1 hi >>b <c &>d 3<>e <&4 5<&6");
    assert_eq!(command.words.len(), 2);
    let file = Word::literal;
    let expected = [
        (None, RedirectKind::Write(file("ram:x"))),
        (Some(2), RedirectKind::Duplicate(file("1"))),
        (None, RedirectKind::Append(file("b"))),
        (None, RedirectKind::Read(file("c"))),
        (None, RedirectKind::Both { append: false, file: file("d") }),
        (Some(3), RedirectKind::ReadWrite(file("e"))),
        (Some(0), RedirectKind::Duplicate(file("4"))),
        (Some(5), RedirectKind::Duplicate(file("6"))),
    ];
    let expected: Vec<_> = expected.map(|(fd, kind)| Redirect { fd, kind }).into();
    assert_eq!(command.redirects, expected);
    assert_eq!(simple("echo 2 >x").words.len(), 2);
}

#[test]
fn lists_know_links_and_backgrounds() {
    let list = parse_all("a && ! b || c | d & e;f").unwrap().remove(0);
    assert_eq!(list.items.len(), 3);
    let chain = &list.items[0].chain;
    assert!(list.items[0].background && !list.items[1].background);
    assert_eq!(list.items[0].text, "a && ! b || c | d");
    assert_eq!((chain.rest[0].0, chain.rest[1].0), (Link::And, Link::Or));
    assert!(chain.rest[0].1.negated);
    assert_eq!(chain.rest[1].1.commands.len(), 2);
}

#[test]
fn constructs_nest_and_span_lines() {
    let text = "if a; then\n for x in 1 2; do\n  echo $x\n done\nelif b\nthen c; else d; fi >out";
    let Command::Compound(Compound::If(branches, Some(_)), redirects) = only(text) else {
        panic!("no if");
    };
    assert_eq!((branches.len(), redirects.len()), (2, 1));
    let text = "case $x in (a|b*) echo 1;; *) echo 2\nesac";
    let Command::Compound(Compound::Case { arms, .. }, _) = only(text) else { panic!("no case") };
    assert_eq!((arms.len(), arms[0].0.len()), (2, 2));
    assert!(matches!(only("while x; do y; done"), Command::Compound(..)));
    assert!(
        matches!(only("{ a; \\\n b; }"), Command::Compound(Compound::Group(list), _) if list.items.len() == 2)
    );
    assert!(matches!(only("f() { echo $1; }"), Command::Function(..)));
    assert!(matches!(only("(a; b) | c"), Command::Compound(Compound::Subshell(_), _)));
}

#[test]
fn keywords_are_words_elsewhere() {
    assert_eq!(simple("echo if then { } done !").words.len(), 7);
    assert_eq!(simple("echo \\if").words.len(), 2);
}

#[test]
fn substitutions_hold_whole_scripts() {
    let command = simple(r#"echo "$(case x in x) echo ")";; esac)" `echo \`a\``"#);
    assert_eq!(command.words.len(), 3);
    assert!(matches!(simple("echo $((1 + (2)))").words[1].0[0], Part::Arithmetic(_)));
    assert!(matches!(simple("echo $( (a); b )").words[1].0[0], Part::Command(_)));
    assert!(matches!(simple("echo $((a); b)").words[1].0[0], Part::Command(_)));
}

#[test]
fn parameters_have_operations() {
    let operation = |text: &str| match simple(text).words.remove(0).0.remove(0) {
        Part::Parameter(parameter) => (parameter.name, parameter.operation),
        other => panic!("{other:?}"),
    };
    let word = Word::literal;
    assert_eq!(operation("${x:-y z}"), ("x".into(), Operation::Default(true, word("y z"))));
    assert_eq!(operation("${x+y}"), ("x".into(), Operation::Alternative(false, word("y"))));
    assert_eq!(operation("${#x}"), ("x".into(), Operation::Length));
    assert_eq!(operation("${#}"), ("#".into(), Operation::Value));
    assert_eq!(operation("${12}"), ("12".into(), Operation::Value));
    let trim = Operation::Trim { suffix: true, longest: true, pattern: word(".*") };
    assert_eq!(operation("${x%%.*}"), ("x".into(), trim));
}

#[test]
fn here_documents_follow_their_line() {
    let lists = parse_all("cat <<A - <<'B' ; echo c\n$x\nA\n$y\nB\necho d\n").unwrap();
    assert_eq!(lists.len(), 2);
    let Command::Simple(cat) = &lists[0].items[0].chain.first.commands[0] else { panic!() };
    let body = |at: usize| match &cat.redirects[at].kind {
        RedirectKind::HereDocument(body) => body.get().unwrap().0[0].clone(),
        other => panic!("{other:?}"),
    };
    assert!(matches!(body(0), Part::Double(parts) if parts.len() == 2));
    assert_eq!(body(1), Part::Quoted("$y\n".into()));
    assert!(incomplete("cat <<A\nno end"));
    assert!(incomplete("cat <<A"));
}

#[test]
fn aliases_stand_for_text() {
    let aliases = |name: &str| match name {
        "ls" => Some("ls -F".to_owned()),
        "ll" => Some("ls -l".to_owned()),
        "both" => Some("a; b".to_owned()),
        _ => None,
    };
    let words = |text: &str| {
        let list = Parser::new(text, &aliases).next_command().unwrap().unwrap();
        let chain = |item: &Item| match &item.chain.first.commands[0] {
            Command::Simple(simple) => {
                simple.words.iter().map(|word| word.plain().unwrap_or("").to_owned()).collect()
            }
            _ => Vec::new(),
        };
        list.items.iter().map(chain).collect::<Vec<Vec<String>>>()
    };
    assert_eq!(words("ll x"), [["ls", "-F", "-l", "x"]]);
    assert_eq!(words("echo ll"), [["echo", "ll"]]);
    assert_eq!(words("\\ll"), [[""]]);
    assert_eq!(words("both | c")[1], ["b"]);
}

#[test]
fn what_is_open_waits_for_more() {
    for text in [
        "echo 'a",
        "echo \"a",
        "echo $(a",
        "echo ${a",
        "a |",
        "a &&",
        "if a",
        "if a; then b",
        "for x in a",
        "while a; do",
        "case a in",
        "{ a;",
        "( a",
        "f() ",
        "echo \\",
        "echo $((1",
        "`a",
    ] {
        assert!(incomplete(text), "{text}: {:?}", parse_all(text));
    }
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    assert_eq!(wrong("a\n)"), "2: unexpected `)`");
    assert_eq!(wrong("a ;; b"), "1: unexpected `;;`");
    assert_eq!(wrong("then"), "1: unexpected `then`");
    assert_eq!(wrong("| a"), "1: unexpected `|`");
    assert_eq!(wrong("echo ${}"), "1: a name is missing after `${`");
    assert_eq!(wrong("for 1 in a; do b; done"), "1: `1` is no name for a variable");
    assert!(wrong("if a; then b; done").contains("unexpected `done`"));
    assert!(wrong("{ a; ) }").contains("unexpected `)`"));
    assert!(wrong(&"(".repeat(200)).contains("too deeply"));
    assert!(wrong("(a) b").contains("unexpected `b`"));
}

#[test]
fn commands_before_an_error_are_read() {
    let mut parser = Parser::new("a\nb )", &no_aliases);
    assert!(parser.next_command().unwrap().is_some());
    assert!(parser.next_command().is_err());
}

proptest! {
    #[test]
    fn no_text_breaks_the_parser(text in "[a-c '\"$`(){}|&;<>\\\\\n#=!*?-]{0,40}") {
        let _ = parse_all(&text);
    }

    #[test]
    fn single_quotes_protect_everything(text in "[^']{0,30}") {
        let command = simple(&format!("echo '{text}'"));
        prop_assert_eq!(&command.words[1], &Word(vec![Part::Quoted(text)]));
    }
}
