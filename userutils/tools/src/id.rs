//! `id` — who a process is, and who others would be.

use std::fs;

use nix::unistd::{getegid, geteuid, getgid, getuid};

use crate::Tool;
use crate::arguments::{Argument, Arguments};
use crate::failure::{Failure, output};

pub(crate) const TOOL: Tool = Tool {
    name: "id",
    help: "\
id - tell who you are, or who a user is

Usage: id [-u | -g | -G] [-n] [-r] [USER]

Options:
  -u          only the user's number
  -g          only the group's number
  -G          only the numbers of all groups, of which everybody has one
  -n          with one of these: the name instead of the number
  -r          with -u or -g: who started the program, not whose rights it has
  -h, --help  print this text
  --version   print the version

Examples:
  id
  id -un
  id user

Files:
  /etc/passwd, /etc/group

See also: ps
",
    run,
};

/// Users and groups by number.
const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";

/// Who somebody is.
struct Ids {
    uid: u32,
    gid: u32,
    euid: u32,
    egid: u32,
}

/// What is asked for.
#[derive(Default)]
struct Wanted {
    /// Only one number: of `u`, `g` or `G`.
    only: Option<char>,
    names: bool,
    real: bool,
    user: Option<String>,
}

fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    let wanted = wanted(arguments)?;
    let users = fs::read_to_string(USERS).unwrap_or_default();
    let groups = fs::read_to_string(GROUPS).unwrap_or_default();
    let ids = match &wanted.user {
        Some(user) => {
            look_up(&users, user).ok_or_else(|| Failure::Failed(format!("{user}: no such user")))?
        }
        None => own(),
    };
    output(&text(&wanted, &ids, &users, &groups))?;
    Ok(0)
}

fn wanted(arguments: &mut Arguments) -> Result<Wanted, Failure> {
    let mut wanted = Wanted::default();
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Short(letter @ ('u' | 'g' | 'G')) => {
                if wanted.only.replace(letter).is_some_and(|other| other != letter) {
                    return Err(Failure::Usage("one of -u, -g and -G".into()));
                }
            }
            Argument::Short('n') => wanted.names = true,
            Argument::Short('r') => wanted.real = true,
            Argument::Word(user) if wanted.user.is_none() => wanted.user = Some(user),
            other => return Err(other.unexpected()),
        }
    }
    if wanted.only.is_none() && (wanted.names || wanted.real) {
        return Err(Failure::Usage("-n and -r go with -u, -g or -G".into()));
    }
    Ok(wanted)
}

fn own() -> Ids {
    Ids {
        uid: getuid().as_raw(),
        gid: getgid().as_raw(),
        euid: geteuid().as_raw(),
        egid: getegid().as_raw(),
    }
}

fn text(wanted: &Wanted, ids: &Ids, users: &str, groups: &str) -> String {
    let (uid, gid) = match wanted.real {
        true => (ids.uid, ids.gid),
        false => (ids.euid, ids.egid),
    };
    match wanted.only {
        Some(only) => {
            let (number, table) = if only == 'u' { (uid, users) } else { (gid, groups) };
            let name = if wanted.names { name_of(table, number) } else { None };
            name.map_or_else(|| format!("{number}\n"), |name| format!("{name}\n"))
        }
        None => {
            let mut text =
                format!("uid={} gid={}", called(users, ids.uid), called(groups, ids.gid));
            if ids.euid != ids.uid {
                text += &format!(" euid={}", called(users, ids.euid));
            }
            if ids.egid != ids.gid {
                text += &format!(" egid={}", called(groups, ids.egid));
            }
            text + &format!(" groups={}\n", called(groups, ids.egid))
        }
    }
}

/// A number and, if it has one, its name.
fn called(table: &str, number: u32) -> String {
    name_of(table, number).map_or_else(|| number.to_string(), |name| format!("{number}({name})"))
}

/// The fields of each row. Redox parts them with semicolons and has no password's place, others
/// have colons.
fn rows(table: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    table.lines().filter_map(|line| {
        let fields: Vec<&str> = match line.contains(';') {
            true => line.split(';').collect(),
            false => {
                line.split(':').enumerate().filter(|(at, _)| *at != 1).map(|(_, t)| t).collect()
            }
        };
        Some((*fields.first()?, fields))
    })
}

fn name_of(table: &str, number: u32) -> Option<&str> {
    let is_it = |fields: &[&str]| fields.get(1).and_then(|text| text.parse().ok()) == Some(number);
    rows(table).find(|(_, fields)| is_it(fields)).map(|(name, _)| name)
}

/// A user by name or number.
fn look_up(users: &str, user: &str) -> Option<Ids> {
    let (_, fields) =
        rows(users).find(|(name, fields)| *name == user || fields.get(1) == Some(&user))?;
    let (uid, gid) = (fields.get(1)?.parse().ok()?, fields.get(2)?.parse().ok()?);
    Some(Ids { uid, gid, euid: uid, egid: gid })
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root;0;0;root;/tmp;/bin/sh\nuser;1000;100;user;/home/user;/bin/sh\n";
    const GROUPS: &str = "root:x:0:\nstaff:x:100:user\n";

    fn say(words: &[&str], ids: &Ids) -> String {
        let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
        text(&wanted(&mut Arguments::new(&words)).unwrap(), ids, USERS, GROUPS)
    }

    #[test]
    fn everybody_has_a_name_if_it_is_known() {
        let ids = look_up(USERS, "user").unwrap();
        assert_eq!(say(&[], &ids), "uid=1000(user) gid=100(staff) groups=100(staff)\n");
        assert_eq!(say(&["-un"], &ids), "user\n");
        assert_eq!(say(&["-G"], &look_up(USERS, "1000").unwrap()), "100\n");
        assert!(look_up(USERS, "nobody").is_none());
        let stranger = Ids { uid: 7, gid: 8, euid: 7, egid: 8 };
        assert_eq!(say(&[], &stranger), "uid=7 gid=8 groups=8\n");
        assert_eq!(say(&["-un"], &stranger), "7\n");
    }

    #[test]
    fn borrowed_rights_are_told_apart() {
        let ids = Ids { uid: 1000, gid: 100, euid: 0, egid: 100 };
        assert_eq!(
            say(&[], &ids),
            "uid=1000(user) gid=100(staff) euid=0(root) groups=100(staff)\n"
        );
        assert_eq!(say(&["-u"], &ids), "0\n");
        assert_eq!(say(&["-ur"], &ids), "1000\n");
    }

    #[test]
    fn arguments_are_checked() {
        for words in [&["-n"][..], &["-r"], &["-u", "-g"], &["a", "b"], &["-x"]] {
            let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
            assert!(matches!(wanted(&mut Arguments::new(&words)), Err(Failure::Usage(_))));
        }
    }
}
