//! One file in an archive, as engines hand files out.

const BLOCK: usize = 512;
const SIZE: std::ops::Range<usize> = 124..136;
const KIND: usize = 156;

/// What the archive's first entry is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry<'a> {
    File(&'a [u8]),
    /// A directory, a link, a device.
    NoFile,
    /// Nobody can read it, or it is cut off.
    Bad,
}

pub(super) fn first(mut archive: &[u8]) -> Entry<'_> {
    loop {
        let Some((header, rest)) = archive.split_at_checked(BLOCK) else {
            return Entry::Bad;
        };
        let Some(size) = size(&header[SIZE]) else {
            return Entry::Bad;
        };
        match header[KIND] {
            b'0' | 0 => return rest.get(..size).map_or(Entry::Bad, Entry::File),
            // What is said of the entry that follows: long names, times.
            b'x' | b'g' | b'L' | b'K' => {
                let whole = size.div_ceil(BLOCK).checked_mul(BLOCK);
                let Some(rest) = whole.and_then(|whole| rest.get(whole..)) else {
                    return Entry::Bad;
                };
                archive = rest;
            }
            _ => return Entry::NoFile,
        }
    }
}

/// Octal digits; larger ones than these hold are larger than anything that is read here.
fn size(field: &[u8]) -> Option<usize> {
    let text = str::from_utf8(field).ok()?;
    usize::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; BLOCK];
        bytes[0] = b'y';
        bytes[SIZE].copy_from_slice(format!("{:011o}\0", body.len()).as_bytes());
        bytes[KIND] = kind;
        bytes.extend_from_slice(body);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }

    #[test]
    fn a_file_is_found_behind_what_is_said_of_it() {
        let long = [b'z'; 700];
        let plain = entry(b'0', &long);
        assert_eq!(first(&plain), Entry::File(&long));
        let extended = [entry(b'x', &long), entry(b'0', b""), vec![0; 2 * BLOCK]].concat();
        assert_eq!(first(&extended), Entry::File(b""));
    }

    #[test]
    fn what_is_no_file_and_what_is_cut_off_are_told_apart() {
        assert_eq!(first(&entry(b'5', b"")), Entry::NoFile);
        assert_eq!(first(&entry(b'2', b"")), Entry::NoFile);
        let whole = entry(b'0', &[b'z'; 700]);
        assert_eq!(first(&whole[..BLOCK + 600]), Entry::Bad);
        assert_eq!(first(&entry(b'x', b"a")), Entry::Bad);
        assert_eq!(first(b""), Entry::Bad);
        assert_eq!(first(&[b'9'; BLOCK]), Entry::Bad);
    }
}
