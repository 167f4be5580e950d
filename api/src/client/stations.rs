//! The addresses of a cluster's stations, and what is said when none of them answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mainstay_protocol::{Address, code};
use rustls::ClientConfig;

use super::NOBODY_ANSWERS;
use crate::problem::Problem;

/// Clones know the same: what one of them found silent is not begun with by another.
#[derive(Debug, Clone)]
pub struct Stations {
    addresses: Arc<[Address]>,
    /// What is shown over the network.
    shown: Option<Arc<ClientConfig>>,
    /// Where they are now, as one of them said.
    told: Arc<Mutex<Option<Vec<Address>>>>,
    /// The one that answered last; a hint and no more, so its order among threads does not matter.
    first: Arc<AtomicUsize>,
}

/// One station gave no whole answer.
#[derive(Debug)]
pub enum Failed {
    /// It was sent nothing.
    Unsent(Problem),
    /// It may have done what it was asked for.
    Unanswered(Problem),
}

impl Stations {
    pub fn new(addresses: Vec<Address>, shown: Option<Arc<ClientConfig>>) -> Self {
        Self {
            addresses: addresses.into(),
            shown,
            told: Arc::default(),
            first: Arc::default(),
        }
    }

    pub fn address(&self, at: usize) -> &Address {
        &self.addresses[at]
    }

    pub fn shown(&self) -> Option<Arc<ClientConfig>> {
        self.shown.clone()
    }

    /// What an answer says of where they are, if it does.
    pub fn hear(&self, said: Option<&str>) {
        let addresses = said.unwrap_or_default().split(',');
        let addresses: Result<Vec<Address>, _> = addresses.map(|at| at.trim().parse()).collect();
        if let Ok(addresses) = addresses {
            *self.told() = Some(addresses);
        }
    }

    pub fn told(&self) -> MutexGuard<'_, Option<Vec<Address>>> {
        // Every write under the lock is one assignment.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Each once, the one that answered last first.
    pub fn in_order(&self) -> Vec<usize> {
        let (count, first) = (self.addresses.len(), self.first.load(Ordering::Relaxed));
        (0..count).map(|step| (first + step) % count).collect()
    }

    pub fn answered(&self, at: usize) {
        self.first.store(at, Ordering::Relaxed);
    }

    /// The next request begins with another, unless one has answered meanwhile.
    pub fn let_down(&self, at: usize) {
        let next = (at + 1) % self.addresses.len();
        let swap = self
            .first
            .compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed);
        // Where it was another already, that one stays.
        let _ = swap;
    }
}

/// No station answered: each with its reason, where there were several.
pub fn nobody(what: String, mut tried: Vec<Problem>) -> Problem {
    if tried.len() == 1 {
        return tried.remove(0);
    }
    let same = tried
        .first()
        .map(|problem| &problem.code)
        .filter(|code| tried.iter().all(|problem| problem.code == **code));
    let code = same.cloned().unwrap_or(code::NO_SERVER);
    let reasons: Vec<&str> = tried
        .iter()
        .map(|problem| problem.why.as_str())
        .map(|why| why.strip_prefix(NOBODY_ANSWERS).unwrap_or(why).trim_start())
        .collect();
    let why = match tried.len() {
        0 => format!("{NOBODY_ANSWERS} any station: none is known"),
        count => format!(
            "{NOBODY_ANSWERS} any of {count} stations: {}",
            reasons.join("; ")
        ),
    };
    let request_id = tried.last().map(|problem| problem.request_id.clone());
    Problem::of_route(code, what, why)
        .to_do("mainstay status")
        .in_request(request_id.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_answered_last_is_first_for_every_clone() {
        let sockets = ["/a", "/b", "/c"].map(|path| Address::Unix(path.into()));
        let stations = Stations::new(sockets.to_vec(), None);
        let clone = stations.clone();
        assert_eq!(stations.in_order(), [0, 1, 2]);
        stations.answered(2);
        assert_eq!(clone.in_order(), [2, 0, 1]);
        clone.let_down(1);
        assert_eq!(
            stations.in_order(),
            [2, 0, 1],
            "another one is begun with already"
        );
        clone.let_down(2);
        assert_eq!(stations.in_order(), [0, 1, 2]);
    }

    #[test]
    fn where_they_are_is_what_was_heard_last_and_can_be_read() {
        let stations = Stations::new(Vec::new(), None);
        for (said, told) in [
            (None, None),
            (Some("10.0.0.1:7600"), Some(1)),
            (Some("10.0.0.1:7600, 10.0.0.2:7600"), Some(2)),
            (Some("nonsense"), Some(2)),
            (Some(""), Some(2)),
        ] {
            stations.hear(said);
            let known = stations.told().as_ref().map(Vec::len);
            assert_eq!(known, told, "{said:?}");
        }
    }

    #[test]
    fn nobody_names_every_socket_and_why() {
        let unreachable = |socket: &str| format!("{NOBODY_ANSWERS} {socket}: Connection refused");
        let problem = |why: String| Problem::of_route(code::NO_SERVER, "read /x", why);
        let silent = "the station on /b says nothing: no answer within 1s".to_owned();
        let told = nobody(
            "read /x".to_owned(),
            vec![problem(unreachable("/a")), problem(silent)],
        );
        assert_eq!(told.code, code::NO_SERVER);
        assert_eq!(
            told.why,
            "no station answers on any of 2 stations: /a: Connection refused; the station on /b says nothing: no \
             answer within 1s"
        );
        let alone = nobody("read /x".to_owned(), vec![problem(unreachable("/a"))]);
        assert_eq!(alone.why, unreachable("/a"));
        assert_eq!(
            nobody("read /x".to_owned(), Vec::new()).code,
            code::NO_SERVER
        );
    }
}
