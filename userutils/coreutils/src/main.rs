//! `ls`, `cat`, `cp` and the rest of uutils: one program, many names.
//!
//! The boot archive holds a link per tool; the program looks at the name it was called by, or,
//! called `coreutils`, at its first argument. The work is done by the `uu_*` crates; their English
//! messages are embedded by the build of `uucore`.

use std::ffi::OsString;
use std::io::Write;
use std::process::exit;

/// What a tool is: arguments, its name first, to an exit status.
type Run = fn(Arguments) -> i32;

/// Arguments in the form every tool takes.
type Arguments = std::vec::IntoIter<OsString>;

macro_rules! tools {
    ($($name:literal $tool:path;)*) => {
        /// Sorted by name.
        const TOOLS: &[(&str, Run)] = &[$(($name, |arguments| $tool(arguments)),)*];
    };
}

tools! {
    "[" uu_test::uumain;
    "basename" uu_basename::uumain;
    "cat" uu_cat::uumain;
    "chmod" uu_chmod::uumain;
    "cksum" uu_cksum::uumain;
    "comm" uu_comm::uumain;
    "cp" uu_cp::uumain;
    "cut" uu_cut::uumain;
    "date" uu_date::uumain;
    "dd" uu_dd::uumain;
    "dirname" uu_dirname::uumain;
    "du" uu_du::uumain;
    "echo" uu_echo::uumain;
    "env" uu_env::uumain;
    "false" uu_false::uumain;
    "head" uu_head::uumain;
    "link" uu_link::uumain;
    "ln" uu_ln::uumain;
    "ls" uu_ls::uumain;
    "mkdir" uu_mkdir::uumain;
    "mktemp" uu_mktemp::uumain;
    "mv" uu_mv::uumain;
    "nice" uu_nice::uumain;
    "nl" uu_nl::uumain;
    "od" uu_od::uumain;
    "paste" uu_paste::uumain;
    "printenv" uu_printenv::uumain;
    "printf" uu_printf::uumain;
    "pwd" uu_pwd::uumain;
    "readlink" uu_readlink::uumain;
    "realpath" uu_realpath::uumain;
    "rm" uu_rm::uumain;
    "rmdir" uu_rmdir::uumain;
    "seq" uu_seq::uumain;
    "shuf" uu_shuf::uumain;
    "sleep" uu_sleep::uumain;
    "sort" uu_sort::uumain;
    "split" uu_split::uumain;
    "stat" uu_stat::uumain;
    "tac" uu_tac::uumain;
    "tail" uu_tail::uumain;
    "tee" uu_tee::uumain;
    "test" uu_test::uumain;
    "touch" uu_touch::uumain;
    "tr" uu_tr::uumain;
    "true" uu_true::uumain;
    "truncate" uu_truncate::uumain;
    "tty" uu_tty::uumain;
    "uname" uu_uname::uumain;
    "uniq" uu_uniq::uumain;
    "unlink" uu_unlink::uumain;
    "wc" uu_wc::uumain;
    "yes" uu_yes::uumain;
}

fn main() {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let called = arguments.first().map(name_of).unwrap_or_default();
    let mut name = called.clone();
    if find(&name).is_none() && arguments.len() > 1 {
        arguments.remove(0);
        // Tools ask uucore for their name.
        uucore::set_utility_is_second_arg();
        name = arguments[0].to_string_lossy().into_owned();
    }
    let Some(run) = find(&name) else { exit(list(&name)) };
    arguments[0] = name.clone().into();
    // `[` has the messages of `test`.
    let messages = if name == "[" { "test" } else { &name };
    if let Err(error) = uucore::locale::setup_localization(messages) {
        complain(&format!("{name}: messages are missing: {error}"));
    }
    if RESOLVE_PATHS.contains(&name.as_str()) {
        arguments.iter_mut().skip(1).for_each(|argument| spell_out(argument, has_scheme));
    }
    let status = run(arguments.into_iter());
    // What cannot be written was noticed by the tool, or nobody reads any more.
    let _ = std::io::stdout().flush();
    exit(status)
}

/// Tools that take paths apart at slashes and put them behind the working directory themselves, and
/// so do not see that `ram:x` begins at a scheme.
const RESOLVE_PATHS: &[&str] = &["cp", "ln", "mv", "readlink", "realpath"];

/// `ram:x` as the same path in the form that begins with a slash.
fn spell_out(argument: &mut OsString, has_scheme: impl Fn(&str) -> bool) {
    let text = argument.to_str().and_then(|text| text.split_once(':'));
    if let Some((scheme, rest)) = text.filter(|(scheme, _)| has_scheme(scheme)) {
        *argument = format!("/scheme/{scheme}/{}", rest.trim_start_matches('/')).into();
    }
}

fn has_scheme(name: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    !name.is_empty()
        && name.bytes().all(is_word)
        && std::path::Path::new("/scheme").join(name).exists()
}

/// The last part of a path, also of `initfs:bin/ls`.
fn name_of(path: &OsString) -> String {
    let path = path.to_string_lossy();
    path.rsplit(['/', ':']).next().unwrap_or_default().to_owned()
}

fn find(name: &str) -> Option<Run> {
    TOOLS.iter().find(|(tool, _)| *tool == name).map(|(_, run)| *run)
}

fn complain(text: &str) {
    // There is nobody to tell when even this fails.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Called by a name that is none: `coreutils` alone is a question, anything else a mistake.
fn list(name: &str) -> i32 {
    let names: Vec<&str> = TOOLS.iter().map(|(name, _)| *name).collect();
    if matches!(name, "coreutils" | "--help" | "-h" | "--list") {
        let text = format!(
            "coreutils - the uutils tools as one program\n\n\
             Usage: coreutils NAME [ARG...]\n\nNames:\n  {}\n\n\
             Examples:\n  coreutils ls --help\n",
            names.join("\n  ")
        );
        return i32::from(std::io::stdout().write_all(text.as_bytes()).is_err());
    }
    complain(&format!("coreutils: {name}: no such tool; `coreutils --help` lists them"));
    2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_paths_are_spelt_out() {
        let spelt = |text: &str| {
            let mut argument = OsString::from(text);
            spell_out(&mut argument, |name| name == "ram");
            argument.into_string().expect("text")
        };
        assert_eq!(spelt("ram:/a/b"), "/scheme/ram/a/b");
        assert_eq!(spelt("ram:"), "/scheme/ram/");
        assert_eq!(spelt("/ram:/a"), "/ram:/a");
        assert_eq!(spelt("other:a"), "other:a");
        assert_eq!(spelt("--suffix=.a"), "--suffix=.a");
    }

    #[test]
    fn tools_are_sorted_and_found() {
        assert!(TOOLS.is_sorted_by_key(|(name, _)| *name));
        assert!(find("ls").is_some() && find("[").is_some() && find("").is_none());
    }

    #[test]
    fn names_are_the_last_part_of_paths() {
        for path in ["ls", "/bin/ls", "initfs:ls", "/scheme/initfs/bin/ls"] {
            assert_eq!(name_of(&path.into()), "ls");
        }
    }
}
