//! Scripts run by the real program: what they print, and how they end.

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn sh(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sh"))
        .args(args)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the shell starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    // A script that does not read its input closes it.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("the shell ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a script and compares its output.
#[track_caller]
fn check(script: &str, expected: &str) {
    let output = sh(&["-c", script], "");
    assert_eq!(text(&output.stdout), expected, "{script}\n{}", text(&output.stderr));
}

/// Runs a script and compares its status and what it complains about.
#[track_caller]
fn fails(script: &str, status: i32, complaint: &str) {
    let output = sh(&["-c", script], "");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{script}\n{said}");
    assert!(said.contains(complaint), "{script}: {said}");
}

#[test]
fn programs_run_in_pipelines() {
    check("printf 'b\\na\\n' | sort | tr a-z A-Z", "A\nB\n");
    check("echo one | cat; echo two", "one\ntwo\n");
    check("yes | head -n 2; echo $?", "y\ny\n0\n");
    check("echo x | { read v; echo got $v; }", "got x\n");
    check("seq 3 | while read n; do echo $((n * n)); done", "1\n4\n9\n");
    check("false | true; echo $?; ! true; echo $?", "0\n1\n");
}

#[test]
fn redirections_go_where_they_are_sent() {
    check("echo hi > r1; cat < r1; echo more >> r1; wc -l < r1", "hi\n2\n");
    check("ls /no-such 2>/dev/null; echo $?", "2\n");
    check("{ echo out; echo err >&2; } > r2 2>&1; sort r2", "err\nout\n");
    check("{ echo out; echo err >&2; } &> r3; sort r3", "err\nout\n");
    check("exec 3> r4; echo three >&3; exec 3>&-; cat r4", "three\n");
    check("echo a > r5; while read x; do echo $x $x; done < r5", "a a\n");
    check(
        "cat <<E\n$((1+1)) ${x:-none}\nE\ncat <<'E'\n$x\nE\ncat <<-E\n\t\tx\n\tE\n",
        "2 none\n$x\nx\n",
    );
    check("cat <<< 'a  b'", "a  b\n");
    check("x=$(seq 20000); cat <<E | wc -c\n$x\nE\n", "108894\n");
    fails("cat < no-such-file", 1, "no-such-file: No such file");
    fails("echo x > /no/such/dir", 1, "/no/such/dir: ");
    check("echo x > /no/such/dir || echo went on", "went on\n");
}

#[test]
fn statuses_are_those_of_the_ecosystem() {
    fails("exit 7", 7, "");
    fails("no-such-program", 127, "no-such-program: command not found");
    fails("/etc/passwd", 126, "/etc/passwd: cannot be executed");
    fails("sh -c 'kill -9 $$'; exit $?", 137, "killed by SIGKILL");
    fails("echo ${x?is missing}; echo never", 1, "x: is missing");
    fails("if", 2, "unexpected end");
    fails("echo a; )", 2, "line 1: unexpected `)`");
    fails("cd /no-such", 1, "cd: /no-such: ");
    fails("set -e; false; echo never", 1, "");
    check("set -e; false || true; if false; then :; fi; ! true; echo on", "on\n");
    check("set -u; (echo $none) 2>/dev/null || echo unset", "unset\n");
}

#[test]
fn lists_and_constructs_decide() {
    check("true && echo and; false || echo or; false && echo never", "and\nor\n");
    check("for x in a 'b c' d; do [ \"$x\" = d ] && break; echo \"$x\"; done", "a\nb c\n");
    check(
        "i=0; until [ $i -ge 3 ]; do i=$((i+1)); [ $i = 2 ] && continue; echo $i; done",
        "1\n3\n",
    );
    check(
        "for a in 1 2; do for b in 1 2; do [ $b = 2 ] && continue 2; echo $a$b; done; done",
        "11\n21\n",
    );
    check("case abc in x|a*) echo yes;; *) echo no;; esac", "yes\n");
    check("if false; then echo 1; elif true; then echo 2; else echo 3; fi", "2\n");
    check("(cd /; x=1; exit 3); echo $? ${x-unset}", "3 unset\n");
    check("{ x=1; }; echo $x", "1\n");
}

#[test]
fn variables_and_functions_have_scopes() {
    check("x=1; x=2 sh -c 'echo $x'; echo $x", "2\n1\n");
    check("x=1; sh -c 'echo [$x]'; export x; sh -c 'echo [$x]'", "[]\n[1]\n");
    check(
        "f() { local x=in; echo $1 $# $x; return 4; }; x=out; f a b; echo $? $x",
        "a 2 in\n4 out\n",
    );
    check("set -- a 'b c'; shift; echo $# \"$1\"; for x; do echo $x; done", "1 b c\nb c\n");
    check("unset PATH; readonly r=1; (r=2) 2>/dev/null; echo $? $r", "1 1\n");
    let output = sh(&["-c", "echo $0 $@", "name", "a", "b"], "");
    assert_eq!(text(&output.stdout), "name a b\n");
    check("f() { f; }; f 2>/dev/null; echo $?", "");
}

#[test]
fn the_shell_expands_words() {
    check("a=1; b=\"$a 2\"; echo \"$b\" '$b' \\$b", "1 2 $b $b\n");
    check("mkdir -p g; cd g; touch x1 x2 y1; echo x* [xy]1 z*", "x1 x2 x1 y1 z*\n");
    check("echo $(echo a; echo b) \"$(printf 'a\\n\\n')\" `echo c`", "a b a c\n");
    check("x=$(exit 3); echo $?", "3\n");
    check(
        "alias hi='echo hello'\nhi there\nunalias hi\nhi 2>/dev/null || echo gone",
        "hello there\ngone\n",
    );
    check("eval 'x=1; echo $x'", "1\n");
}

#[test]
fn background_commands_are_waited_for() {
    check("sleep 0.1 & wait; echo done", "done\n");
    check("(exit 5) & wait $!; echo $?", "5\n");
    check("sleep 100 & kill $!; wait $!; echo $?", "143\n");
    check("sleep 100 & kill %1; wait %1; echo $?", "143\n");
    check("cat & wait; echo no input", "no input\n");
}

#[test]
fn scripts_come_from_files_and_pipes() {
    check("printf 'echo $1 $#\\nexit 3\\n' > s1; sh s1 one two; echo $?", "one 2\n3\n");
    check("printf 'echo in $0 $1\\n' > s2; chmod +x s2; ./s2 x", "in ./s2 x\n");
    check("printf '#!/bin/cat\\nbody\\n' > s3; chmod +x s3; ./s3", "#!/bin/cat\nbody\n");
    check("printf 'v=$1; return 2; never' > s4; . ./s4 arg; echo $? $v", "2 arg\n");
    let output =
        sh(&[], "echo one\nread x\nline\necho $x\nif true\nthen echo two; fi\nexit 5\necho never");
    assert_eq!(
        (text(&output.stdout).as_str(), output.status.code()),
        ("one\nline\ntwo\n", Some(5))
    );
    let output = sh(&["-x", "no-such-script"], "");
    assert_eq!(output.status.code(), Some(127));
    let output = sh(&["-q"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&sh(&["--help"], "").stdout).starts_with("sh - "));
}

#[test]
fn limits_are_shown_and_set() {
    check(
        "ulimit -n 40; ulimit -n; sh -c 'ulimit -n'; ulimit -Hn; ulimit -Sn 30; ulimit -S -n; ulimit -Hn",
        "40\n40\n40\n30\n40\n",
    );
    check("ulimit -c 0; ulimit -c; ulimit -t unlimited; ulimit -t", "0\nunlimited\n");
    check("ulimit -n 40; ulimit -a | grep -e -n | tr -s ' '", "-n open files 40\n");
    check("ulimit -v 4000000; ulimit -v; ulimit -f; ulimit", "4000000\nunlimited\nunlimited\n");
    check("ulimit -a | wc -l", "7\n");
    fails("ulimit -n much", 2, "ulimit: much: is no number, nor `unlimited`; try `help ulimit`");
    fails("ulimit -x", 2, "ulimit: -x: no such limit");
    fails("ulimit -n 4 5", 2, "ulimit: 5: is too much");
    fails("ulimit -Hn 10", 1, "ulimit: open files: Invalid argument");
}

#[test]
fn builtins_say_what_they_know() {
    check("type cd; type -q; echo $?", "cd is done by the shell itself\n1\n");
    check("help cd | head -n 1", "cd - change the working directory; without one, to $HOME\n");
    check("cd /; pwd; cd /usr; cd -; pwd", "/\n/\n/\n");
    check("umask 027; umask", "0027\n");
    check("command -v cat cd no-such; echo $?", "/usr/bin/cat\ncd\n1\n");
    check("test -d / && [ 3 -gt 2 ] && echo yes", "yes\n");
    fails("[ 1 -eq 1", 2, "`]` is missing");
    check("kill -l | head -n 2; kill -l INT 143", " 1 SIGHUP\n 2 SIGINT\n2\nTERM\n");
    check("time sh -c 'exit 3' 2>&1 | grep -c ' s$'; time true 2>/dev/null; echo $?", "3\n0\n");
    check("time -p sleep 0.1 2>&1 | tr 0-9 n", "real n.nn\nuser n.nn\nsys n.nn\n");
    fails("time -p", 2, "a command is missing");
}
