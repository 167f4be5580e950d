//! The worker: asks for a number, finds its prime, hands it in.

use std::env;
use std::io;
use std::thread::sleep;
use std::time::Duration;

use super::ask;

/// People want to watch.
const PAUSE: Duration = Duration::from_millis(500);

pub(super) fn work() -> io::Result<()> {
    let name = env::var("MAINSTAY_INSTANCE").unwrap_or_else(|_| "worker".to_owned());
    loop {
        let answer = ask("next")?;
        let mut words = answer.iter().flat_map(|line| line.split(' '));
        let numbers = (number(words.next()), number(words.next()));
        let (Some(wanted), Some(last)) = numbers else {
            let why = format!("the database's answer makes no sense: {answer:?}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        };
        let prime = prime_after(last);
        ask(&format!("found {wanted} {prime} {name}"))?;
        println!("prime {wanted} is {prime}");
        sleep(PAUSE);
    }
}

fn number(word: Option<&str>) -> Option<u64> {
    word?.parse().ok()
}

fn prime_after(last: u64) -> u64 {
    let is_prime = |candidate: &u64| {
        (2..)
            .take_while(|divisor| divisor * divisor <= *candidate)
            .all(|divisor| !candidate.is_multiple_of(divisor))
    };
    (last.max(1) + 1..).find(is_prime).unwrap_or(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primes_follow_one_another() {
        let mut primes = vec![prime_after(1)];
        while primes.len() < 10 {
            primes.push(prime_after(primes[primes.len() - 1]));
        }
        assert_eq!(primes, [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
    }
}
