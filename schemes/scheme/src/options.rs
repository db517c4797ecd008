//! The command line of a daemon that serves a file system on a device.

use crate::command::Failure;

/// What it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The scheme's name.
    pub scheme: String,
    /// The device.
    pub device: Option<String>,
    /// Make a file system there instead of serving one.
    pub makes: bool,
    /// Serve errors: the file system there cannot be used.
    pub is_damaged: bool,
}

impl Options {
    /// Reads `[--scheme NAME] [--make] [--damaged] [DEVICE]`.
    ///
    /// # Errors
    /// What does not belong there.
    pub fn parse(arguments: &[String], scheme: &str) -> Result<Self, Failure> {
        let mut options =
            Self { scheme: scheme.to_owned(), device: None, makes: false, is_damaged: false };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--scheme" => {
                    let name = words.next().filter(|name| !name.is_empty());
                    let name = name.ok_or(Failure::Usage("--scheme needs a name".into()))?;
                    options.scheme.clone_from(name);
                }
                "--make" => options.makes = true,
                "--damaged" => options.is_damaged = true,
                other if other.starts_with('-') || options.device.is_some() => {
                    return Err(Failure::Usage(format!("unexpected argument '{other}'")));
                }
                device => options.device = Some(device.to_owned()),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<Options> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Options::parse(&words, "file").ok()
    }

    #[test]
    fn options_stand_in_any_order() {
        let options = parse("disk:1 --scheme two --make").expect("it is right");
        assert_eq!((options.scheme.as_str(), options.makes), ("two", true));
        assert_eq!(options.device.as_deref(), Some("disk:1"));
        assert!(parse("disk:1 disk:2").is_none() && parse("--scheme").is_none());
        assert!(parse("--what").is_none());
    }
}
