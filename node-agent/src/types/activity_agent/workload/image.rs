//! Names of images, as registries have them. What engines take for something else, files of the node above all, is none.

/// What a name looks like.
pub(super) const FORM: &str = "[HOST[:PORT]/]NAME[/NAME..][:TAG][@DIGEST]";
/// Before a colon, an engine opens something else than a registry: directories and archives of its machine, its own storage.
/// `docker` is none of them: without `//` behind the colon nothing is opened, and there are images of that name.
const TRANSPORTS: [&str; 10] = [
    "atomic",
    "containers-storage",
    "dir",
    "docker-archive",
    "docker-daemon",
    "oci",
    "oci-archive",
    "ostree",
    "sif",
    "tarball",
];
/// A registry's own bound.
const TAG_BYTES_MAX: usize = 128;
const DIGEST_DIGITS_MIN: usize = 32;

pub(super) fn is_name(text: &str) -> bool {
    let transport = text.split_once(':').map(|(before, _)| before);
    if transport.is_some_and(|before| TRANSPORTS.contains(&before)) {
        return false;
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    let (above, last) = match rest.rsplit_once('/') {
        Some((above, last)) => (Some(above), last),
        None => (None, rest),
    };
    let (last, tag) = match last.split_once(':') {
        Some((last, tag)) => (last, Some(tag)),
        None => (last, None),
    };
    is_part(last)
        && above.is_none_or(is_above)
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest)
}

/// A host, then names; or names alone.
fn is_above(above: &str) -> bool {
    let mut parts = above.split('/');
    let first = parts.next().unwrap_or_default();
    (is_host(first) || is_part(first)) && parts.all(is_part)
}

/// Small letters and digits, with points, low lines or hyphens between them.
fn is_part(part: &str) -> bool {
    let is_own = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_between = |between: &str| {
        matches!(between, "" | "." | "_" | "__") || between.bytes().all(|byte| byte == b'-')
    };
    part.starts_with(is_own) && part.ends_with(is_own) && part.split(is_own).all(is_between)
}

fn is_host(text: &str) -> bool {
    // An address of IPv6 is in brackets, with colons of its own.
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        Some(_) | None => (text, None),
    };
    let is_label = |label: &str| {
        let is_own = |c: char| c.is_ascii_alphanumeric();
        let is_any = |c: char| is_own(c) || c == '-';
        label.starts_with(is_own) && label.ends_with(is_own) && label.chars().all(is_any)
    };
    let address = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let is_address = |address: &str| {
        address.contains(':') && address.chars().all(|c| c == ':' || c.is_ascii_hexdigit())
    };
    let is_port = |port: &str| !port.starts_with('+') && port.parse::<u16>().is_ok();
    let is_there = match address {
        Some(address) => is_address(address),
        None => host.split('.').all(is_label),
    };
    is_there && port.is_none_or(is_port)
}

fn is_tag(tag: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_any = |c: char| is_first(c) || matches!(c, '.' | '-');
    tag.len() <= TAG_BYTES_MAX && tag.starts_with(is_first) && tag.chars().all(is_any)
}

fn is_digest(digest: &str) -> bool {
    let Some((by, digits)) = digest.split_once(':') else {
        return false;
    };
    let is_any = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-');
    let is_by = by.starts_with(|c: char| c.is_ascii_alphabetic()) && by.chars().all(is_any);
    is_by && digits.len() >= DIGEST_DIGITS_MIN && digits.chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    // regresses: `dir:/a` was a directory of the node, whatever was to be fetched.
    #[test]
    fn what_engines_take_for_something_else_is_no_name() {
        let long = format!("a:{}", "x".repeat(TAG_BYTES_MAX + 1));
        let digest = format!("a@sha256:{}", "0".repeat(DIGEST_DIGITS_MIN - 1));
        for text in [
            "dir:/tmp/x",
            "dir:x",
            "dir:5000/x",
            "docker-archive:/x.tar",
            "docker-daemon:a:1",
            "docker://a",
            "docker://a/b:1",
            "oci:/x",
            "oci:x",
            "oci-archive:x.tar",
            "containers-storage:a",
            "tarball:x",
            "sif:x",
            "https://a.b/c",
            "/tmp/x",
            "./x",
            "../x",
            "a/../b",
            "",
            " ",
            "a b",
            "a\nb",
            "-v",
            "--privileged",
            "a/-b",
            "a-",
            "a..b",
            "a___b",
            "A",
            "a/B",
            "a:",
            "a:b:c",
            "a:-b",
            "a/",
            "/a",
            "a//b",
            "h:/a",
            "h:x/a",
            "h:70000/a",
            "h:+1/a",
            "[x]/a",
            "[1]/a",
            "-h.x/a",
            "@",
            "a@",
            "a@sha256",
            "a@sha256:xyz",
            &long,
            &digest,
            "\u{fc}",
        ] {
            assert!(!is_name(text), "{text}");
        }
    }

    #[test]
    fn names_of_registries_are_names() {
        let digest = "0123456789abcdef".repeat(4);
        for text in [
            "a",
            "alpine:3.7",
            "docker:24-dind",
            "library/alpine",
            "a/b/c/d",
            "a.b_c__d--e/f:_T.1-x",
            "localhost/x",
            "localhost:5000/x:1",
            "Registry.Example.com:5000/a/b:V1",
            "10.0.0.1:443/a",
            "[::1]:5000/a",
            "[fe80::1]/a",
            "quay.io/a/b",
            &digest,
            &format!("sha256:{digest}"),
            &format!("a@sha256:{digest}"),
            &format!("h.x:1/a/b:1@sha512:{digest}{digest}"),
        ] {
            assert!(is_name(text), "{text}");
        }
    }
}
