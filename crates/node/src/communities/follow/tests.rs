use community::Route;

use super::*;

#[test]
fn whoever_turned_to_another_way_comes_back_to_the_first_after_a_quarter_of_an_hour() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let node = Node::open(directory.path()).expect("opens");
    let place = node.place(CommunityId::from_bytes([7; 16]));
    let route = |url: &str| Route { url: url.to_owned(), fingerprint: [0; 32] };
    let routes = ["http://127.0.0.1:1", "http://127.0.0.1:2"].map(route);
    place.begin(b"a charter", &routes).expect("is remembered");
    let spoken_with = || place.links().expect("there are two").remove(0).url;
    assert_eq!(spoken_with(), routes[0].url);

    // The first fails; the second is asked for what waits there, and spoken with from now on.
    assert!(has_other_way(&place));
    let start = Instant::now();
    let mut elsewhere = Elsewhere::default();
    assert_eq!(turn(&place, &elsewhere, start), Due::Others);
    elsewhere.handle_asked(start);
    let after = |minutes| start + Duration::from_mins(minutes);
    assert_eq!(turn(&place, &elsewhere, after(14)), Due::Nothing);
    assert_eq!(spoken_with(), routes[1].url);
    assert_eq!(turn(&place, &elsewhere, after(15)), Due::First);
    assert_eq!(spoken_with(), routes[0].url);

    // Who speaks with the first has nothing to come back to.
    assert_eq!(turn(&place, &elsewhere, after(15)), Due::Others);
}
