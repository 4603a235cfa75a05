//! Secrets come from a file, from standard input, from a flag or from the environment.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use tidings_domain::Secret;

use crate::{
    context::Context,
    exit::{Exit, Failure},
};

/// No secret is longer; a larger file is the wrong file.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// The places where one secret can be given, in the order in which they count: file, flag, environment.
#[derive(Clone, Copy, Debug)]
pub struct SecretInput<'a> {
    /// What it is: `client secret`.
    pub what: &'a str,
    /// The flag that takes it: `--client-secret`; the one for the file is this and `-file`.
    pub flag: &'a str,
    /// The file named by a flag; `-` is standard input.
    pub file: Option<&'a Path>,
    /// The flag's own value.
    pub value: Option<&'a Secret>,
    /// The environment variable.
    pub variable: &'a str,
}

impl SecretInput<'_> {
    /// The secret, or a usage error that names the places where it can be given.
    pub fn required(&self, context: &Context) -> Result<Secret, Failure> {
        self.optional(context)?.ok_or_else(|| {
            Failure::new(Exit::Usage, format!("the {} is missing", self.what)).hint(format!(
                "give {flag}-file FILE (`-` reads standard input), or set {variable}",
                flag = self.flag,
                variable = self.variable
            ))
        })
    }

    /// The secret, if it was given anywhere.
    pub fn optional(&self, context: &Context) -> Result<Option<Secret>, Failure> {
        let text = match (self.file, self.value) {
            (Some(path), _) => self.read(path)?,
            (None, Some(secret)) => secret.expose().to_owned(),
            (None, None) => match context.variable(self.variable) {
                Some(text) => text.to_owned(),
                None => return Ok(None),
            },
        };
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(Failure::new(
                Exit::Usage,
                format!("the {} is empty", self.what),
            ));
        }
        Ok(Some(Secret::new(text)))
    }

    fn read(&self, path: &Path) -> Result<String, Failure> {
        let from_stdin = path == Path::new("-");
        let name = if from_stdin {
            "standard input".to_owned()
        } else {
            path.display().to_string()
        };
        let cannot = |problem: String| {
            Failure::new(
                Exit::Usage,
                format!("cannot read the {} from {name}: {problem}", self.what),
            )
        };
        let mut text = String::new();
        let read = if from_stdin {
            io::stdin()
                .lock()
                .take(MAX_SECRET_BYTES + 1)
                .read_to_string(&mut text)
        } else {
            File::open(path)
                .and_then(|file| file.take(MAX_SECRET_BYTES + 1).read_to_string(&mut text))
        };
        let length = read.map_err(|error| cannot(error.to_string()))?;
        if length as u64 > MAX_SECRET_BYTES {
            return Err(cannot("it is longer than 64 KiB".to_owned()));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io::Write, sync::Arc};

    use tidings_domain::{clock::SystemClock, entropy::SeededEntropy};

    use super::*;
    use crate::output::Output;

    fn context(variables: &[(&str, &str)]) -> Context {
        Context {
            output: Output::new(true),
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(SeededEntropy::new(1)),
            variables: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect::<BTreeMap<_, _>>(),
        }
    }

    const INPUT: SecretInput<'static> = SecretInput {
        what: "client secret",
        flag: "--client-secret",
        file: None,
        value: None,
        variable: "TIDINGS_CLIENT_SECRET",
    };

    #[test]
    fn a_file_goes_before_the_environment_and_loses_its_line_end() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"from-file\r\n").unwrap();
        let context = context(&[("TIDINGS_CLIENT_SECRET", "from-environment")]);
        let input = SecretInput {
            file: Some(file.path()),
            ..INPUT
        };
        assert_eq!(input.required(&context).unwrap().expose(), "from-file");
        assert_eq!(
            INPUT.required(&context).unwrap().expose(),
            "from-environment"
        );
    }

    #[test]
    fn a_missing_secret_names_the_places_for_it() {
        let failure = INPUT.required(&context(&[])).unwrap_err();
        assert_eq!(failure.exit(), Exit::Usage);
        let hint = failure.advice().unwrap();
        assert!(
            hint.contains("--client-secret-file") && hint.contains("TIDINGS_CLIENT_SECRET"),
            "{hint}"
        );
    }

    #[test]
    fn an_empty_file_and_a_huge_one_are_refused() {
        let empty = tempfile::NamedTempFile::new().unwrap();
        let mut huge = tempfile::NamedTempFile::new().unwrap();
        huge.write_all(&vec![b'x'; 70_000]).unwrap();
        for file in [&empty, &huge] {
            let input = SecretInput {
                file: Some(file.path()),
                ..INPUT
            };
            assert_eq!(
                input.optional(&context(&[])).unwrap_err().exit(),
                Exit::Usage
            );
        }
    }
}
