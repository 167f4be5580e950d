//! Rounds of the kill matrix: a course as it is, which says how long it takes; then
//! the same course again and again, with one death in each.
//!
//! ```text
//!   prepare -> order (a thread) ------------------> everything is as wished -> books -> delete, nothing is left
//!                 \-- moment -> kill -9 -> back --^
//! ```

pub mod course;
pub mod moment;
pub mod pair;
pub mod round;
pub mod victim;
pub mod witness;

use mainstay_tests::soak::{SEED, is_long, seed};
use mainstay_tests::{Cluster, DevOptions, Random, outside, until};

use course::Course;
use moment::Moment;
use round::Round;
use victim::{Places, Victim};

/// Of one victim in one course, unless time is no matter.
const KILLS_SHORT: usize = 1;
/// How often all moments are tried in the long run.
const REPEATS_SOAK: usize = 3;
/// Runs the course without any death, then with one death after another.
pub fn survives_kills(course: Course) {
    let seed = seed();
    println!("{course:?}: {SEED}={seed} repeats this run");
    let mut random = Random::new(seed.wrapping_add(course as u64));
    let mut cluster = Cluster::with(&DevOptions {
        nodes: 1,
        ..DevOptions::default()
    });
    let places = Places::of(&cluster);
    let rhythm = Round::new(&cluster, &places, course, 0).undisturbed();
    println!("{course:?}: {rhythm:?}");
    let mut struck = 0;
    let deaths = deaths(&mut random);
    for (at, (victim, moment)) in deaths.iter().enumerate() {
        let round = Round::new(&cluster, &places, course, at + 1);
        let killed = round.with_death(*victim, *moment, &rhythm, &mut random);
        println!(
            "{course:?} {}: {victim:?} at {moment:?}: {killed:?}",
            at + 1
        );
        struck += usize::from(killed.is_some());
    }
    // Not every moment of every course has a hold to be killed.
    assert!(
        2 * struck > deaths.len(),
        "{struck} of {} deaths came about",
        deaths.len()
    );
    assert_eq!(cluster.interrupt(), Some(0), "{}", cluster.log());
    until(
        "no process of the cluster is left",
        || outside::processes_of(cluster.home()),
        Vec::is_empty,
    );
}

/// Every victim at every moment it has, in an order that the seed gives; in the short run a few of each.
fn deaths(random: &mut Random) -> Vec<(Victim, Moment)> {
    let mut all = Vec::new();
    let repeats = if is_long() { REPEATS_SOAK } else { 1 };
    for _ in 0..repeats {
        for victim in Victim::ALL {
            let mut moments = Moment::all();
            random.shuffle(&mut moments);
            if !is_long() {
                moments.truncate(KILLS_SHORT);
            }
            all.extend(moments.into_iter().map(|moment| (victim, moment)));
        }
    }
    random.shuffle(&mut all);
    all
}
