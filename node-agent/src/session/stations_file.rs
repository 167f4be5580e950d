//! What stations told of each other, kept in the agent's directory: so that its next life finds them where those it is
//! started with are gone. One frame as a station sends it, which has its length, its checksum and its version.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use mainstay_protocol::frame::{
    CRC_BYTES, Channel, FrameDecoder, FrameError, HEADER_BYTES, encode_frame,
};
use mainstay_protocol::limits;
use mainstay_protocol::session::{BadBody, Received, StationMessage, Stations};
use thiserror::Error;

const NAME: &str = "stations";
const BYTES_MAX: usize = HEADER_BYTES + limits::CONTROL_FRAME_BYTES_MAX + CRC_BYTES;

/// Why what was kept is of no use.
#[derive(Debug, Error)]
pub(super) enum Unreadable {
    #[error("reading it: {0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Body(#[from] BadBody),
    #[error("it has more than {BYTES_MAX} bytes")]
    TooLong,
    #[error("it ends too early, or goes on behind its end")]
    NotWhole,
    #[error("it holds something else, or what only a newer agent can read")]
    NoStations,
}

/// It need not be there.
#[derive(Debug)]
pub(super) struct StationsFile {
    path: PathBuf,
}

impl StationsFile {
    pub(super) fn of(dir: &Path) -> Self {
        Self {
            path: dir.join(NAME),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// None, if nothing was ever kept.
    pub(super) fn read(&self) -> Result<Option<Stations>, Unreadable> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::new();
        file.take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > BYTES_MAX {
            return Err(Unreadable::TooLong);
        }
        let mut decoder = FrameDecoder::new(Channel::Control);
        decoder.push(&bytes);
        let frame = decoder.next().ok_or(Unreadable::NotWhole)??;
        if decoder.buffered_bytes() > 0 {
            return Err(Unreadable::NotWhole);
        }
        match StationMessage::from_frame(&frame)? {
            Received::Message(StationMessage::Stations(stations)) => Ok(Some(stations)),
            Received::Message(_) | Received::Unsupported { .. } => Err(Unreadable::NoStations),
        }
    }

    /// Whole, in the old one's place. Not synced, as a slow disk must not silence the agent: what a power cut leaves of
    /// it is read with its checksum, and the next session tells it again.
    pub(super) fn write(&self, stations: &Stations) -> io::Result<()> {
        let mut bytes = Vec::new();
        let frame = StationMessage::Stations(stations.clone()).to_frame();
        encode_frame(&frame, Channel::Control, &mut bytes).map_err(io::Error::other)?;
        let new_path = self.path.with_extension("new");
        let mut new = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new_path)?;
        new.write_all(&bytes)?;
        fs::rename(&new_path, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_protocol::StationId;

    fn two() -> Stations {
        Stations {
            leader: Some(StationId(2)),
            addresses: [
                (StationId(1), "unix:/run/a".to_owned()),
                (StationId(2), "unix:/run/b".to_owned()),
            ]
            .into(),
        }
    }

    #[test]
    fn what_was_kept_is_read_back_and_the_last_stands() {
        // proves: S17
        let dir = tempfile::tempdir().unwrap();
        let file = StationsFile::of(dir.path());
        assert_eq!(file.read().unwrap(), None);
        file.write(&Stations::default()).unwrap();
        file.write(&two()).unwrap();
        assert_eq!(file.read().unwrap(), Some(two()));
        let names = fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(names, 1, "nothing is left over");
    }

    #[test]
    fn a_damaged_file_is_refused_whatever_is_wrong_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = StationsFile::of(dir.path());
        file.write(&two()).unwrap();
        let whole = fs::read(file.path()).unwrap();
        for cut in 0..whole.len() {
            fs::write(file.path(), &whole[..cut]).unwrap();
            assert!(file.read().is_err(), "cut at {cut}");
        }
        for flip in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[flip] ^= 0x10;
            fs::write(file.path(), &bytes).unwrap();
            assert!(file.read().is_err(), "flipped at {flip}");
        }
        fs::write(file.path(), [whole.as_slice(), &[1]].concat()).unwrap();
        assert!(matches!(file.read(), Err(Unreadable::NotWhole)));
        fs::write(file.path(), vec![1; 2 * BYTES_MAX]).unwrap();
        assert!(matches!(file.read(), Err(Unreadable::TooLong)));
        fs::remove_file(file.path()).unwrap();
        fs::create_dir(file.path()).unwrap();
        assert!(matches!(file.read(), Err(Unreadable::Io(_))));
        assert!(file.write(&two()).is_err());
    }
}
