//! Finds the admin key of a server on the same machine.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::Path,
};

use tidings_domain::Secret;
use url::{Host, Url};

use crate::exit::{Exit, Failure};

/// The key in `data_dir`, if the server whose folder that is listens on exactly the loopback address of `url`.
///
/// To any other address the key is not sent: a name may lead elsewhere, and an address from outside may belong to
/// somebody else.
pub(super) fn admin_key(url: &Url, data_dir: &Path) -> Result<Secret, Failure> {
    let missing = |why: String| {
        Failure::new(Exit::Refused, format!("no API key was given, and {why}"))
            .hint("set TIDINGS_API_KEY, or name the server's data folder with `--data-dir`")
    };
    let address_file = data_dir.join("server.addr");
    let written = fs::read_to_string(&address_file)
        .map_err(|_| missing(format!("there is no {}", address_file.display())))?;
    let listened: SocketAddr = written
        .trim()
        .parse()
        .map_err(|_| missing(format!("{} holds no address", address_file.display())))?;
    if !listened.ip().is_loopback() || loopback(url) != Some(listened) {
        return Err(missing(format!(
            "the key in {} is only sent to a server at a loopback address, which {listened} is not or {url} does not name",
            data_dir.display()
        )));
    }
    let key_file = data_dir.join("admin.key");
    let key = fs::read_to_string(&key_file)
        .map_err(|error| missing(format!("{} cannot be read: {error}", key_file.display())))?;
    Ok(Secret::new(key.trim()))
}

fn loopback(url: &Url) -> Option<SocketAddr> {
    let ip = match url.host()? {
        Host::Ipv4(ip) => IpAddr::V4(ip),
        Host::Ipv6(ip) => IpAddr::V6(ip),
        Host::Domain(_) => return None,
    };
    let plain = url.scheme() == "http" && ip.is_loopback();
    plain.then(|| SocketAddr::new(ip, url.port_or_known_default().unwrap_or(80)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(listened: &str, url: &str) -> Result<Secret, Failure> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("server.addr"), listened).unwrap();
        fs::write(folder.path().join("admin.key"), "tdk_abc\n").unwrap();
        admin_key(&Url::parse(url).unwrap(), folder.path())
    }

    #[test]
    fn the_key_goes_to_the_loopback_address_beside_it() {
        assert_eq!(
            found("127.0.0.1:8080\n", "http://127.0.0.1:8080")
                .unwrap()
                .expose(),
            "tdk_abc"
        );
        assert!(found("[::1]:8080", "http://[::1]:8080/").is_ok());
    }

    #[test]
    fn the_key_goes_nowhere_else() {
        for (listened, url) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8081"),
            ("127.0.0.1:8080", "http://127.0.0.2:8080"),
            ("127.0.0.1:8080", "http://localhost:8080"),
            ("127.0.0.1:8080", "https://127.0.0.1:8080"),
            ("127.0.0.1:8080", "http://tidings.example:8080"),
            ("203.0.113.7:8080", "http://203.0.113.7:8080"),
            ("0.0.0.0:8080", "http://0.0.0.0:8080"),
            ("nonsense", "http://127.0.0.1:8080"),
        ] {
            let failure = found(listened, url).unwrap_err();
            assert_eq!(failure.exit(), Exit::Refused, "{listened} {url}");
        }
    }

    #[test]
    fn a_missing_folder_says_what_to_do() {
        let failure = admin_key(
            &Url::parse("http://127.0.0.1:8080").unwrap(),
            Path::new("/nowhere/at/all"),
        )
        .unwrap_err();
        assert!(failure.advice().unwrap().contains("TIDINGS_API_KEY"));
    }
}
