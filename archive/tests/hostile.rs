//! Archives as nobody should make them, and as everybody does.
#![allow(clippy::unwrap_used, reason = "the failing line is the explanation")]

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use mainstay_archive::{BadArchive, files, read};
use mainstay_protocol::limits;
use tar::{EntryType, Header};
use zip::write::SimpleFileOptions;

fn header(kind: EntryType, path: &[u8], size: u64) -> Header {
    let mut header = Header::new_ustar();
    // As it is, not as a library would let it be written.
    let name = &mut header.as_mut_bytes()[..100];
    name[..path.len()].copy_from_slice(path);
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o777);
    header.set_cksum();
    header
}

fn tar_of(entries: &[(EntryType, &str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (kind, path, contents) in entries {
        let header = header(*kind, path.as_bytes(), contents.len() as u64);
        tar.append(&header, *contents).unwrap();
    }
    tar.into_inner().unwrap()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

fn zip_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (path, contents) in entries {
        let options = SimpleFileOptions::default();
        zip.start_file(*path, options).unwrap();
        zip.write_all(contents).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

const FILE: EntryType = EntryType::Regular;

#[test]
fn a_site_is_read_from_each_of_the_three() {
    // proves: M2
    let entries = [
        (EntryType::Directory, "./", &b""[..]),
        (EntryType::Directory, "./css/", b""),
        (FILE, "./index.html", b"<p>hello"),
        (FILE, "css/a.css", b"p {}"),
    ];
    let tar = tar_of(&entries);
    let zip = zip_of(&[("index.html", b"<p>hello"), ("css/a.css", b"p {}")]);
    for archive in [tar.clone(), gz(&tar), zip] {
        assert_eq!(files(&archive).unwrap(), ["css/a.css", "index.html"]);
        let mut page = Vec::new();
        let taken = read(&archive, &mut |path, contents| {
            if path == "index.html" {
                contents.read_to_end(&mut page)?;
            }
            Ok(())
        });
        assert_eq!((taken, page.as_slice()), (Ok(()), &b"<p>hello"[..]));
    }
}

#[test]
fn what_leads_out_of_it_is_refused() {
    // proves: M2
    for path in ["/etc/passwd", "../x", "a/../../x", "a\\..\\x", "a\x01"] {
        for archive in [tar_of(&[(FILE, path, b"x")]), zip_of(&[(path, b"x")])] {
            let refused = files(&archive).unwrap_err();
            let is_path = matches!(refused, BadArchive::Path { .. });
            assert!(is_path, "{path:?}: {refused}");
        }
    }
    let name = [b'a', 0xff];
    let mut tar = tar::Builder::new(Vec::new());
    tar.append(&header(FILE, &name, 0), &b""[..]).unwrap();
    let refused = files(&tar.into_inner().unwrap()).unwrap_err().to_string();
    assert!(refused.contains("is not UTF-8"), "{refused}");
}

#[test]
fn links_and_devices_are_refused() {
    // proves: M2
    let kinds = [
        (EntryType::Symlink, "a symbolic link"),
        (EntryType::Link, "a hard link"),
        (EntryType::Char, "a device"),
        (EntryType::Block, "a device"),
        (EntryType::Fifo, "a fifo"),
    ];
    for (kind, what) in kinds {
        let refused = files(&tar_of(&[(kind, "x", b"")])).unwrap_err().to_string();
        assert!(refused.contains(what), "{refused}");
    }
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    zip.add_symlink("x", "/etc/passwd", options).unwrap();
    let bytes = zip.finish().unwrap().into_inner();
    let refused = files(&bytes).unwrap_err().to_string();
    assert!(refused.contains("a symbolic link"), "{refused}");
}

#[test]
fn the_same_path_twice_is_refused_and_so_is_one_below_a_file() {
    // proves: M2
    let cases = [
        (vec!["a", "./a"], "is in it twice"),
        (vec!["a", "a/b"], "is below a file"),
        (vec!["a/b", "a"], "is a file and a directory"),
    ];
    for (paths, why) in cases {
        let entries: Vec<(EntryType, &str, &[u8])> =
            paths.iter().map(|path| (FILE, *path, &b"x"[..])).collect();
        let refused = files(&tar_of(&entries)).unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn what_unpacks_to_too_much_is_given_up_on_the_way() {
    // proves: M2
    let long = vec![0; limits::ARCHIVE_BYTES_MAX as usize / 2 + 1];
    let bomb = tar_of(&[(FILE, "a", &long), (FILE, "b", &long)]);
    let zipped = zip_of(&[("a", &long), ("b", &long)]);
    let bombs = [gz(&bomb), zipped];
    for bomb in bombs {
        assert!(bomb.len() < 1024 * 1024, "it is small");
        let refused = files(&bomb).unwrap_err();
        let is_much = matches!(refused, BadArchive::TooMuch { .. });
        assert!(is_much, "{refused}");
    }
    // A header's own bytes are bytes too.
    let mut tar = tar::Builder::new(Vec::new());
    let name = vec![b'a'; limits::ARCHIVE_BYTES_MAX as usize + 9 * 1024 * 1024];
    let long = header(EntryType::GNULongName, b"x", name.len() as u64);
    tar.append(&long, name.as_slice()).unwrap();
    tar.append(&header(FILE, b"x", 0), &b""[..]).unwrap();
    let refused = files(&gz(&tar.into_inner().unwrap())).unwrap_err();
    let is_read = matches!(refused, BadArchive::Unreadable(_));
    assert!(is_read, "{refused}");
}

#[test]
fn too_many_files_are_refused() {
    // proves: M2
    let names: Vec<String> = (0..=limits::ARCHIVE_FILES_MAX)
        .map(|number| format!("{number}"))
        .collect();
    let entries: Vec<(EntryType, &str, &[u8])> = names
        .iter()
        .map(|name| (FILE, name.as_str(), &b""[..]))
        .collect();
    let refused = files(&tar_of(&entries)).unwrap_err().to_string();
    assert_eq!(refused, "it has more than 4096 files");
}

#[test]
fn directories_are_counted_and_so_are_their_names_and_how_deep_they_are() {
    // proves: M2
    let deep = |at: usize| format!("{at}{}/", "/a".repeat(508));
    let deeper: Vec<String> = (0..2 * limits::ARCHIVE_FILES_MAX - 2).map(deep).collect();
    let mut tar = tar::Builder::new(Vec::new());
    for path in &deeper {
        let long = header(EntryType::GNULongName, b"x", path.len() as u64);
        tar.append(&long, path.as_bytes()).unwrap();
        tar.append(&header(EntryType::Directory, b"x", 0), &b""[..])
            .unwrap();
    }
    let small = gz(&tar.into_inner().unwrap());
    assert!(small.len() < 1024 * 1024, "it is small");
    let refused = files(&small).unwrap_err().to_string();
    assert!(refused.ends_with("is too deep"), "{refused}");
    let path = format!("{}f", "a/".repeat(31));
    assert_eq!(files(&tar_of(&[(FILE, &path, b"")])), Ok(vec![path]));

    // Said or not: whatever is above a file is made as well.
    let half = limits::ARCHIVE_FILES_MAX / 2;
    let names: Vec<String> = (0..=half).map(|at| format!("{at}/a/f")).collect();
    let entries: Vec<(EntryType, &str, &[u8])> = names
        .iter()
        .map(|name| (FILE, name.as_str(), &b""[..]))
        .collect();
    let refused = files(&tar_of(&entries)).unwrap_err().to_string();
    assert_eq!(refused, "it has more than 4096 directories");
    files(&tar_of(&entries[..half])).unwrap();

    let long = format!("/{}", "a".repeat(200)).repeat(4);
    let names: Vec<String> = (0..200).map(|at| format!("{at}{long}/f")).collect();
    let entries: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    let refused = files(&zip_of(&entries)).unwrap_err().to_string();
    assert_eq!(refused, "it has more than 262144 bytes of names");
    files(&zip_of(&entries[..50])).unwrap();
}

#[test]
fn what_is_no_archive_or_cut_off_says_so() {
    // proves: M2
    let none = [&b""[..], b"x", b"\x7fELF"];
    for bytes in none {
        assert_eq!(files(bytes), Err(BadArchive::NoArchive));
    }
    let whole = gz(&tar_of(&[(FILE, "a", &[7; 4096])]));
    for bytes in [&whole[..whole.len() / 2], b"\x1f\x8bxxxx", b"PK\x03\x04xx"] {
        let refused = files(bytes).unwrap_err();
        assert!(matches!(refused, BadArchive::Unreadable(_)), "{refused}");
    }
}
