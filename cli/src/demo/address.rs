//! Where the parts of the demo find one another: each writes its address into a file of the directory they share.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

pub(super) const DB_ADDRESS: &str = "db.address";
pub const WEB_ADDRESS: &str = "web.address";

/// Listens on this port, and says so in the file.
pub(super) fn listen(port: u16, file: &str) -> io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| {
        let why = format!("cannot listen on port {port}: {error}");
        io::Error::new(error.kind(), why)
    })?;
    write_whole(Path::new(file), &listener.local_addr()?.to_string())?;
    Ok(listener)
}

pub fn read(file: &Path) -> io::Result<SocketAddr> {
    let text = fs::read_to_string(file)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))?;
    text.trim().parse().map_err(|_| {
        let why = format!("{}: {text:?} is no address", file.display());
        io::Error::new(io::ErrorKind::InvalidData, why)
    })
}

/// Whoever reads it, and whoever is killed while it is written, finds the old text or the new one.
pub(super) fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let written = fs::write(&new, text).and_then(|()| fs::rename(&new, path));
    written.map_err(|error| {
        let why = format!("cannot write {}: {error}", path.display());
        io::Error::new(error.kind(), why)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_is_told_with_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("db.address");
        let missing = read(&file).unwrap_err().to_string();
        assert!(missing.contains("db.address"), "{missing}");
        write_whole(&file, "nonsense").unwrap();
        let nonsense = read(&file).unwrap_err().to_string();
        assert!(
            nonsense.contains("\"nonsense\" is no address"),
            "{nonsense}"
        );
        write_whole(&file, "127.0.0.1:80").unwrap();
        assert_eq!(read(&file).unwrap().port(), 80);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
