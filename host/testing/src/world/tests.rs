#![allow(clippy::unwrap_used)]
use super::*;

fn worlds(worlds_max: usize, faults: &[&str]) -> Worlds {
    let limits = WorldLimits {
        worlds_max,
        idle: Duration::from_secs(60),
    };
    let beginning = Beginning {
        faults: faults.iter().map(|text| text.parse().unwrap()).collect(),
        journal: JournalLimits {
            entries_max: 10,
            bytes_max: 1 << 20,
            body_bytes_max: 1 << 10,
        },
        clock: WorldClock::Real,
    };
    Worlds::new(limits, beginning)
}

fn name(text: &str) -> WorldName {
    text.parse().unwrap()
}

#[test]
fn each_world_counts_for_itself() {
    let worlds = worlds(10, &["status=500 next=1"]);
    let [one, two] = ["one", "two"].map(|text| worlds.enter(&name(text), 0).unwrap());
    let facts = Facts::default();
    assert!(one.fault(&facts).is_some());
    assert!(one.fault(&facts).is_none());
    assert!(two.fault(&facts).is_some(), "not used up by the other");
    assert_ne!(one.seed(), two.seed());
    assert_eq!(
        (one.note_request(), one.note_request(), two.note_request()),
        (0, 1, 0)
    );
    let number = one.add_fault("reset next=1".parse().unwrap()).unwrap();
    assert_eq!((number, one.faults().len(), two.faults().len()), (2, 2, 1));
    assert!(one.remove_fault(number) && !one.remove_fault(number));
    one.clear_faults();
    assert_eq!((one.faults().len(), two.faults().len()), (0, 1));
}

#[test]
fn the_idle_make_room_and_the_used_do_not() {
    let worlds = worlds(2, &[]);
    worlds.enter(&name("a"), 0).unwrap();
    worlds.enter(&name("b"), 59_000).unwrap();
    assert_eq!(
        worlds.enter(&name("c"), 59_999).unwrap_err(),
        TooManyWorlds(2)
    );
    worlds.enter(&name("c"), 60_000).unwrap();
    let names = |worlds: &Worlds| {
        worlds
            .list()
            .iter()
            .map(|world| world.name().to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&worlds), ["default", "b", "c"]);
    let open = worlds.find(&name("b"));
    worlds.expire(119_000);
    assert_eq!(names(&worlds), ["default", "b", "c"], "a request is in it");
    drop(open);
    worlds.expire(119_000);
    assert_eq!(names(&worlds), ["default", "c"]);
    assert!(worlds.remove(&name("c")) && !worlds.remove(&name("c")));
    assert!(worlds.find(&name("c")).is_none());
}

#[test]
fn the_shared_world_begins_anew_and_is_never_gone() {
    let worlds = worlds(0, &["reset next=1"]);
    let shared = worlds.enter(&WorldName::shared(), 0).unwrap();
    assert!(shared.fault(&Facts::default()).is_some());
    shared.set_clock(WorldClock::Virtual);
    shared.set_seed(7);
    let begun = shared.begun();
    assert!(worlds.remove(&WorldName::shared()));
    assert!(shared.fault(&Facts::default()).is_some());
    assert_eq!(shared.clock(), WorldClock::Real);
    assert_ne!(shared.seed(), 7);
    assert_ne!(shared.begun(), begun);
}

#[test]
fn faults_are_bounded_and_those_used_up_make_room() {
    let worlds = worlds(1, &[]);
    let world = worlds.shared();
    world.add_fault("reset next=1".parse().unwrap()).unwrap();
    for _ in 1..FAULTS_MAX {
        world.add_fault("reset".parse().unwrap()).unwrap();
    }
    assert_eq!(
        world.add_fault("reset".parse().unwrap()),
        Err(TooManyFaults)
    );
    assert!(world.fault(&Facts::default()).is_some());
    world.add_fault("reset".parse().unwrap()).unwrap();
}

#[test]
fn a_name_is_one_word() {
    for text in ["a", "test_1.2-x:y", &"a".repeat(64)] {
        assert_eq!(name(text).as_str(), text);
    }
    for text in ["", "a b", "ä", "a/b", &"a".repeat(65)] {
        assert_eq!(text.parse::<WorldName>(), Err(InvalidWorldName), "{text}");
    }
}
