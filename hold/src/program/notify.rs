//! sd_notify: what a process says of itself on the socket that NOTIFY_SOCKET names.
//!
//! The address is an abstract one, because a slot's path may be longer than a socket's address. Whoever sends must be
//! of the process's user, ours, or root.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Instant;

use mainstay_hold::limits;
use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

pub struct Notify {
    socket: UnixDatagram,
    /// As the process finds it in its environment.
    pub address: String,
    users: [u32; 3],
    pub ready: bool,
    pub status: String,
    pub watchdog: Option<Instant>,
}

impl Notify {
    pub fn open(hold: u32, ours: u32, theirs: u32) -> io::Result<Self> {
        let name = format!("mainstay-notify-{hold}");
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        socket.set_nonblocking(true)?;
        set_socket_passcred(&socket, true)?;
        Ok(Self {
            socket,
            address: format!("@{name}"),
            users: [0, ours, theirs],
            ready: false,
            status: String::new(),
            watchdog: None,
        })
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Takes one datagram. True: something is to be told.
    pub fn receive(&mut self) -> bool {
        let mut bytes = [0; limits::NOTIFY_BYTES_MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(
            &self.socket,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut control,
            RecvFlags::DONTWAIT,
        );
        let Ok(received) = received else {
            return false;
        };
        let sender = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmCredentials(sender) => Some(sender.uid.as_raw()),
            // Descriptors are nothing we keep: dropped, they are closed.
            _ => None,
        });
        sender.is_some_and(|uid| self.users.contains(&uid))
            && self.heard(&String::from_utf8_lossy(&bytes[..received.bytes]))
    }

    fn heard(&mut self, text: &str) -> bool {
        let mut news = false;
        for line in text.lines() {
            match line.split_once('=') {
                Some(("READY", "1")) => {
                    news |= !self.ready;
                    self.ready = true;
                }
                Some(("STATUS", status)) => {
                    let end = status.floor_char_boundary(limits::STATUS_BYTES_MAX);
                    news |= self.status != status[..end];
                    status[..end].clone_into(&mut self.status);
                }
                // Not told each time: whoever wants to know asks for the state.
                Some(("WATCHDOG", "1")) => self.watchdog = Some(Instant::now()),
                Some(_) | None => {}
            }
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::getuid;

    #[test]
    fn what_a_process_says_of_itself_is_heard() {
        let ours = getuid().as_raw();
        let mut notify = Notify::open(std::process::id(), ours, ours).unwrap();
        assert!(!notify.receive());
        let name = notify.address.strip_prefix('@').unwrap().to_owned();
        let speaker = UnixDatagram::unbound().unwrap();
        let to = SocketAddr::from_abstract_name(&name).unwrap();
        for (text, news) in [
            ("WATCHDOG=1\nMAINPID=7", false),
            ("STATUS=2 of 3\nREADY=1\n", true),
            ("READY=1", false),
            ("nonsense", false),
        ] {
            speaker.send_to_addr(text.as_bytes(), &to).unwrap();
            assert_eq!(notify.receive(), news, "{text}");
        }
        assert!(notify.ready && notify.watchdog.is_some());
        assert_eq!(notify.status, "2 of 3");
    }

    #[test]
    fn a_stranger_is_not_heard() {
        let stranger = getuid().as_raw() + 1;
        let mut notify = Notify::open(u32::MAX, stranger, stranger).unwrap();
        notify.users = [stranger; 3];
        let name = notify.address.strip_prefix('@').unwrap().to_owned();
        let to = SocketAddr::from_abstract_name(&name).unwrap();
        let speaker = UnixDatagram::unbound().unwrap();
        speaker.send_to_addr(b"READY=1", &to).unwrap();
        assert!(!notify.receive() && !notify.ready);
    }
}
