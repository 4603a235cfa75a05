//! The file that holds the sealing key, readable by its owner alone: `{data_dir}/tidings.key`, or where the
//! configuration says.

use std::{
    fmt, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use tidings_domain::Entropy;
use zeroize::Zeroizing;

use super::KeyId;

/// The key file's name in the data folder.
pub const FILE_NAME: &str = "tidings.key";

const KEY_LEN: usize = 32;

/// A key file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// There is one already, and what it has sealed would be lost with it.
    #[error("there is a file {} already: a key is never overwritten", .path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// It is there, but not a key: one line, 16 hex digits, a blank, 32 bytes in base64.
    #[error("{} is no key file: put the right one back from a backup", .path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
    },
    /// It cannot be read or written.
    #[error("cannot use the key file {}: {source}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The key that every other one is derived from.
pub struct SealingKey {
    id: KeyId,
    bytes: Zeroizing<[u8; KEY_LEN]>,
}

impl SealingKey {
    /// Its id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// Makes a new key in a file that must not be there yet. It is whole and on disk when this returns.
    pub fn create_file(path: &Path, entropy: &dyn Entropy) -> Result<Self, KeyFileError> {
        let key = Self::random(entropy);
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        let written = write_private(options, path, key.line().as_bytes())
            .and_then(|()| fs::File::open(folder)?.sync_all());
        match written {
            Ok(()) => Ok(key),
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {
                Err(KeyFileError::Exists {
                    path: path.to_owned(),
                })
            }
            Err(source) => Err(KeyFileError::Io {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Reads the key file of a data folder; `None` if there is none.
    pub fn read(data_dir: &Path) -> Result<Option<Self>, KeyFileError> {
        Self::read_file(&data_dir.join(FILE_NAME))
    }

    /// Reads a key file; `None` if there is none.
    pub fn read_file(path: &Path) -> Result<Option<Self>, KeyFileError> {
        let path = path.to_owned();
        match fs::read_to_string(&path).map(Zeroizing::new) {
            Ok(text) => Self::parse(&text)
                .map(Some)
                .ok_or(KeyFileError::Malformed { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(KeyFileError::Malformed { path })
            }
            Err(source) => Err(KeyFileError::Io { path, source }),
        }
    }

    /// A new key.
    pub(crate) fn random(entropy: &dyn Entropy) -> Self {
        Self {
            id: KeyId(entropy.bytes()),
            bytes: Zeroizing::new(entropy.bytes()),
        }
    }

    /// Writes the key file of a data folder that has none. It is whole and on disk when this returns.
    pub(crate) fn write(&self, data_dir: &Path) -> Result<(), KeyFileError> {
        let path = data_dir.join(FILE_NAME);
        let begun = data_dir.join("tidings.key.new");
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        let written = write_private(options, &begun, self.line().as_bytes())
            .and_then(|()| fs::rename(&begun, &path))
            .and_then(|()| fs::File::open(data_dir)?.sync_all());
        written.map_err(|source| KeyFileError::Io { path, source })
    }

    fn line(&self) -> Zeroizing<String> {
        let key = Zeroizing::new(BASE64_STANDARD.encode(self.bytes.as_slice()));
        Zeroizing::new(format!("{} {}\n", self.id, *key))
    }

    fn parse(text: &str) -> Option<Self> {
        let (id, key) = text.trim_end().split_once(' ')?;
        let id = u64::from_str_radix(id, 16)
            .ok()
            .filter(|_| id.len() == 16)?;
        let key = Zeroizing::new(BASE64_STANDARD.decode(key).ok()?);
        Some(Self {
            id: KeyId(id.to_be_bytes()),
            bytes: Zeroizing::new(key.as_slice().try_into().ok()?),
        })
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({})", self.id)
    }
}

fn write_private(mut options: fs::OpenOptions, path: &Path, content: &[u8]) -> io::Result<()> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use tidings_domain::entropy::SeededEntropy;

    use super::*;

    #[test]
    fn a_key_file_reads_back_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(SealingKey::read(folder.path()).unwrap().is_none());
        let key = SealingKey::random(&SeededEntropy::new(1));
        key.write(folder.path()).unwrap();
        let read = SealingKey::read(folder.path()).unwrap().unwrap();
        assert_eq!((read.id(), read.bytes()), (key.id(), key.bytes()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(folder.path().join(FILE_NAME))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_key_is_made_in_a_file_of_its_own_and_never_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing.key");
        assert!(SealingKey::read_file(&path).unwrap().is_none());
        let key = SealingKey::create_file(&path, &SeededEntropy::new(1)).unwrap();
        let error = SealingKey::create_file(&path, &SeededEntropy::new(2)).unwrap_err();
        assert!(matches!(error, KeyFileError::Exists { .. }), "{error}");
        let read = SealingKey::read_file(&path).unwrap().unwrap();
        assert_eq!((read.id(), read.bytes()), (key.id(), key.bytes()));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "abc", "0011223344556677 c2hvcnQ=", "zz \u{0}"] {
            fs::write(folder.path().join(FILE_NAME), text).unwrap();
            let error = SealingKey::read(folder.path()).unwrap_err();
            assert!(matches!(error, KeyFileError::Malformed { .. }), "{text}");
        }
    }
}
