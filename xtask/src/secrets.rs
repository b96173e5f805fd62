//! Secrets of the development stack: made once, kept readable to their owner only.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;

/// The secret in `state/name`; at first `prefix` and 32 random bytes as 43 letters.
pub(crate) fn remembered(state: &Path, name: &str, prefix: &str) -> anyhow::Result<String> {
    let file = state.join(name);
    if let Ok(secret) = fs::read_to_string(&file)
        && !secret.trim().is_empty()
    {
        return Ok(secret.trim().to_owned());
    }
    let mut bytes = [0; 32];
    let mut random = File::open("/dev/urandom").context("opening /dev/urandom")?;
    random
        .read_exact(&mut bytes)
        .context("reading /dev/urandom")?;
    let secret = format!("{prefix}{}", base64url(&bytes));
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options
        .open(&file)
        .with_context(|| format!("writing {}", file.display()))?;
    writeln!(file, "{secret}")?;
    Ok(secret)
}

/// RFC 4648, section 5, without padding.
fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        // A short last group is filled up with zeros, and only the letters it touches count.
        let bits = bits << (8 * (3 - group.len()));
        let letters = (0..=group.len()).map(|place| LETTERS[bits >> (18 - 6 * place) & 63]);
        text.extend(letters.map(char::from));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn base64url_follows_the_test_vectors_of_the_standard() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("fooba", "Zm9vYmE"),
        ] {
            assert_eq!(base64url(plain.as_bytes()), coded);
        }
        assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
    }

    #[test]
    fn a_secret_is_made_once_and_is_private() {
        let folder = std::env::temp_dir().join(format!("xtask-secrets-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let first = remembered(&folder, "key", "epk_").unwrap();
        let second = remembered(&folder, "key", "epk_").unwrap();
        let mode = fs::metadata(folder.join("key"))
            .unwrap()
            .permissions()
            .mode();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(first, second);
        assert_eq!((first.len(), mode & 0o777), (47, 0o600));
    }
}
